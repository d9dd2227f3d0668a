"""Leaderboards: the window of the activity board, how ties are told apart, and what a page of a board is. PURE.

**Activity** counts interactions of the last 24 hours. One sorted-set member per interaction would be billions, so
counts live in buckets of ten minutes, and a total over all of them is kept beside them. A bucket that leaves the window
is taken out of the total. So an interaction is forgotten up to ten minutes late, and never early.

If everybody's buckets began at the same second, all counts of ten minutes would fall due at once. So they begin ten
seconds apart, each player's at a phase that follows from his name: what is due at a time is a sixtieth, each ten
seconds, and the board of each player is as exact as before. Equal counts rank by name: a count moves up and down all
the time, and nobody reaches it first.

**Score** holds each player's best score, **rating** how skilled he is at least (`core.rating`). On these two, of equal
scores the one that was reached first ranks first. A double has no room for both a score and a time, so the time
is in the member: a sorted set orders equal scores by their members, and a member is the time, counted backwards in
eleven hexadecimal digits, and the player. That is exact for every score that is a double (whole numbers up to 2^53) and
for times to the millisecond until the year 2527; of one millisecond the later name is first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal
from zlib import crc32

from msgspec import Struct

from core.errors import Invalid, NotFound

Board = Literal["activity", "score", "rating"]

BUCKET_S: Final = 600  # 144 buckets of a player a day
SLOT_S: Final = 10  # between the beginnings of two players' buckets: the board moves every ten seconds
SLOTS: Final = BUCKET_S // SLOT_S
WINDOW_S: Final = 86_400
EXPIRE_STEP: Final = 50  # members taken out in one step: 1-2 ms of Redis on a board of a million, which others wait
SPARE_S: Final = 1.0  # of a slot: what fell due is taken out evenly over the rest of it
REST_S: Final = (0.01, 0.25)  # at least, and at most, between two steps where more is left
MAX_TOP: Final = 1_000
MAX_AROUND: Final = 500  # on each side
MAX_PLAYERS_A_CALL: Final = 50  # of one boards_add: 1 ms of Redis on a board of a million
TIE_DIGITS: Final = 11  # before the player in a member of a board whose ties are won by who was first


class Entry(Struct, frozen=True):
    """A line of a board. The best rank is 1."""

    rank: int
    player: str
    score: float


class View(Struct, frozen=True):
    """What was read of a board at one moment: a page, and where one player stands (None: not on the board)."""

    season: int
    entries: list[Entry]
    own: Entry | None
    neighbours: list[Entry]


def slot_of(at_ms: int) -> int:
    """The first second (UTC) of the ten that `at_ms` falls into."""
    seconds = at_ms // 1000
    return seconds - seconds % SLOT_S


def bucket_of(slot: int, player: str) -> int:
    """The first second of the player's bucket that a slot lies in."""
    phase = crc32(player.encode()) % SLOTS * SLOT_S
    return slot - (slot - phase) % BUCKET_S


def oldest_bucket(now_ms: int) -> int:
    """The first second of the oldest bucket still in the window; buckets before it have left."""
    return slot_of(now_ms) - WINDOW_S - BUCKET_S + SLOT_S


def is_past(at_ms: int, player: str, now_ms: int) -> bool:
    """Whether an interaction of `at_ms` no longer counts."""
    return bucket_of(slot_of(at_ms), player) < oldest_bucket(now_ms)


def rest_s(left: int, slot_s: float) -> float:
    """Seconds until the next step of expiry: `left` members are due, and the slot goes on for `slot_s` seconds."""
    least, most = REST_S
    if left <= 0:
        return max(least, slot_s)
    return min(most, max(least, (slot_s - SPARE_S) * EXPIRE_STEP / left))


def count_args(counts: Mapping[tuple[int, str], int]) -> Iterator[tuple[str | int, ...]]:
    """Calls of `boards_add` for counts by (slot, player): their arguments after the number of the batch."""
    buckets: dict[tuple[str, int], int] = {}
    for (slot, player), n in counts.items():
        key = player, bucket_of(slot, player)
        buckets[key] = buckets.get(key, 0) + n
    rows = [(player, bucket, n, "") for (player, bucket), n in buckets.items()]
    return _calls(0, rows)


def score_args(scores: Iterable[tuple[str, float]], at_ms: int) -> Iterator[tuple[str | int, ...]]:
    """The same for scores by player, reached at `at_ms`, that count no interactions."""
    return _calls(at_ms, [(player, 0, 0, str(score)) for player, score in scores])


def _calls(at_ms: int, rows: Sequence[tuple[str | int, ...]]) -> Iterator[tuple[str | int, ...]]:
    for start in range(0, len(rows), MAX_PLAYERS_A_CALL):
        yield (at_ms, *(value for row in rows[start : start + MAX_PLAYERS_A_CALL] for value in row))


def check_board(board: str, mode: str, season: int | None) -> None:
    """Raises Invalid where this board has no modes, or no seasons."""
    if mode and board != "rating":
        raise Invalid("only the rating board has modes", pointer="mode")
    if season is not None and board == "activity":
        raise Invalid("the activity board has no seasons: it always shows the last 24 hours", pointer="season")


def read_view(reply: Sequence[Any], board: str, player: str | None, season: int | None) -> View:
    """The answer of `board_read`. Raises NotFound where there is no such season, or none any more."""
    state, running = reply[0], int(reply[1])
    if state != "ok":
        raise NotFound(f"season {season} is not kept; season {running} is running", code="no-such-season")
    _, _, first, page, place, score, near_first, near = reply
    own = Entry(int(place) + 1, player or "", float(score)) if int(place) >= 0 else None
    skip = 0 if board == "activity" else TIE_DIGITS
    return View(
        running if season is None else season,
        _entries(page, int(first), skip),
        own,
        _entries(near, int(near_first), skip),
    )


def _entries(flat: Sequence[str], first: int, skip: int) -> list[Entry]:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [Entry(first + i + 1, member[skip:], float(score)) for i, (member, score) in enumerate(pairs)]
