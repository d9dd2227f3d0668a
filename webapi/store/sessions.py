"""Sessions of players in Redis: opened, carried on by refresh tokens, ended.

**What a refresh token is good for.** One token of a session is good: each use changes it for the next. The answer to
that may be lost, so the token before it stays good until the next one was used: within `REPEAT_MS` it gives the very
same answer (two tabs, a repeated request), after that a fresh token, and the lost one is void. Any other token of the
session is a re-use, thief's or owner's: the session ends, with all that came from it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from core import keys
from core.clock import new_id
from core.errors import NotFound, Unauthorized
from core.redis.batch import Batch
from core.signing import Keyring
from webapi.auth import REFRESH_BYTES, Refresh, make_refresh, next_refresh

SESSIONS_MOST: Final = 16  # of a player; a further login ends the oldest
REPEAT_MS: Final = 60_000  # a client asks again within a minute


class Sessions:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch, keyring: Keyring, access_s: int, refresh_s: int) -> None:
        self._batch = batch
        self._keyring = keyring
        self._access_s = access_s
        self._refresh_s = refresh_s

    async def open(self, player: str, now_ms: int) -> Refresh:
        """A new session's first refresh token. Raises NotFound for a player who was erased."""
        secret = self._keyring.first.secret
        refresh = make_refresh(secret, player, new_id("session"), os.urandom(REFRESH_BYTES))
        how, *dropped = await self._batch.call(
            "session_open", keys.sessions(player), refresh.session, refresh.digest, now_ms,
            now_ms + self._refresh_s * 1000, SESSIONS_MOST,
        )  # fmt: skip
        if how == "erased":
            raise NotFound("there is no such account")
        for session in dropped:
            await self.revoke(player, session)
        return refresh

    async def rotate(self, old: Refresh, now_ms: int) -> Refresh:
        """Change a refresh token for the next, as the module says. Raises Unauthorized."""
        secret = self._keyring.first.secret
        follows = next_refresh(secret, old)
        other = make_refresh(secret, old.player, old.session, os.urandom(REFRESH_BYTES))
        how = await self._batch.call(
            "session_rotate", keys.sessions(old.player), old.session, old.digest, follows.digest, other.digest, now_ms,
            now_ms + self._refresh_s * 1000, REPEAT_MS,
        )  # fmt: skip
        if how == "next":
            return follows
        if how == "other":
            return other
        # Also where it is merely gone: the call that ended it may have died before it could say so here.
        await self.revoke(old.player, old.session)
        if how == "reused":
            raise Unauthorized("this refresh token was used before: the session has ended", code="token-reused")
        raise Unauthorized("the session has ended: log in again", code="token-expired")

    async def revoke(self, player: str, session: str) -> None:
        """End a session: its refresh token is void, and so are its access tokens while they could live."""
        await self._batch.do_many(
            [
                ("SET", keys.revoked(session), "1", "EX", self._access_s + 60),  # clocks of replicas may differ
                ("HDEL", keys.sessions(player), session),
            ]
        )

    async def revoke_all(self, player: str, spare: str = "") -> None:
        """End all sessions of a player but `spare`. Stopped half-way, the rest goes on: ask again."""
        for session in await self._batch.do("HKEYS", keys.sessions(player)):  # at most SESSIONS_MOST
            if session != spare:
                await self.revoke(player, session)

    async def revoked(self, sessions: Sequence[str]) -> list[bool]:
        """Of each session, whether its access tokens are void."""
        return [bool(n) for n in await self._batch.do_many([("EXISTS", keys.revoked(it)) for it in sessions])]
