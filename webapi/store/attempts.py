"""What the trail of audit events (`webapi.trail`) has of a player: by his id, and by the name entered for him."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from core import keys
from core.redis.batch import Batch
from webapi.names import fold

LOG: Final = f"{keys.AUDIT}:log"
AT_ONCE: Final = 500  # entries of one read: half a ms of Redis
READS: Final = 100  # the trail has 40,000 at most


async def of_player(batch: Batch, player: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Id in the trail and document of each event that is about the player. Raises Unavailable."""
    name, was = await batch.do("HMGET", keys.account(player), "name", "was")
    names = {fold(it) for it in (name, was) if it}
    start = "-"
    for _ in range(READS):
        rows = await batch.do("XRANGE", LOG, start, "+", "COUNT", AT_ONCE)
        for id_, fields in rows:
            pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
            event = msgspec.json.decode(pairs["data"])
            if player in (event["player"], event["by"]) or fold(event["name"]) in names:
                yield str(id_), event
        if len(rows) < AT_ONCE:
            return
        start = f"({rows[-1][0]}"


async def forget(batch: Batch, player: str) -> None:
    """Take them out of the trail. What a sink has not carried away goes too. A repeat changes nothing."""
    found = [id_ async for id_, _ in of_player(batch, player)]
    for i in range(0, len(found), AT_ONCE):
        await batch.do("XDEL", LOG, *found[i : i + AT_ONCE])
