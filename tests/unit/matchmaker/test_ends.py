"""The last lines of a match's log, whichever end is seen first."""

from __future__ import annotations

from typing import Any

import pytest

from matchmaker import ends
from matchmaker.ends import LEAVING, Ends

Lines = list[tuple[str, str, str]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What is said: event, match and trace."""
    said: Lines = []

    def stage(event: str) -> Any:
        return lambda _, fields: said.append((event, fields["match"], fields["trace"]))

    monkeypatch.setattr(ends, "match_over", stage("over"))
    monkeypatch.setattr(ends, "server_ended", stage("ended"))
    return said


def test_the_server_ends_after_its_match(lines: Lines) -> None:
    """As it should be: it is told to stop, and its end is known by a name alone."""
    known = Ends("tanks")
    known.live("m-1", "m-1", "t1")
    known.over(["m-1"])
    known.server_ended("m-1")
    known.server_ended("m-1")
    known.over(["m-1"])
    assert lines == [("over", "m-1", "t1"), ("ended", "m-1", "t1")]


def test_the_server_ends_first(lines: Lines) -> None:
    """It crashed; the match is judged afterwards. Names are the launcher's, also of servers that were there before."""
    known = Ends("tanks")
    known.live("m-1", "m-1", "t1")
    known.live("m-1", "w-1", "t1")  # it took one that waited
    known.server_ended("m-1")
    known.server_ended("w-1")
    known.over(["m-1"])
    assert lines == [("ended", "m-1", "t1"), ("over", "m-1", "t1")]


def test_strangers_have_no_lines_and_what_is_kept_is_bounded(lines: Lines) -> None:
    """Servers of other matchmakers' matches end without one, and so does the oldest of too many."""
    known = Ends("tanks")
    known.server_ended("m-0")
    known.over(["m-0"])
    assert lines == []
    for number in range(LEAVING + 1):
        known.live(f"m-{number}", f"m-{number}", "t")
    known.over([f"m-{number}" for number in range(LEAVING + 1)])
    lines.clear()
    known.server_ended("m-0")
    known.server_ended("m-1")
    assert lines == [("ended", "m-1", "t")]
