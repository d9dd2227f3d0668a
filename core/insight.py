"""What a matchmaker tells of a queue beside its matches: why a ticket still waits, how the queue went of late. PURE.

It is told on request (`WhyNot`) or once a second (`Lately`), lives in Redis for seconds, and is nobody's truth: whoever
reads it shows it.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

# rule: a rule of the game. teams: too few players, or none of a fitting party size. full: the game, or its developer,
# has as many servers as allowed. no_room: no host has room for a server. behind: more wait than are looked at at once.
# broken: the registration cannot be read. draining: an operator lets the game make no match.
HeldUp = Literal["", "full", "no_room", "broken", "draining"]
Reason = Literal["rule", "teams", "full", "no_room", "behind", "broken", "draining"]

ANSWER_MS: Final = 2000  # an answer is given again to who asks again so soon
QUESTION_MS: Final = 5000  # a question that nobody answered is forgotten; who asked has gone by then
QUESTIONS: Final = 256  # of one game that stand at the same time
FIGURES_MS: Final = 10_000  # figures that nobody renewed are of a game without a matchmaker


class WhyNot(Struct, frozen=True, omit_defaults=True):
    """Why a ticket had no match in a pass.

    `own` and `met` are the values that a rule saw last: the ticket's, and what it was held against; `times` counts the
    candidate matches it stood in the way of. `opens_ms` is when the next expansion step opens for this ticket.
    """

    reason: Reason
    at_ms: int  # of the pass
    tickets: int  # that wait
    players: int
    rule: str = ""
    wanted: str = ""
    own: float | str | None = None
    met: float | str | None = None
    times: int = 0
    opens_ms: int | None = None


class Waits(Struct, frozen=True):
    """Waits of the tickets that were matched, in seconds."""

    median_s: float
    p90_s: float
    p99_s: float
    longest_s: float


class Lately(Struct, frozen=True, omit_defaults=True):
    """How a queue went in the last `window_s` seconds. What was not seen in them is not there.

    `stages` counts matches by the expansions that were open (0: none), `rejections` how often each rule turned a ticket
    away in a pass. `spread` is the median, over matches, of the widest difference between two tickets in the number
    that the rules compare; `worst_latency_ms` of the highest latency in a match's region.
    """

    window_s: int
    passes: int
    pass_ms: float
    longest_pass_ms: float
    matches: int = 0
    matched_tickets: int = 0
    stages: dict[str, int] = {}
    rejections: dict[str, int] = {}
    waits: Waits | None = None
    spread: float | None = None
    worst_latency_ms: float | None = None


class Figures(Struct, frozen=True, omit_defaults=True):
    """A queue as its matchmaker last saw it. `held_up` says why no match could be made, whoever waits."""

    at_ms: int
    tickets: int
    players: int
    lately: Lately
    held_up: HeldUp = ""
    detail: str = ""  # of a broken registration, for its developer; or of a drain
