"""Accounts in Redis.

A name, its password and everything its account is made from come into being in one step (`login_claim`); the account
is written from it, at the registration and again at each login, so a crash between the two leaves nothing broken.
An admin changes a role there first: each change has a revision, so what is written later from an older reading does
not undo it (`account_write`). Guests have an account and no name to claim; they are forgotten when their refresh
token ends. A guest who takes a name keeps the account: reserved there first (`guest_claim`), so that he takes one.
Who comes from an outside issuer has an account of one game, without a name to claim, and is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from core import keys
from core.clock import new_id
from core.errors import Conflict, NotFound, Unauthorized
from core.model import Role
from core.redis.batch import Batch
from webapi.auth import Refresh
from webapi.names import fold
from webapi.store.sessions import Sessions

CLAIM_MS: Final = 60_000  # a guest takes one name at a time; longer than any request may take


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account as stored. `game` and `outside`: of whom an outside issuer sent, see `webapi.store.outside`."""

    player: str
    name: str
    role: Role
    created_ms: int
    guest: bool = False
    role_rev: int = 0  # counts the changes of the role
    game: str = ""
    outside: str = ""


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """What a login is checked against, and the account it is for."""

    hash: str
    account: AccountRecord


class Accounts:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch, sessions: Sessions, refresh_s: int) -> None:
        self._batch = batch
        self.sessions = sessions
        self._refresh_s = refresh_s

    async def claim(
        self, name: str, password_hash: str, role: Role, now_ms: int, player: str | None = None
    ) -> AccountRecord:
        """A new account under `name` (as shown). Raises Conflict where the name is taken."""
        player = player or new_id("player")
        reply = await self._batch.call("login_claim", keys.login(fold(name)), player, password_hash, name, role, now_ms)
        if reply[0] != "ok":
            raise Conflict(f"the name {name!r} is taken", code="name-taken")
        return AccountRecord(player, name, role, now_ms)

    async def upgrade(self, guest: AccountRecord, name: str, password_hash: str, now_ms: int) -> AccountRecord:
        """Give a guest a name and a password; everything of his stays. Raises Conflict, NotFound.

        Stopped anywhere, asking again goes on; with another name, after a minute.
        """
        folded = fold(name)
        how, *more = await self._batch.call("guest_claim", keys.account(guest.player), folded, now_ms, CLAIM_MS)
        if how == "gone":
            raise NotFound("there is no such guest")
        if how == "account":
            raise Conflict("this is an account already", code="not-a-guest")
        if how == "busy":
            raise Conflict(f"this guest is taking the name {more[0]!r} at this moment", code="busy-claim")
        if more[0] and (before := await self.login(more[0])) is not None and before.account.player == guest.player:
            await self.write(before.account)
            raise Conflict(f"this guest has taken the name {before.account.name!r}", code="not-a-guest")
        try:
            claimed = await self.claim(name, password_hash, "player", guest.created_ms, guest.player)
        except Conflict:
            await self._batch.do("HDEL", keys.account(guest.player), "claim", "claim_ms")
            raise
        try:
            return await self.write(claimed)
        except NotFound:  # erased at this moment
            await self._batch.call("login_erase", keys.login(folded), guest.player)
            raise

    async def login(self, name: str) -> LoginRecord | None:
        """What is stored under a name; None for a name that nobody has."""
        found = await self._batch.do("HGETALL", keys.login(fold(name)))
        if not found:
            return None
        return LoginRecord(found["hash"], _account(found["player"], found))

    async def change_password(self, record: LoginRecord, new_hash: str) -> None:
        """Change the password that `record` was checked against. Raises Conflict (it is another by now), NotFound."""
        account = record.account
        how = await self._batch.call(
            "login_password", keys.login(fold(account.name)), account.player, record.hash, new_hash
        )
        if how == "gone":
            raise NotFound("there is no such account")
        if how == "changed":
            raise Conflict("the password was changed meanwhile", code="password-changed")

    async def read(self, player: str) -> AccountRecord:
        """An account. Raises NotFound."""
        found = await self._batch.do("HGETALL", keys.account(player))
        if "role" not in found:  # nobody, or who was erased
            raise NotFound("there is no such account")
        return _account(player, found)

    async def names(self, players: list[str]) -> dict[str, str]:
        """Names by player; '' for those who are forgotten."""
        found = await self._batch.do_many([("HGET", keys.account(player), "name") for player in players])
        return {player: name or "" for player, name in zip(players, found, strict=True)}

    async def of_other_games(self, game: str, players: list[str]) -> list[str]:
        """Who of these is good for another game alone."""
        found = await self._batch.do_many([("HGET", keys.account(player), "game") for player in players])
        return [player for player, own in zip(players, found, strict=True) if own and own != game]

    async def write(self, account: AccountRecord) -> AccountRecord:
        """Write an account from what is known of it, and return it with the role that it has by now. Repeatable.

        Raises NotFound for a player who was erased.
        """
        key = keys.account(account.player)
        if account.guest or account.game:
            how = await self._batch.call(
                "guest_write", key, account.name, account.created_ms, self._refresh_s, account.game, account.outside
            )
            if how == "account":
                return await self.read(account.player)
        else:
            how = await self._batch.call(
                "account_write", key, account.name, account.role, account.role_rev, account.created_ms
            )
            account = replace(account, role=cast(Role, how))
        if how in ("", "erased"):
            raise NotFound("there is no such account")
        return account

    async def change_role(self, account: AccountRecord, role: Role) -> AccountRecord:
        """Give an account another role. Raises NotFound, Conflict (an admin's).

        Stopped between its two writes, the next login does the second; asked again, it changes nothing more.
        """
        reply = await self._batch.call("login_role", keys.login(fold(account.name)), account.player, role)
        if reply[0] == "gone":
            raise NotFound("there is no such account")
        if reply[0] == "fixed":
            raise Conflict(f"this is a {reply[1]}, whose role is not changed here", code="role-fixed")
        return await self.write(replace(account, role=role, role_rev=int(reply[1])))

    async def open_session(
        self, account: AccountRecord, now_ms: int, record: LoginRecord | None = None
    ) -> tuple[AccountRecord, Refresh]:
        """Open a session of an account and write that; the account with the role that it has by now, and the session's
        first refresh token. `record`: the password that let it in, which must still be the one.

        Raises NotFound for a player who was erased, Unauthorized where the password was changed meanwhile.
        """
        if account.guest or account.game:
            account = await self.write(account)
            return account, await self.sessions.open(account.player, now_ms)
        # The session first: whoever changes the role or the password either finds and ends it, or has written what is
        # read back here.
        refresh = await self.sessions.open(account.player, now_ms)
        account = await self.write(account)
        if record is not None:
            kept = await self._batch.do("HGET", keys.login(fold(account.name)), "hash")
            if kept != record.hash:
                await self.sessions.revoke(account.player, refresh.session)
                raise Unauthorized("the password was changed at this moment", code="wrong-credentials")
        return account, refresh

    async def rotate(self, old: Refresh, now_ms: int) -> tuple[AccountRecord, Refresh]:
        """Change a refresh token for the next. Raises Unauthorized; a token that came before ends the session."""
        new = await self.sessions.rotate(old, now_ms)
        try:
            account = await self.read(old.player)
            if account.guest:
                account = await self.write(account)
        except NotFound:
            await self.sessions.revoke(old.player, old.session)
            raise Unauthorized("the session has ended: log in again", code="token-expired") from None
        return account, new


def _account(player: str, found: Mapping[str, Any]) -> AccountRecord:
    role = cast(Role, found["role"])
    created_ms, revision = int(found["created_ms"]), int(found.get("role_rev", 0))
    game, outside = found.get("game", ""), found.get("outside", "")
    return AccountRecord(player, found["name"], role, created_ms, "guest" in found, revision, game, outside)
