"""Developers' keys for programs, in Redis: only a digest of each is kept.

A key's text is its id, its owner and 256 random bits, so that one read finds it. What it may is decided at each use
from its scopes and from what its owner is by then: with the owner's role the keys go too. When it was used last is
noted at most once a minute by a replica.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections import OrderedDict
from typing import Final

import msgspec

from core import keys
from core.clock import new_id
from core.errors import NotFound, TooMany, Unauthorized
from core.ids import is_id
from core.model import Role
from core.redis.batch import Batch
from webapi.auth import Caller

KEYS_MOST: Final = 32  # of a developer
SECRET_BYTES: Final = 32
USED_EVERY_MS: Final = 60_000
USED_MOST: Final = 10_000  # keys whose last use this replica remembers to have noted
STREAMS_S: Final = 3600  # for every replica to find the streams that the key has open
PREFIX: Final = "key-"


class ApiKey(msgspec.Struct, frozen=True):
    """A key as stored."""

    id: str
    digest: str
    name: str
    scopes: list[str]
    role: Role
    game: str
    created_ms: int
    until_ms: int


class ApiKeys:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._noted: OrderedDict[str, int] = OrderedDict()

    async def make(
        self, player: str, name: str, scopes: list[str], role: Role, game: str, now_ms: int, until_ms: int
    ) -> tuple[ApiKey, str]:
        """A new key and its text. Raises TooMany."""
        if await self._batch.do("HLEN", keys.api_keys(player)) >= KEYS_MOST:
            raise TooMany(f"you have {KEYS_MOST} keys: revoke one", code="too-many-keys")
        id_ = new_id("apikey")
        secret = base64.urlsafe_b64encode(os.urandom(SECRET_BYTES)).rstrip(b"=").decode()
        text = f"{id_}.{player}.{secret}"
        made = ApiKey(id_, _digest(text), name, sorted(set(scopes)), role, game, now_ms, until_ms)
        await self._batch.do("HSET", keys.api_keys(player), id_, msgspec.json.encode(made))
        return made, text

    async def every(self, player: str) -> list[tuple[ApiKey, int]]:
        """A developer's keys, each with when it was used last (ms; 0: never)."""
        found, used = await self._batch.do_many(
            [("HGETALL", keys.api_keys(player)), ("HGETALL", keys.api_keys_used(player))]
        )
        made = [msgspec.json.decode(text, type=ApiKey) for _, text in sorted(found.items())]
        return [(key, int(used.get(key.id, 0))) for key in made]

    async def revoke(self, player: str, id_: str) -> None:
        """Void a key at once. Raises NotFound."""
        gone, *_ = await self._batch.do_many(
            [
                ("HDEL", keys.api_keys(player), id_),
                ("HDEL", keys.api_keys_used(player), id_),
                ("SET", keys.revoked(id_), "1", "EX", STREAMS_S),
            ]
        )
        if not gone:
            raise NotFound("you have no such key", code="no-such-key")

    async def caller(self, text: str, now_ms: int) -> Caller:
        """Whose key this is, and what it may. Raises Unauthorized."""
        wrong = Unauthorized("this is no key of ours, or it was revoked", code="invalid-key-token")
        id_, _, rest = text.partition(".")
        player = rest.partition(".")[0]
        if not (text.isascii() and is_id("apikey", id_) and is_id("player", player)):
            raise wrong
        found, owner = await self._batch.do_many(
            [("HGET", keys.api_keys(player), id_), ("HMGET", keys.account(player), "name", "role")]
        )
        if found is None or owner[1] not in ("developer", "admin"):
            raise wrong
        key = msgspec.json.decode(found, type=ApiKey)
        if not hmac.compare_digest(key.digest, _digest(text)):
            raise wrong
        if key.until_ms <= now_ms:
            raise Unauthorized("the key has expired: make another one", code="token-expired")
        await self._note(player, id_, now_ms)
        # Never an admin, whoever its owner is.
        return Caller(player, owner[0], key.role, id_, key.until_ms // 1000, key.game, frozenset(key.scopes))

    async def _note(self, player: str, id_: str, now_ms: int) -> None:
        if now_ms - self._noted.get(id_, 0) < USED_EVERY_MS:
            return
        if len(self._noted) >= USED_MOST:
            self._noted.popitem(last=False)
        self._noted[id_] = now_ms
        await self._batch.do("HSET", keys.api_keys_used(player), id_, now_ms)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
