"""What a matchmaker tells of a queue, as the API tells it."""

from __future__ import annotations

import msgspec
import pytest

from core.insight import Figures, Lately, WhyNot
from webapi.sentences import Facts, queue_document, why_document

NOW = 1_763_700_000_000
SKILL = WhyNot("rule", NOW - 800, 7, 9, "Skill", "within 50", 1200.0, 1420.5, 3, NOW + 12_400)


@pytest.mark.parametrize(
    ("why", "sentence"),
    [
        (SKILL, "Skill: within 50; you 1200, met 1420.5; relaxes in 12 s"),
        (WhyNot("rule", NOW, 1, 1, "Mode", "the same value", "ranked"), "Mode: the same value; you ranked"),
        (WhyNot("rule", NOW, 1, 1, "Level", "within 1", times=2), "Level: within 1"),
        (
            WhyNot("teams", NOW, 1, 1, "teams", "red of 3 to 5 players", opens_ms=NOW - 5),
            "Too few players wait that would fill the teams: red of 3 to 5 players; relaxes in 0 s",
        ),
        (
            WhyNot("full", NOW, 1, 1, wanted="at most 1 servers at once"),
            "The game has as many servers as it may: the next match waits for one to end",
        ),
        (WhyNot("broken", NOW, 1, 1), "The game's registration cannot be read: its developer has to mend it"),
    ],
    ids=lambda value: value.reason if isinstance(value, WhyNot) else "",
)
def test_a_reason_is_a_sentence(why: WhyNot, sentence: str) -> None:
    """With the values that are known, and when it relaxes."""
    assert why_document(why, NOW).detail == sentence


def test_what_is_not_known_is_left_out() -> None:
    """An answer has its age, and no field without a value; clocks that disagree make no negative time."""
    told = msgspec.to_builtins(why_document(SKILL, NOW))
    assert (told["age_s"], told["relaxes_in_s"], told["met"]) == (0.8, 12.4, 1420.5)
    bare = msgspec.to_builtins(why_document(WhyNot("no_room", NOW + 50, 1, 2), NOW))
    assert sorted(bare) == ["age_s", "detail", "reason", "waiting_players", "waiting_tickets"]
    assert bare["age_s"] == 0


def test_a_queue_without_a_matchmaker() -> None:
    """What Redis knows alone is told, whether or not somebody works the queue."""
    bare = msgspec.to_builtins(queue_document(Facts("duel", 0, None, ""), None, NOW))
    assert bare == {"game": "duel", "waiting_tickets": 0, "oldest_wait_s": 0}
    figures = Figures(NOW - 500, 2, 3, Lately(300, 1, 0.5, 0.5), "broken", "no JSON")
    full = msgspec.to_builtins(queue_document(Facts("duel", 2, NOW - 9000, "replica-1"), figures, NOW))
    assert (full["oldest_wait_s"], full["age_s"], full["held_up"], full["detail"]) == (9, 0.5, "broken", "no JSON")
    assert full["lately"] == {"window_s": 300, "passes": 1, "pass_ms": 0.5, "longest_pass_ms": 0.5}
