"""Accounts and sessions in Redis.

A name, its password and everything its account is made from come into being in one step (`login_claim`); the account
is written from it, at the registration and again at each login, so a crash between the two leaves nothing broken.
An admin changes a role there first: each change has a revision, so what is written later from an older reading does
not undo it (`account_write`). Guests have an account and no name to claim; they are forgotten when their refresh
token ends.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from core import keys
from core.clock import new_id
from core.errors import Conflict, NotFound, Unauthorized
from core.model import Role
from core.redis.batch import Batch
from core.redis.client import Arg, function_call
from webapi.auth import REFRESH_BYTES, Refresh, make_refresh
from webapi.names import fold

SESSIONS_MOST: Final = 16  # of a player; a further login ends the oldest


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account as stored."""

    player: str
    name: str
    role: Role
    created_ms: int
    guest: bool = False
    role_rev: int = 0  # counts the changes of the role


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """What a login is checked against, and the account it is for."""

    hash: str
    account: AccountRecord


class Accounts:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch, secret: str, access_s: int, refresh_s: int) -> None:
        self._batch = batch
        self._secret = secret
        self._access_s = access_s
        self._refresh_s = refresh_s

    async def claim(self, name: str, password_hash: str, role: Role, now_ms: int) -> AccountRecord:
        """A new account under `name` (as shown). Raises Conflict where the name is taken."""
        player = new_id("player")
        reply = await self._batch.call("login_claim", keys.login(fold(name)), player, password_hash, name, role, now_ms)
        if reply[0] != "ok":
            raise Conflict(f"the name {name!r} is taken", code="name-taken")
        return AccountRecord(player, name, role, now_ms)

    async def login(self, name: str) -> LoginRecord | None:
        """What is stored under a name; None for a name that nobody has."""
        found = await self._batch.do("HGETALL", keys.login(fold(name)))
        if not found:
            return None
        return LoginRecord(found["hash"], _account(found["player"], found))

    async def read(self, player: str) -> AccountRecord:
        """An account. Raises NotFound."""
        found = await self._batch.do("HGETALL", keys.account(player))
        if not found:
            raise NotFound("there is no such account")
        return _account(player, found)

    async def names(self, players: list[str]) -> dict[str, str]:
        """Names by player; '' for those who are forgotten."""
        found = await self._batch.do_many([("HGET", keys.account(player), "name") for player in players])
        return {player: name or "" for player, name in zip(players, found, strict=True)}

    async def write(self, account: AccountRecord) -> AccountRecord:
        """Write an account from what is known of it, and return it with the role that it has by now. Repeatable."""
        if account.guest:
            await self._batch.do_many(self._guest(account))
            return account
        role = await self._batch.call(
            "account_write", keys.account(account.player), account.name, account.role, account.role_rev,
            account.created_ms,
        )  # fmt: skip
        return replace(account, role=role)

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

    async def open_session(self, account: AccountRecord, now_ms: int) -> tuple[AccountRecord, Refresh]:
        """Open a session of an account and write that; the account with the role that it has by now, and the session's
        first refresh token.
        """
        refresh = make_refresh(self._secret, account.player, new_id("session"), os.urandom(REFRESH_BYTES))
        opening = function_call(
            "session_open", keys.sessions(account.player), refresh.session, refresh.digest, now_ms,
            now_ms + self._refresh_s * 1000, SESSIONS_MOST,
        )  # fmt: skip
        if account.guest:
            await self._batch.do_many([*self._guest(account), opening])
            return account, refresh
        # The session first: whoever changes the role either finds and ends it, or has written what is read back here.
        await self._batch.do_many([opening])
        return await self.write(account), refresh

    async def rotate(self, old: Refresh, now_ms: int) -> tuple[AccountRecord, Refresh]:
        """Change a refresh token for the next. Raises Unauthorized; a token that came before ends the session."""
        new = make_refresh(self._secret, old.player, old.session, os.urandom(REFRESH_BYTES))
        reply, found = await self._batch.do_many(
            [
                function_call(
                    "session_rotate", keys.sessions(old.player), old.session, old.digest, new.digest, now_ms,
                    now_ms + self._refresh_s * 1000,
                ),
                ("HGETALL", keys.account(old.player)),
            ]
        )  # fmt: skip
        if reply != "ok" or not found:
            # Also where it is merely gone: the call that ended it may have died before it could say so here.
            await self.revoke(old.player, old.session)
            if reply == "reused":
                raise Unauthorized("this refresh token was used before: the session has ended", code="token-reused")
            raise Unauthorized("the session has ended: log in again", code="token-expired")
        account = _account(old.player, found)
        if account.guest:
            await self.write(account)
        return account, new

    async def revoke(self, player: str, session: str) -> None:
        """End a session: its refresh token is void, and so are its access tokens while they could live."""
        await self._batch.do_many(
            [
                ("SET", keys.revoked(session), "1", "EX", self._access_s + 60),  # clocks of replicas may differ
                ("HDEL", keys.sessions(player), session),
            ]
        )

    async def revoke_all(self, player: str) -> None:
        """End all sessions of a player. Stopped half-way, the rest goes on: ask again."""
        for session in await self._batch.do("HKEYS", keys.sessions(player)):  # at most SESSIONS_MOST
            await self.revoke(player, session)

    async def is_revoked(self, session: str) -> bool:
        """Whether access tokens of this session are void."""
        return bool(await self._batch.do("EXISTS", keys.revoked(session)))

    def _guest(self, account: AccountRecord) -> list[tuple[Arg, ...]]:
        key = keys.account(account.player)
        facts = ("name", account.name, "role", account.role, "created_ms", account.created_ms, "guest", 1)
        return [("HSET", key, *facts), ("EXPIRE", key, self._refresh_s)]


def _account(player: str, found: Mapping[str, Any]) -> AccountRecord:
    role = cast(Role, found["role"])
    created_ms, revision = int(found["created_ms"]), int(found.get("role_rev", 0))
    return AccountRecord(player, found["name"], role, created_ms, "guest" in found, revision)
