"""What the demo reports, and when it is not content."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.cli.bot import Tale
from core.cli.report import BoardLine, Report, make_report, percentile, to_json, to_text
from core.cli.table import table

LINES = [BoardLine(1, "bot 2", 12.0)]


def tales(number: int = 4) -> list[Tale]:
    """Bots that all did well."""
    return [
        Tale(f"bot {i}", ("udp", "tcp", "ws")[i % 3], f"p-{i}", "m-1", 10.0, 10.5, 11.0 + i, 5, 100, over=True)
        for i in range(number)
    ]


def report(bots: list[Tale], **changes: Any) -> Report:
    """The report of these bots where all else is well."""
    values: dict[str, Any] = {
        "per_match": 4,
        "states": {"m-1": "ENDED"},
        "logged": {f"p-{i}": 5 for i in range(4)},
        "boards": {"activity": LINES, "score": []},
        "servers_listed": 0,
        "servers_running": 0,
        "seconds": 12.345,
    }
    return make_report(bots, **values | changes)


def test_report_of_a_good_run() -> None:
    """Figures are those of the bots, and nothing is wrong."""
    found = report(tales())
    assert found.problems == []
    assert found.wires == {"tcp": 1, "udp": 2, "ws": 1}
    assert (found.tickets, found.matches, found.matches_ended) == (4, 1, 1)
    assert (found.interactions_accepted, found.interactions_logged) == (20, 20)
    assert found.first_snapshot_p50_ms == 3000.0
    assert found.first_snapshot_p99_ms == 4000.0
    assert json.loads(to_json(found))["snapshots"] == 400
    text = to_text(found)
    assert "4 (1 tcp, 2 udp, 1 ws)" in text
    assert "interactions found in Redis           20" in text
    assert "What went wrong" not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"logged": {"p-0": 4, "p-1": 5, "p-2": 5, "p-3": 6}}, "5 interactions were accepted, 4 are in Redis"),
        ({"states": {"m-1": "FAILED"}}, "1 matches were expected; there were 1, of which 0 ended"),
        ({"states": {"m-1": "ENDED", "m-2": "ENDED"}}, "there were 2"),
        ({"servers_listed": 2}, "2 servers are still listed by the API"),
        ({"servers_running": 1}, "1 servers are still running as processes"),
    ],
)
def test_what_does_not_add_up_is_told(changes: dict[str, Any], words: str) -> None:
    """A missing interaction, a match that did not end and a server left over are each named."""
    found = report(tales(), **changes)
    assert any(words in problem for problem in found.problems)
    assert "What went wrong" in to_text(found)


def test_failed_bot_is_told() -> None:
    """A bot's failure is in the report with its name and wire, also when sums happen to agree."""
    bots = tales()
    bots[1].failure = "OSError: refused"
    assert report(bots).problems == ["bot 1 (tcp): OSError: refused"]


def test_silent_run_is_no_success() -> None:
    """Where nothing was accepted, equal sums prove nothing."""
    bots = tales()
    for bot in bots:
        bot.accepted = 0
    assert report(bots, logged={}).problems == ["no interaction was accepted at all"]


def test_percentiles() -> None:
    """Nearest rank; of nothing it is 0."""
    assert percentile([], 0.5) == 0.0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(list(map(float, range(100))), 0.99) == 99.0


def test_table_leans_numbers_right() -> None:
    """Columns are as wide as they need; numbers get separators and lean right."""
    assert table([("a", 1), ("bbb", 1234)], head=("who", "n")) == "who      n\n---  -----\na        1\nbbb  1,234"
    assert table([(True, 1.25)]) == "yes  1.2"
    assert table([]) == ""
