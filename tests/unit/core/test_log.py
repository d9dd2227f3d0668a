"""Log lines of the services, as a process writes them."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import asyncio, sys
from core import log
form, level = sys.argv[1:]
log.setup("webapi", form=form, level=level)
stage, other = log.Stage("tickets", "ticket created"), log.get("http")
async def main():
    stage(1_700_000_000_123, {"ticket": "t-1", "players": ["p-1"]})
    stage(1_700_000_000_124, {"ticket": "t-2"})
    other.warning("between", path="/x", error=ValueError("why"))
    stage(1_700_000_001_000, {"ticket": "t-3"})
    try:
        1 / 0
    except ZeroDivisionError:
        other.exception("failed")
    other.debug("nobody asked")
    stage(1_700_000_001_001, {"ticket": "t-4"})
asyncio.run(main())
"""


def written(form: str, level: str) -> str:
    """What the program writes on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, form, level], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stderr


def test_stages_and_other_lines_are_objects_in_order() -> None:
    """Lines of stages are written before any other, and at the exit; each names service, part, level and time."""
    lines = [json.loads(line) for line in written("json", "info").splitlines()]
    assert [line.get("ticket") or line["event"] for line in lines] == ["t-1", "t-2", "between", "t-3", "failed", "t-4"]
    assert lines[0] == {
        "event": "ticket created", "part": "tickets", "level": "info", "service": "webapi",
        "timestamp": "2023-11-14T22:13:20.123Z", "ticket": "t-1", "players": ["p-1"],
    }  # fmt: skip
    assert (lines[2]["level"], lines[2]["part"], lines[2]["error"]) == ("warning", "http", "ValueError('why')")
    assert lines[4]["level"] == "error"
    assert "ZeroDivisionError" in lines[4]["exception"]
    assert {line["service"] for line in lines} == {"webapi"}


def test_a_level_leaves_stages_out() -> None:
    """They are of level info."""
    assert [json.loads(line)["event"] for line in written("json", "warning").splitlines()] == ["between", "failed"]


def test_people_read_them_too() -> None:
    """As text, with the same fields."""
    text = written("text", "info")
    for part in ("ticket created", "t-1", "between", "ZeroDivisionError", "service=webapi"):
        assert part in text
