"""Where the metrics of running game servers are, for a Prometheus that has no Kubernetes to ask: on a laptop their
ports are free ones, known to nobody beforehand. A server tells its own with each beat.
"""

from __future__ import annotations

from typing import Final

import msgspec

from core import keys
from core.redis.client import Database

MOST: Final = 1000  # servers; Prometheus has a bound of its own, too

_figures: Final = msgspec.json.Decoder(dict[str, object])


async def targets(db: Database) -> bytes:
    """Live matches' servers in the JSON of `http_sd_configs`, of all games, at most `MOST`. Raises Unavailable."""
    games = sorted(await db.do("SMEMBERS", keys.GAMES))
    live = await db.do_many([("ZRANGE", f"{keys.game(game)}:live", 0, MOST - 1) for game in games]) if games else []
    found = [(game, match) for game, matches in zip(games, live, strict=True) for match in matches][:MOST]
    told = await db.do_many([("HGET", keys.match(*it), "figures") for it in found]) if found else []
    groups = [
        {"targets": [address], "labels": {"game": game}}
        for (game, _), text in zip(found, told, strict=True)
        if (address := _address(text))
    ]
    return msgspec.json.encode(groups)


def _address(text: str | None) -> str:
    """What a server told of its metrics; '' where it told nothing, or nothing of the kind."""
    try:
        address = _figures.decode(text or "{}").get("metrics")
    except msgspec.DecodeError:
        return ""
    return address if isinstance(address, str) else ""
