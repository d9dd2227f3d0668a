"""Logging in: who may try, how often, and what it costs to be wrong.

An attempt is counted by name and by address before the password is looked at, so a thousand at once are not a
thousand guesses; a success takes it out again. A name that nobody has costs the same time as a wrong password.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Final

from core import keys
from core.clock import new_id
from core.errors import Conflict, Misconfigured, TooMany, Unauthorized
from core.log import get
from core.model import Role
from core.redis.batch import Batch
from core.redis.client import function_call
from webapi.metrics import Metrics
from webapi.names import check_password, fold, shown
from webapi.passwords import Passwords
from webapi.settings import Settings
from webapi.store.accounts import AccountRecord, Accounts

log = get("login")

FOLDED_MOST: Final = 96  # of a name that is counted: longer ones belong to nobody


def whose(address: str) -> str:
    """What of an address is one guesser's: all of an IPv4 address, the first 64 bits of IPv6. PURE."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed) >> 64 << 64, 64)))


class Login:
    """See the module."""

    def __init__(
        self, batch: Batch, accounts: Accounts, passwords: Passwords, settings: Settings, metrics: Metrics
    ) -> None:
        self._batch = batch
        self._accounts = accounts
        self._passwords = passwords
        self._settings = settings
        self._metrics = metrics

    async def admit(self, address: str, now_ms: int) -> None:
        """Count a new account or guest by address. Raises TooMany, Unavailable."""
        key, window_ms = keys.tries(f"signup:{whose(address)}"), self._settings.login_window_s * 1000
        arguments = (new_id("event"), now_ms, window_ms, self._settings.signups_address)
        [(state, wait_ms)] = await self._batch.do_many([function_call("try_begin", key, *arguments)])
        if state == "locked":
            retry_after_s = int(wait_ms) // 1000 + 1
            raise TooMany(
                f"too many new players from this address: try again in {retry_after_s} s",
                retry_after_s=retry_after_s,
                code="too-many-signups",
            )

    async def register(self, name: str, password: str, role: Role, now_ms: int) -> AccountRecord:
        """A new account. Raises Invalid, Conflict (the name is taken), Unavailable."""
        name = shown(name)
        check_password(password, name)
        if await self._accounts.login(name) is not None:  # spares a hash; `claim` decides
            raise Conflict(f"the name {name!r} is taken", code="name-taken")
        kept = await self._passwords.hash(password)
        return await self._accounts.claim(name, kept, role, now_ms)

    async def enter(self, name: str, password: str, address: str, now_ms: int) -> AccountRecord:
        """The account of name and password. Raises Unauthorized, TooMany (locked out), Unavailable."""
        attempt = new_id("event")
        counted = {
            keys.tries(f"name:{fold(name)[:FOLDED_MOST]}"): self._settings.login_tries_name,
            keys.tries(f"address:{whose(address)}"): self._settings.login_tries_address,
        }
        await self._begin(counted, attempt, now_ms)
        record = await self._accounts.login(name)
        if not await self._passwords.verify(record.hash if record else None, password) or record is None:
            raise Unauthorized("there is no account of this name and password", code="wrong-credentials")
        await self._batch.do_many([("ZREM", key, attempt) for key in counted])
        return record.account

    async def _begin(self, counted: dict[str, int], attempt: str, now_ms: int) -> None:
        window_ms = self._settings.login_window_s * 1000
        replies = await self._batch.do_many(
            [function_call("try_begin", key, attempt, now_ms, window_ms, most) for key, most in counted.items()]
        )
        waits = [int(wait) for state, wait in replies if state == "locked"]
        if waits:
            # Nothing was guessed: one who is locked out by address must not lock names out.
            await self._batch.do_many([("ZREM", key, attempt) for key in counted])
            self._metrics.locked_out.inc()
            retry_after_s = max(waits) // 1000 + 1
            raise TooMany(
                f"too many failed logins: try again in {retry_after_s} s",
                retry_after_s=retry_after_s,
                code="locked-out",
            )

    async def ensure_admin(self, now_ms: int) -> None:
        """Make the admin account that the settings name, where it does not exist.

        Raises Misconfigured where the name belongs to somebody else.
        """
        name = shown(self._settings.admin_name)
        record = await self._accounts.login(name)
        if record is None:
            kept = await self._passwords.hash(self._settings.admin_password)
            try:
                await self._accounts.write(await self._accounts.claim(name, kept, "admin", now_ms))
                log.info("admin account made", name=name)
                return
            except Conflict:
                record = await self._accounts.login(name)  # another replica was first
        if record is not None and record.account.role != "admin":
            raise Misconfigured(f"the name {name!r} belongs to a {record.account.role}", setting="MUSTER_ADMIN_NAME")
