"""Versions of a game: which one a new match gets, and whether a candidate fails too often. PURE.

A candidate (canary) is tried on a share of new matches. Which, follows from the match's id alone, so that whoever asks
again gets the same answer. It is compared with the current version by the matches that failed because of their server.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final
from zlib import crc32

import msgspec
from msgspec import Struct, field

from core.errors import Invalid
from core.lifecycle import FAIL_REASONS
from core.model import Game, GameSpec

VERSIONS_KEPT: Final = 20
# If both versions failed as often, so uneven a share of the failures would have this chance at most. It is looked at
# again with each match: of candidates as good, 1 in 300 was stopped within a thousand matches (at 5 to 50 % failures).
CHANCE: Final = 0.0001
FAILURES: Final = 5  # fewer never stop a candidate
SHARE_MOST: Final = 99  # percent
LEAST_RATE: Final = 0.02  # of its matches; a lower rate of failures never does
TERMS: Final = 10_000  # of a sum, whose terms shrink; what is beyond does not count

# A candidate is tried on matches that the current version's rules make, for players who wait by them.
SAME: Final = (
    "players_per_match", "teams", "fill_wait_s", "rules", "acceptance_timeout_s", "rating", "ticket_timeout_s",
    "accepting", "limits",
)  # fmt: skip


class Outcomes(Struct):
    """What came of the matches of one version. The others run still."""

    created: int = 0
    ready: int = 0
    finished: dict[str, int] = field(default_factory=dict)  # by reason
    failed: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> int:
        """Matches that failed because of their server."""
        return sum(self.failed.get(reason, 0) for reason in FAIL_REASONS)

    @property
    def judged(self) -> int:
        """Matches that tell how good the version is: those that ended, well or by a fault of the server."""
        return sum(self.finished.values()) + self.faults


class Canary(Struct, frozen=True):
    """A candidate that is tried."""

    game: Game
    percent: float
    since_ms: int
    before: dict[str, int]  # outcomes of the current version until then, as stored


def outcomes(stored: Mapping[str, str | int], before: Mapping[str, int] | None = None) -> dict[int, Outcomes]:
    """By version, from the hash in Redis; what was `before` is left out."""
    found: dict[int, Outcomes] = {}
    for name, text in stored.items():
        version, what, *reason = name.split(":", 2)
        of = found.setdefault(int(version), Outcomes())
        count = max(0, int(text) - (before or {}).get(name, 0))
        if what == "created":
            of.created = count
        elif what == "ready":
            of.ready = count
        elif count:
            (of.finished if what == "finish" else of.failed)[reason[0] if reason else ""] = count
    return found


def is_candidates(match: str, percent: float) -> bool:
    """Whether this match is one of the candidate's."""
    return crc32(f"canary:{match}".encode()) % 10_000 < percent * 100


def verdict(candidate: Outcomes, current: Outcomes) -> str:
    """Why the candidate is to be stopped, for its developer; '' to go on.

    `FAILURES` of its matches or more failed, `LEAST_RATE` of them or more, and the chance that so many of both
    versions' failures are its own, were they as good as each other, is below `CHANCE` (Fisher's exact test, one-sided).
    Where nothing is known of the current version (all matches are the candidate's), nothing can be told.
    """
    faults, judged = candidate.faults, candidate.judged
    if faults < FAILURES or faults < LEAST_RATE * judged:
        return ""
    if chance_of(faults, judged, current.faults, current.judged) >= CHANCE:
        return ""
    worst = max(FAIL_REASONS, key=lambda reason: candidate.failed.get(reason, 0))
    return (
        f"{faults} of its {judged} matches failed because of the server, most of them {worst}; "
        f"of the current version's {current.faults} of {current.judged}"
    )


def chance_of(faults: int, judged: int, other_faults: int, other_judged: int) -> float:
    """The chance of `faults` or more, were all failures dealt out over all matches, whichever version's they are."""
    every, failed = judged + other_judged, faults + other_faults
    if faults * every <= failed * judged:  # no more than its share
        return 1.0
    log = _log_choose(failed, faults) + _log_choose(every - failed, judged - faults) - _log_choose(every, judged)
    term, total = math.exp(log), 0.0
    for k in range(faults, min(failed, judged, faults + TERMS) + 1):
        total += term
        term *= (failed - k) * (judged - k) / ((k + 1) * (every - failed - judged + k + 1))
    return min(1.0, total)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def check_share(percent: float) -> None:
    """Some matches stay the current version's, to compare with. Raises Invalid."""
    if percent > SHARE_MOST:
        raise Invalid(
            f"at {percent:g} % there is nothing to compare the canary with, so it could never be stopped: at most "
            f"{SHARE_MOST} %, and then promote it, or change the game",
            pointer="/percent",
        )


def check_candidate(current: GameSpec, candidate: GameSpec, version: int) -> None:
    """A candidate differs in what runs, not in who plays it together. Raises Invalid."""
    for name in SAME:
        if msgspec.to_builtins(getattr(current, name)) != msgspec.to_builtins(getattr(candidate, name)):
            raise Invalid(
                f"a canary is tried on matches that version {version} makes, so `{name}` must be as it is there: "
                "change it before, or after the canary was promoted",
                pointer=f"/spec/{name}",
            )
