"""The rule set of a registration, whichever way it says whom to put together.

`teams`, or just `players_per_match`, are the plain way: every team full, or once the oldest ticket has waited
`fill_wait_s`, every team at its minimum. That is a rule set too, so one engine makes all matches.
"""

from __future__ import annotations

from typing import Final

from core.errors import Invalid
from core.model import Game, GameSpec, teams_of
from core.model import Team as Bounds
from core.rules.model import Algorithm, RuleSet, Stage, Team
from core.rules.parse import parse
from core.rules.text import tree_of

KEPT: Final = 256  # rule sets read, by game and version: the door looks at one for every ticket

_known: dict[tuple[str, int, int], RuleSet] = {}

# The stage of a match is that of its oldest ticket: a newcomer does not make him wait anew.
_ALGORITHM: Final = Algorithm(age="oldest")


def rules_of(game: Game) -> RuleSet:
    """As `rule_set`, of a registration: known by its version, so that one asked for again costs nothing."""
    key = (game.id, game.version, game.updated_ms)
    found = _known.get(key)
    if found is None:
        if len(_known) >= KEPT:
            del _known[next(iter(_known))]
        found = _known[key] = rule_set(game.spec)
    return found


def rule_set(spec: GameSpec) -> RuleSet:
    """What matches of this game must satisfy. Raises Invalid with a pointer into the registration."""
    if spec.rules is None:
        return _plain(tuple(teams_of(spec)), round(spec.fill_wait_s * 1000))
    tree = tree_of(spec.rules, "/rules")
    try:
        return parse(tree)
    except Invalid as error:
        raise Invalid(error.detail, pointer=f"/rules{error.pointer}".rstrip("/")) from None


def _plain(teams: tuple[Bounds, ...], wait_ms: int) -> RuleSet:
    full = _stage(tuple(Team(team.name, team.name, team.max_players, team.max_players) for team in teams))
    enough = _stage(tuple(Team(team.name, team.name, team.min_players, team.max_players) for team in teams))
    if full == enough or not wait_ms:
        return RuleSet("", {}, (enough,), ())
    return RuleSet("", {}, (full, enough), (wait_ms,))


def _stage(teams: tuple[Team, ...]) -> Stage:
    return Stage(teams, (), _ALGORITHM, frozenset())
