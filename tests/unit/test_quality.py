"""The figures at the end of `make test` count what they say."""

from __future__ import annotations

from tools.quality import report

CODE = '''"""A module.

Of two functions.
"""

from os import path  # code


def short() -> str:
    """Says."""
    # why
    return "a" \\
        "b"


async def test_it() -> None:
    """A test."""
    assert path
'''


def test_lines_of_code_are_neither_blank_nor_comment_nor_docstring() -> None:
    """One import, two heads, a return of two lines and an assert are six; tests are counted, other files are not."""
    lines = report({"core/one.py": CODE, "core/made_pb2.py": CODE, "docs/page.md": "no code"}, "70 %")
    (row,) = [line.split() for line in lines if line.startswith("core")]
    assert row == ["core", "1", "6", "18", "0", "2", "4", "5", "0", "1"]
    assert "coverage   70 %" in lines


def test_what_is_over_a_limit_is_counted() -> None:
    """A file of 351 lines that is a function of 351 is over both."""
    text = "def long() -> None:\n" + "    pass\n" * 350
    (row,) = [line.split() for line in report({"tools/long.py": text}, "") if line.startswith("tools")]
    assert row == ["tools", "1", "351", "351", "1", "1", "351", "351", "1", "0"]


def test_what_was_not_run_is_said() -> None:
    """The audit is no part of a run, and each says so."""
    assert any(line.startswith("audit") and "not part" in line for line in report({}, ""))
