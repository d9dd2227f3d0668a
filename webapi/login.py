"""Logging in: who may try, how often, and what it costs to be wrong.

An attempt is counted before the password is looked at, so a thousand at once are not a thousand guesses; a success
takes it out again. It counts three times: by its address; by the name as tried from that address; and by the name as
tried from all addresses that its owner has never come from. So nobody locks an owner out: from where he has
logged in before, only his own failures count. A name that nobody has costs the same time as a wrong password.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network
from typing import Final

from core import keys
from core.clock import new_id
from core.errors import Conflict, Misconfigured, TooMany, Unauthorized
from core.log import get
from core.model import Role
from core.redis.batch import Batch
from core.redis.client import Arg, function_call
from webapi.metrics import Metrics
from webapi.names import check_password, fold, shown
from webapi.passwords import Passwords
from webapi.settings import Settings
from webapi.store.accounts import AccountRecord, Accounts, LoginRecord

log = get("login")

FOLDED_MOST: Final = 96  # of a name that is counted: longer ones belong to nobody
PLACES: Final = 8  # addresses that an account was entered from and is known at; the oldest is forgotten
PLACE_S: Final = 90 * 86_400  # ... and each by then


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
        self,
        batch: Batch,
        accounts: Accounts,
        passwords: Passwords,
        settings: Settings,
        metrics: Metrics,
        secret: str,
    ) -> None:
        """`secret` hides which addresses an account is known at."""
        self._batch = batch
        self._secret = secret
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

    async def register(
        self, name: str, password: str, role: Role, now_ms: int, player: str | None = None
    ) -> AccountRecord:
        """A new account. Raises Invalid, Conflict (the name is taken), Unavailable."""
        name, kept = await self._chosen(name, password)
        return await self._accounts.claim(name, kept, role, now_ms, player)

    async def upgrade(self, guest: AccountRecord, name: str, password: str, now_ms: int) -> AccountRecord:
        """The account that a guest becomes. Raises Invalid, Conflict (the name is taken; no guest), NotFound."""
        found = await self._accounts.login(shown(name))
        if found is not None and found.account.player == guest.player:  # again, after a lost answer
            kept = await self._passwords.hash(self._checked(shown(name), password))
            return await self._accounts.upgrade(guest, shown(name), kept, now_ms)
        name, kept = await self._chosen(name, password)
        return await self._accounts.upgrade(guest, name, kept, now_ms)

    async def _chosen(self, name: str, password: str) -> tuple[str, str]:
        name = shown(name)
        self._checked(name, password)
        if await self._accounts.login(name) is not None:  # spares a hash; `claim` decides
            raise Conflict(f"the name {name!r} is taken", code="name-taken")
        return name, await self._passwords.hash(password)

    @staticmethod
    def _checked(name: str, password: str) -> str:
        check_password(password, name)
        return password

    async def enter(self, name: str, password: str, address: str, now_ms: int) -> LoginRecord:
        """What is stored of name and password. Raises Unauthorized, TooMany (locked out), Unavailable."""
        attempt, folded, place = new_id("event"), fold(name)[:FOLDED_MOST], self._place(address)
        known = await self._batch.do("ZSCORE", keys.known_places(folded), place)
        counted = {
            keys.tries(f"address:{whose(address)}"): self._settings.login_tries_address,
            keys.tries(f"name:{place}:{folded}"): self._settings.login_tries_name,
        }
        if known is None:
            counted[keys.tries(f"name:{folded}")] = self._settings.login_tries_strangers
        await self._begin(counted, attempt, now_ms)
        record = await self._accounts.login(name)
        if not await self._passwords.verify(record.hash if record else None, password) or record is None:
            raise Unauthorized("there is no account of this name and password", code="wrong-credentials")
        await self._batch.do_many([("ZREM", key, attempt) for key in counted])
        await self.came_from(record.account.name, address, now_ms)
        return record

    async def knock(self, address: str, now_ms: int) -> list[Arg]:
        """Count an attempt that has no name yet. Returns the command that takes it out. Raises TooMany, Unavailable."""
        key, attempt = keys.tries(f"address:{whose(address)}"), new_id("event")
        await self._begin({key: self._settings.login_tries_address}, attempt, now_ms)
        return ["ZREM", key, attempt]

    async def entered(self, knocked: list[Arg]) -> None:
        """Take out what `knock` counted."""
        await self._batch.do(*knocked)

    async def change_password(
        self,
        account: AccountRecord,
        old: str,
        new: str,
        address: str,
        now_ms: int,
        before: Callable[[], Awaitable[None]],
    ) -> None:
        """Change a password, `before` being done first.

        Raises Unauthorized (the old one is wrong), TooMany (locked out), Invalid, Conflict.
        """
        check_password(new, account.name, "/new_password")
        record = await self.enter(account.name, old, address, now_ms)
        if record.account.player != account.player:
            raise Unauthorized("there is no account of this name and password", code="wrong-credentials")
        kept = await self._passwords.hash(new)
        await before()
        await self._accounts.change_password(record, kept)

    async def came_from(self, name: str, address: str, now_ms: int) -> None:
        """The owner of a name is at this address: strangers' failures elsewhere are not his."""
        key = keys.known_places(fold(name)[:FOLDED_MOST])
        await self._batch.do_many(
            [
                ("ZADD", key, now_ms, self._place(address)),
                ("ZREMRANGEBYRANK", key, 0, -PLACES - 1),
                ("EXPIRE", key, PLACE_S),
            ]
        )

    def _place(self, address: str) -> str:
        """What is kept of an address: whether it is one that was seen before, and no more."""
        digest = hmac.digest(self._secret.encode(), f"place:{whose(address)}".encode(), hashlib.sha256)
        return digest[:8].hex()

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
