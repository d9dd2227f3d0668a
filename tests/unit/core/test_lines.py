"""A line in a game's output is found as it comes, and whatever the pattern, a line is gone through once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.lines import LINE_BYTES, LineLook, any_matches, matches


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        ("listening", "12:00 listening on 7", True),
        ("listening", "12:00 Listening on 7", False),
        ("on * port *7", "on any port 17", True),
        ("on * port *7", "port 7 on any", False),
        ("a*a", "a", False),
        ("(.*)+$", "((((((((((", False),
        ("(.*)+$", "(.)+$", True),
        ("*up*", "it is up", True),
    ],
)
def test_a_pattern_is_text_with_stars(pattern: str, line: str, found: bool) -> None:
    """A star is any text, also none; everything else is itself, and its case counts."""
    assert matches(pattern, line) is found


def test_a_hostile_pattern_costs_one_look() -> None:
    """What takes a regular expression for ever: a hundred stars over the longest line, which does not match."""
    assert not matches("a*" * 100 + "b", "a" * LINE_BYTES)


@given(st.lists(st.sampled_from(["is up", "no", "x" * 50, "\n", "is", " up", "é"])), st.integers(1, 7))
def test_pieces_are_put_together(words: list[str], size: int) -> None:
    """However the output is cut, the line is found exactly where it is in one line."""
    text = "".join(words)
    look, data = LineLook("is up"), text.encode()
    for i in range(0, len(data), size):
        look.feed(data[i : i + size])
    assert look.found is any_matches("is up", text)


def test_a_line_without_end_is_bounded() -> None:
    """Of a line that never ends so much is looked at, and no more is kept."""
    look = LineLook("up")
    for _ in range(100):
        look.feed(b"x" * 1000)
    assert not look.feed(b"up")
    assert look.feed(b"\nup")
