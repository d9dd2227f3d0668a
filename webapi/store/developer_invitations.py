"""Invitations to be a developer, in Redis: good once, for a while; only a digest of the code is kept.

A taken invitation names its taker, so that a repeat after a lost answer is recognised. Killed between the taking and
the account, it is lost: the admin sees a taker without an account, and makes another.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from typing import Final

from core import keys
from core.clock import new_id
from core.errors import Forbidden, NotFound, TooMany
from core.ids import is_id
from core.redis.batch import Batch

OPEN_MOST: Final = 200
SECRET_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class InvitationRecord:
    """An invitation as stored."""

    id: str
    note: str
    by: str
    made_ms: int
    until_ms: int
    used_by: str


class DeveloperInvitations:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def make(self, by: str, note: str, now_ms: int, until_ms: int) -> tuple[InvitationRecord, str]:
        """A new invitation and its code. Raises TooMany."""
        _, found = await self._batch.do_many(
            [("ZREMRANGEBYSCORE", keys.INVITATIONS, "-inf", now_ms), ("ZCARD", keys.INVITATIONS)]
        )
        if found >= OPEN_MOST:
            raise TooMany(f"{OPEN_MOST} invitations are listed: revoke some", code="too-many-invitations")
        id_ = new_id("invitation")
        code = f"{id_}.{base64.urlsafe_b64encode(os.urandom(SECRET_BYTES)).rstrip(b'=').decode()}"
        key = keys.invitation(id_)
        await self._batch.do("ZADD", keys.INVITATIONS, until_ms, id_)  # first: what is listed and not there is skipped
        await self._batch.do_many(
            [
                ("HSET", key, "digest", _digest(code), "note", note, "by", by, "made_ms", now_ms, "until_ms", until_ms),
                ("PEXPIREAT", key, until_ms),
            ]
        )
        return InvitationRecord(id_, note, by, now_ms, until_ms, ""), code

    async def every(self, now_ms: int) -> list[InvitationRecord]:
        """All that have not expired, taken ones too."""
        ids = await self._batch.do("ZRANGEBYSCORE", keys.INVITATIONS, f"({now_ms}", "+inf")
        found = await self._batch.do_many([("HGETALL", keys.invitation(id_)) for id_ in ids])
        return [
            InvitationRecord(id_, it["note"], it["by"], int(it["made_ms"]), int(it["until_ms"]), it.get("used_by", ""))
            for id_, it in zip(ids, found, strict=True)
            if it
        ]

    async def revoke(self, id_: str) -> None:
        """Void an invitation. Raises NotFound."""
        gone, _ = await self._batch.do_many([("DEL", keys.invitation(id_)), ("ZREM", keys.INVITATIONS, id_)])
        if not gone:
            raise NotFound("there is no such invitation", code="no-such-invitation")

    async def take(self, code: str, player: str) -> None:
        """Use an invitation for `player`, once. Raises Forbidden."""
        id_ = code.partition(".")[0]
        how = "gone"
        if is_id("invitation", id_):
            how = await self._batch.call("invitation_take", keys.invitation(id_), _digest(code), player)
        if how == "used":
            raise Forbidden("this invitation was used: ask for another one", code="invitation-used")
        if how != "ok":
            raise Forbidden("there is no such invitation, or it has expired", code="invitation-invalid")

    async def give_back(self, code: str) -> None:
        """Undo a `take` that led to nothing; by its taker alone."""
        await self._batch.do("HDEL", keys.invitation(code.partition(".")[0]), "used_by")


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
