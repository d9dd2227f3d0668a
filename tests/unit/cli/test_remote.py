"""What commands that speak to a running Muster print, for answers as the API gives them."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from core.cli.__main__ import cli
from core.cli.remote.site import Site

MATCH = {
    "id": "m-1", "game": "tanks", "game_version": 1024, "state": "FAILED", "reason": "crashed", "teams": [],
    "created_at": "2026-11-22T00:00:00.000Z", "trace": "ab",
    "result": {"reason": "crashed", "output": ["last words"], "took_ms": 61_500, "left_ms": 1_795_312_224_834,
               "share": 0.125, "shots": 12_000},
}  # fmt: skip
FLAG = {
    "id": "f", "event": "impossible_speed", "at": "2026-11-22T00:00:00.000Z", "game": "tanks", "match": "m-1",
    "player": "p-1", "about": {"metres": 80.5, "within_ms": 1500, "who": ""},
}  # fmt: skip
LEFT = {"waiting_tickets": 2, "live_matches": 0, "idle_servers": 0, "done": False, "games": []}
ORDER = {"since": "2026-11-22T00:00:00.000Z", "queue": "keep", "note": "disks"}


def printed(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], *words: str) -> dict[str, str]:
    """The lines of a command by their first column, where the API answers like this; '' is all of them."""
    monkeypatch.setattr(Site, "call", lambda *_, **__: answer)
    done = CliRunner().invoke(cli, [*words, "--url", "http://127.0.0.1:1"])
    assert done.exit_code == 0, done.output
    rows = (line.partition("  ") for line in done.output.splitlines())
    return {name: value.strip() for name, _, value in rows} | {"": done.output}


def test_a_match_is_shown_without_repeats_and_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its result repeats is told once; times in words, moments as moments, and its last words once."""
    shown = printed(monkeypatch, MATCH, "match", "tanks", "m-1")
    assert shown[""].count("crashed") == shown[""].count("last words") == 1
    assert {name: shown[name] for name in ("took", "left", "share", "shots", "game version")} == {
        "took": "61.5 s", "left": "2026-11-22T01:50:24.834Z", "share": "0.125", "shots": "12,000",
        "game version": "1024",
    }  # fmt: skip


def test_no_flags_are_good_news_only_where_somebody_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it says that nobody does, since when, and what to start, below flags of before too."""
    at = "2026-11-22T00:00:00.000Z"
    assert printed(monkeypatch, {"flags": [], "counting": True, "counted_at": at}, "flags")[""] == (
        "nothing that cannot be right\n"
    )
    never = printed(monkeypatch, {"flags": [], "counting": False}, "flags")[""]
    assert "nobody ever counted" in never
    assert "python -m core.analytics" in never
    shown = printed(monkeypatch, {"flags": [FLAG], "counting": False, "counted_at": at}, "flags", "tanks")[""]
    assert "metres=80.5 within=1.5 s" in shown
    assert f"Nobody has counted events since {at}. Start" in shown


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        (LEFT, {"new matches": "are made: nothing is drained"}),
        (LEFT | {"drain": ORDER}, {"no new matches since": ORDER["since"], "queues": "wait on",
                                   "empty": "in some seconds: every service has to have heard of it"}),
        (LEFT | {"drain": ORDER | {"queue": "end"}}, {"queues": "are ended", "empty": "no"}),
        (LEFT | {"drain": ORDER, "live_matches": 1}, {"live matches": "1", "empty": "no"}),
        (LEFT | {"drain": ORDER, "done": True}, {"empty": "yes: no match runs, no server stands ready"}),
    ],
)  # fmt: skip
def test_a_drain_says_plainly_where_it_is(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], rows: dict[str, str]
) -> None:
    """Whether new matches are made and since when not, and whether it is empty by now."""
    shown = printed(monkeypatch, answer, "drain", "--show")
    assert {name: shown.get(name) for name in rows} == rows
    assert ("empty" in shown) == ("drain" in answer)
