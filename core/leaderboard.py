"""Leaderboards: time buckets of the activity board, and what a page of a board is. PURE.

The activity board counts interactions of the last 24 hours. One sorted-set member per interaction would be billions,
so counts live in buckets of ten minutes: each bucket has its own counts, and a total over all of them is kept beside
them. A bucket that leaves the window is taken out of the total. Compared with the exact form, an interaction is
forgotten up to one bucket late and never early.

The score board holds each player's best score, the rating board how skilled he is at least (`core.rating`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

Board = Literal["activity", "score", "rating"]

BUCKET_S: Final = 600  # 144 buckets a day: the board moves every ten minutes
WINDOW_S: Final = 86_400
EXPIRE_STEP: Final = 1_000  # members taken out in one step: about a millisecond of Redis
MAX_TOP: Final = 1_000
MAX_PLAYERS_A_CALL: Final = 500  # of one boards_add


class Entry(Struct, frozen=True):
    """A line of a board. The best rank is 1."""

    rank: int
    player: str
    score: float


def bucket_of(at_ms: int) -> int:
    """The first second (UTC) of the bucket that `at_ms` falls into."""
    seconds = at_ms // 1000
    return seconds - seconds % BUCKET_S


def oldest_bucket(now_ms: int) -> int:
    """The first second of the oldest bucket still in the window; buckets before it have left."""
    return bucket_of(now_ms) - WINDOW_S


def is_past(at_ms: int, now_ms: int) -> bool:
    """Whether an interaction of `at_ms` no longer counts."""
    return bucket_of(at_ms) < oldest_bucket(now_ms)


def around_range(rank: int, around: int) -> tuple[int, int]:
    """First and last position (from 0, inclusive) of the `around` neighbours on each side of `rank`."""
    return max(0, rank - 1 - around), rank - 1 + around


def entries(found: Sequence[tuple[str, float]], first: int = 0) -> list[Entry]:
    """Lines of a board from members in descending order, the first of them at position `first` (from 0)."""
    return [Entry(first + i + 1, player, score) for i, (player, score) in enumerate(found)]


def count_args(counts: Mapping[tuple[int, str], int]) -> Iterator[tuple[int, tuple[str | int, ...]]]:
    """Calls of `boards_add` for counts by (bucket, player): bucket, then its arguments after the bucket."""
    buckets: dict[int, list[tuple[str, int]]] = {}
    for (bucket, player), n in counts.items():
        buckets.setdefault(bucket, []).append((player, n))
    for bucket, players in buckets.items():
        for start in range(0, len(players), MAX_PLAYERS_A_CALL):
            chunk = players[start : start + MAX_PLAYERS_A_CALL]
            yield bucket, tuple(value for player, n in chunk for value in (player, n, ""))


def score_args(scores: Iterable[tuple[str, float]]) -> Iterator[tuple[str | int, ...]]:
    """Arguments of `boards_add` after the bucket, for scores by player that count no interactions."""
    players = list(scores)
    for start in range(0, len(players), MAX_PLAYERS_A_CALL):
        chunk = players[start : start + MAX_PLAYERS_A_CALL]
        yield tuple(value for player, score in chunk for value in (player, 0, str(score)))
