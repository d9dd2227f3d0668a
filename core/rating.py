"""Skill ratings: what is stored, what a ticket is given of it, and what the board shows. PURE.

A rating is what is believed of a player's skill: a normal distribution with a mean `mu` and a standard deviation
`sigma`, on a scale where a newcomer has 1500 and 500, and of two players 250 apart the better wins two times of three.
It is the usual scale (25 and 25/3) times 60: `mu` and `sigma` are computed on it, so what is computed is what is seen.

Tickets are given `mu`, the best guess, so that a newcomer meets average players. The board shows `mu - 3 sigma`, the
skill that a player has at the least: it begins at 0 and grows with what is known, and nobody leads by three lucky wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from core.errors import Invalid
from core.model import MAX_ATTRIBUTES, RatingSpec, TicketPlayer
from core.season import FIRST, Running

BETA: Final = 250.0  # of skill a player's form on the day deviates by
TAU: Final = 5.0  # added to sigma's square at each match: skill changes, so a rating never freezes
DIGITS: Final = 3  # kept behind the point: far below what one match moves
SHOWN_DIGITS: Final = 2
DEVIATIONS: Final = 3


class Rating(NamedTuple):
    """See the module. `matches` are the ones that moved it."""

    mu: float = 1500.0
    sigma: float = 500.0
    matches: int = 0

    @property
    def attribute(self) -> float:
        """What a ticket is given."""
        return round(self.mu, SHOWN_DIGITS)

    @property
    def board_score(self) -> float:
        """What the board shows."""
        return round(self.mu - DEVIATIONS * self.sigma, SHOWN_DIGITS)

    def text(self, season: int = FIRST.number) -> str:
        """As it is stored, in a season."""
        return f"{round(self.mu, DIGITS)!r} {round(self.sigma, DIGITS)!r} {self.matches} {season}"


NEWCOMER: Final = Rating()


def read_rating(text: str | None, running: Running = FIRST) -> Rating:
    """A stored rating as it came into the running season; the newcomer's where there is none, or none to be read."""
    try:
        mu, sigma, matches, season = (text or "").split()
        return carried(Rating(float(mu), float(sigma), int(matches)), running.share(int(season)))
    except ValueError:
        return NEWCOMER


def carried(rating: Rating, share: float) -> Rating:
    """A rating of which only a share (0-1) goes on: 1 leaves it as it is, 0 makes a newcomer.

    What is believed is drawn to the newcomer's mean, and what is not carried over is as unknown as a newcomer's skill.
    So it makes no difference whether two seasons hand over a half each, or one a quarter.
    """
    if share == 1.0:
        return rating
    if share == 0.0:
        return NEWCOMER
    mu = NEWCOMER.mu + share * (rating.mu - NEWCOMER.mu)
    sigma = math.sqrt((share * rating.sigma) ** 2 + (1 - share * share) * NEWCOMER.sigma**2)
    return Rating(round(mu, DIGITS), round(sigma, DIGITS), rating.matches)


def mode_of(spec: RatingSpec, attributes: Mapping[str, object], pointer: str = "") -> str:
    """The mode that attributes name, the first where they name none; "" in a game without modes. Raises Invalid."""
    if not spec.modes:
        return ""
    mode = attributes.get(spec.mode_attribute, spec.modes[0])
    if not isinstance(mode, str) or mode not in spec.modes:
        raise Invalid(
            f"the mode is one of {', '.join(spec.modes)}", pointer=f"{pointer}/attributes/{spec.mode_attribute}"
        )
    return mode


def match_mode(spec: RatingSpec | None, players: Sequence[TicketPlayer]) -> str | None:
    """Whose ratings a match of these players moves, as `Match.rating_mode`: nobody's where their modes differ."""
    if spec is None:
        return None
    try:
        modes = {mode_of(spec, player.attributes) for player in players}
    except Invalid:  # tickets from before the registration named its modes
        return None
    return modes.pop() if len(modes) == 1 else None


def with_ratings(
    spec: RatingSpec,
    mode: str,
    players: Sequence[TicketPlayer],
    stored: Sequence[str | None],
    running: Running = FIRST,
) -> list[TicketPlayer]:
    """The players of a ticket with their `stored` ratings, and its mode, whatever was asked for. Raises Invalid."""
    filled = []
    for i, (player, text) in enumerate(zip(players, stored, strict=True)):
        attributes = player.attributes | {spec.attribute: read_rating(text, running).attribute}
        if mode:
            attributes |= {spec.mode_attribute: mode}
        if len(attributes) > MAX_ATTRIBUTES:
            raise Invalid(
                f"a player has at most {MAX_ATTRIBUTES} attributes, the rating included",
                pointer=f"/players/{i}/attributes",
            )
        filled.append(msgspec.structs.replace(player, attributes=attributes))
    return filled
