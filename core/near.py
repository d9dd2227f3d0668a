"""Who is near: the index's calls, and distances on the sphere. PURE.

A game that asks for it (`near` in its registration) has an index of its players' positions, fed with the `move` views
and split as they are, by player: a crowd in one place spreads over all slots, and a player's entry shares a slot with
the view that it points to. A question is put to every shard; each answers with its nearest, and here they are measured
and merged. The index is a hint, right to a metre; what is told is the view, so nobody is told whose position expired.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from core import keys
from core.errors import Invalid
from core.interactions import Move

EARTH_M: Final = 6_372_797.560856  # the radius that Redis takes
POLAR: Final = 84.0  # degrees; nearer to a pole players are only listed
MARGIN_M: Final = 2.0  # the index rounds positions to less than a metre
RADIUS_MOST: Final = 100_000.0  # m: beyond, a shard would look at every player it has
TOP_MOST: Final = 1_000
OTHER_TOP: Final = 1_000  # looked at in each shard near a pole, and beyond the date line: there the order is not ours
INDEXED_MOST: Final = 25_000  # players of one shard, 400,000 of a game; more are not put into the index
ADDED: Final = 200  # by one call

Call = tuple[str, tuple[str | int, ...]]  # base key and arguments of a Redis function


class Near(NamedTuple):
    """A player near a place."""

    player: str
    distance_m: float
    lat: float  # degrees
    lon: float
    at: str  # RFC 3339, when the player was there


def distance_m(lat: float, lon: float, to_lat: float, to_lon: float) -> float:
    """Great-circle distance by the haversine formula."""
    south, north = math.radians(lat), math.radians(to_lat)
    half = math.sin((north - south) / 2) ** 2
    half += math.cos(south) * math.cos(north) * math.sin(math.radians(to_lon - lon) / 2) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(min(1.0, half)))


def check_question(lat: float, lon: float, radius_m: float, top: int) -> None:
    """Raise Invalid for a place that is none, or a circle that is too large. A NaN fails each comparison."""
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise Invalid("a position is a latitude of -90 to 90 and a longitude of -180 to 180", pointer="position")
    if not 0 < radius_m <= RADIUS_MOST:
        raise Invalid(f"radius_m is more than 0 and at most {RADIUS_MOST:g}", pointer="radius_m")
    if not 1 <= top <= TOP_MOST:
        raise Invalid(f"top is 1-{TOP_MOST}", pointer="top")


def near_calls(game: str, moves: Iterable[Move], *, ttl_s: int) -> Iterator[Call]:
    """The calls of `near_add` that put these positions into the index."""
    shards: dict[str, list[str]] = {}
    for move in moves:
        place = (move.player, f"{move.lat:.7f}", f"{move.lon:.7f}")
        shards.setdefault(keys.shard(game, move.player), []).extend(place)
    for base, places in shards.items():
        for start in range(0, len(places), 3 * ADDED):
            yield base, (ttl_s, INDEXED_MOST, *places[start : start + 3 * ADDED])


def questions(lat: float, lon: float, radius_m: float, top: int) -> list[tuple[str, ...]]:
    """Arguments of each `near_find` that whoever is within `radius_m` of a place is found by.

    Redis' index ends near the poles, where players are only listed; and at the date line its search stops: what is
    beyond is asked for from the line's other side, in a circle that has all of it.
    """
    asked: list[tuple[str, ...]] = []
    if abs(lat) + math.degrees(radius_m / EARTH_M) >= POLAR:
        asked.append(("", "0", "0", str(OTHER_TOP)))
    if abs(lat) - math.degrees(radius_m / EARTH_M) > POLAR:
        return asked
    asked.append((repr(lat), repr(lon), repr(radius_m + MARGIN_M), str(top)))
    line = math.copysign(180.0, lon)
    if (to_line := distance_m(lat, lon, lat, line)) <= radius_m:
        asked.append((repr(lat), repr(-line), repr(radius_m + to_line + MARGIN_M), str(OTHER_TOP)))
    return asked


def nearest(
    lat: float, lon: float, radius_m: float, top: int, answers: Iterable[Sequence[str]], *, but: str = ""
) -> list[Near]:
    """What the shards answered, measured: the nearest `top` within the radius, without `but`."""
    found: dict[str, Near] = {}
    for answer in answers:
        for player, at_lat, at_lon, at in zip(*[iter(answer)] * 4, strict=True):
            there = float(at_lat), float(at_lon)
            if player != but and (distance := distance_m(lat, lon, *there)) <= radius_m:
                found[player] = Near(player, round(distance, 2), *there, at)
    return sorted(found.values(), key=lambda one: (one.distance_m, one.player))[:top]
