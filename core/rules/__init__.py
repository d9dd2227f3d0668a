"""FlexMatch rule sets: read and checked, the same at the door (webapi) and in the matchmaker. Pure: no clock, no I/O.

    reader expression kinds compound attributes expansions parse warn    a tree -> `RuleSet`, or Invalid with a pointer
    text                                                                 JSON or YAML as it was pasted -> the tree
    plain                                                                `teams` of a registration -> the same `RuleSet`
    model                                                                what a rule set is

The language is Amazon GameLift FlexMatch's, version 1.0. What makes matches of it is `matchmaker.rules`.
"""

from core.rules.attributes import Party, check_ticket
from core.rules.model import RuleSet, Stage
from core.rules.parse import parse
from core.rules.plain import rule_set, rules_of

__all__ = ["Party", "RuleSet", "Stage", "check_ticket", "parse", "rule_set", "rules_of"]
