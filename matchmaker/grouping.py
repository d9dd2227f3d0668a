"""Grouping: which waiting tickets become which matches. PURE and deterministic.

The oldest ticket is the anchor: it gets the first choice of everything. A match is made when every team is full, or,
once its anchor has waited `fill_wait_s`, when every team has its minimum. A ticket's players stay together in one
team. If any legal match with the anchor exists, one is made, and older tickets are preferred at every choice.

Two observations keep it fast. Tickets of one size are exchangeable, so of each size only the oldest few matter,
and where no match can be made with a ticket, none can be made with a younger one of its size. A pool of single players
is cut into slices. Parties are a small exact-fill problem, searched depth first, oldest first, with a memory of what
failed; the search is bounded by `NODES`, beyond which (never seen for usual shapes) an anchor waits for a better pool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Final, TypeAlias

from core.model import Team, Waiting

NODES: Final = 2000  # of one search, about 10 ms; at most one search fails per ticket size and pass

_Aged: TypeAlias = tuple[int, Waiting]  # place in the order of age, ticket


@dataclass(frozen=True, slots=True)
class Seat:
    """A ticket and the team all its players are in."""

    ticket: Waiting
    team: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A match that can be made. Seats are in order of the tickets' age: the anchor's is the first."""

    seats: tuple[Seat, ...]

    @property
    def tickets(self) -> list[str]:
        return [seat.ticket.id for seat in self.seats]


def group(
    tickets: Iterable[Waiting], teams: Sequence[Team], *, fill_wait_s: float, now_ms: int, most: int
) -> list[Proposal]:
    """At most `most` matches from `tickets` (oldest first) for `teams`, in order of their anchors' age."""
    pool = _Pool(tickets)
    due_ms = now_ms - int(fill_wait_s * 1000)
    proposals: list[Proposal] = []
    while len(proposals) < most and (size := pool.oldest_size()):
        candidates = pool.candidates(sum(team.max_players for team in teams))
        chosen = _full(candidates, teams)
        if chosen is None and candidates[0].since_ms <= due_ms:
            chosen = _enough(candidates, teams)
        if chosen is None:
            pool.give_up(size)
            continue
        proposals.append(Proposal(tuple(Seat(candidates[i], teams[t].name) for i, t in sorted(chosen.items()))))
        pool.take(len(candidates[i].players) for i in chosen)
    return proposals


class _Pool:
    """Tickets by size, each size oldest first."""

    def __init__(self, tickets: Iterable[Waiting]) -> None:
        self._by_size: dict[int, deque[_Aged]] = {}
        for aged in enumerate(tickets):
            self._by_size.setdefault(len(aged[1].players), deque()).append(aged)

    def oldest_size(self) -> int:
        """Size of the oldest ticket; 0 where none is left."""
        return min(self._by_size, key=lambda size: self._by_size[size][0][0], default=0)

    def candidates(self, players: int) -> list[Waiting]:
        """The tickets that matter for a match of so many players, oldest first: no others could be a better choice."""
        # One even of a size that no team can hold, so that the anchor is always the first.
        few = [islice(queue, max(1, players // size)) for size, queue in self._by_size.items()]
        ordered = few[0] if len(few) == 1 else merge(*few)
        return [ticket for _, ticket in ordered]

    def take(self, sizes: Iterable[int]) -> None:
        """Remove the oldest ticket of each of `sizes`."""
        for size in sizes:
            queue = self._by_size[size]
            queue.popleft()
            if not queue:
                del self._by_size[size]

    def give_up(self, size: int) -> None:
        """No match can be made with any ticket of this size."""
        del self._by_size[size]


def _full(candidates: Sequence[Waiting], teams: Sequence[Team]) -> dict[int, int] | None:
    """Candidate -> team so that every team is full, with candidate 0; None where that cannot be."""
    full = [team.max_players for team in teams]
    total = sum(full)
    if len(candidates) >= total and all(len(ticket.players) == 1 for ticket in islice(candidates, total)):
        seats = [t for t, players in enumerate(full) for _ in range(players)]
        return dict(enumerate(seats))
    return _Search(candidates, full, full).run()


def _enough(candidates: Sequence[Waiting], teams: Sequence[Team]) -> dict[int, int] | None:
    """Candidate -> team so that every team has its minimum, with candidate 0, and then as many as fit."""
    room = [team.max_players for team in teams]
    chosen = _Search(candidates, [team.min_players for team in teams], room).run()
    if chosen is None:
        return None
    for i, team in chosen.items():
        room[team] -= len(candidates[i].players)
    for i, ticket in enumerate(candidates):
        size = len(ticket.players)
        team = max(range(len(teams)), key=lambda t: (room[t], -t))
        if i not in chosen and size <= room[team]:
            chosen[i] = team
            room[team] -= size
    return _oldest_of_each_size(chosen, candidates)


def _oldest_of_each_size(chosen: dict[int, int], candidates: Sequence[Waiting]) -> dict[int, int]:
    """The same choice with each ticket exchanged for the oldest free one of its size."""
    heads: dict[int, deque[int]] = {}
    for i, ticket in enumerate(candidates):
        heads.setdefault(len(ticket.players), deque()).append(i)
    return {heads[len(candidates[i].players)].popleft(): team for i, team in sorted(chosen.items())}


class _Search:
    """Puts tickets into teams until each has at least `goal` and at most `room` players."""

    def __init__(self, candidates: Sequence[Waiting], goal: Sequence[int], room: Sequence[int]) -> None:
        self._sizes = [len(ticket.players) for ticket in candidates]
        self._candidates = candidates
        self._missing = list(goal)
        self._room = list(room)
        self._after = [0]  # players in candidates i and later
        for size in reversed(self._sizes):
            self._after.append(self._after[-1] + size)
        self._after.reverse()
        self._chosen: dict[int, int] = {}
        self._failed: set[tuple[int, int, tuple[int, ...]]] = set()
        self._nodes = NODES

    def run(self) -> dict[int, int] | None:
        """Candidate -> team, with candidate 0 among them; None where none is found."""
        return _oldest_of_each_size(self._chosen, self._candidates) if self._fill(0, 0) else None

    def _fill(self, start: int, banned: int) -> bool:
        """Reach the goal with candidates from `start` on, leaving out the sizes in the bit set `banned`."""
        short = sum(missing for missing in self._missing if missing > 0)
        if short == 0:
            return True
        state = (start, banned, tuple(self._missing))
        if short > self._after[start] or self._nodes == 0 or state in self._failed:
            return False
        self._nodes -= 1
        for i in range(start, len(self._sizes)):
            size = self._sizes[i]
            if banned >> size & 1:
                continue
            if self._seat(i, size, banned):
                return True
            if start == 0:
                break  # the anchor is in, or there is no match
            # Another ticket of this size would do no better, neither here nor further down.
            banned |= 1 << size
        self._failed.add(state)
        return False

    def _seat(self, i: int, size: int, banned: int) -> bool:
        """Try candidate `i` in every team that needs it, the neediest first; of teams that look the same only one."""
        tried = set()
        for team in sorted(range(len(self._room)), key=lambda t: -self._missing[t]):
            look = (self._missing[team], self._room[team])
            if look[0] <= 0 or size > look[1] or look in tried:
                continue
            tried.add(look)
            self._missing[team] -= size
            self._room[team] -= size
            self._chosen[i] = team
            if self._fill(i + 1, banned):
                return True
            del self._chosen[i]
            self._missing[team] += size
            self._room[team] += size
        return False
