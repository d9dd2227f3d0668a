"""Lines of a game server: whatever the form, each says whose it is."""

from __future__ import annotations

import logging

import orjson
import pytest

from gamepod import log
from gamepod.log import JsonLines, Text


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has a match."""
    monkeypatch.setattr(log, "_BOUND", {"service": "gamepod", "game": "duel", "match": "m-1", "trace": "4bf9"})


def record(**extras: str) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": "player joined", "levelname": "INFO", "created": 1_795_312_224.5})
    vars(made).update(extras)
    return made


def test_every_line_has_its_match_and_trace_in_both_forms() -> None:
    """Behind what the line itself tells, which comes first where it names the same."""
    shown = Text().format(record(player="p-1"))
    assert shown == "2026-11-22T01:50:24.500Z info    player joined player=p-1 game=duel match=m-1 trace=4bf9"
    line = orjson.loads(JsonLines().format(record(player="p-1")))
    assert {name: line[name] for name in ("player", "game", "match", "trace")} == {
        "player": "p-1", "game": "duel", "match": "m-1", "trace": "4bf9",
    }  # fmt: skip
    assert "match=m-2" in Text().format(record(match="m-2"))


def test_without_a_match_nothing_is_said_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `muster local` runs the sidecar."""
    monkeypatch.setattr(log, "_BOUND", {"service": "gamepod", "game": "", "match": ""})
    assert Text().format(record()).endswith("info    player joined")
