"""What is printed for people."""

from __future__ import annotations

import pytest

from core.cli.remote.shown import duration, plain


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.04, "0.0 s"), (99.94, "99.9 s"), (100, "1 min 40 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min")],
)
def test_waits_fit_a_column(seconds: float | None, words: str) -> None:
    """Seconds while they matter, then minutes, then hours."""
    assert duration(seconds) == words


def test_names_cannot_drive_the_terminal() -> None:
    """A player called after an escape sequence stays a name; numbers stay numbers."""
    assert (
        plain("a\x1b[2Jb\nc\x9b1m")
        == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}1m"
    )
    assert plain(3) == 3
