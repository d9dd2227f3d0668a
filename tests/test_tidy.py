"""The style rules hold for this tree, and each rule finds what it is for."""

from __future__ import annotations

import pytest

from tests import tidy


def messages(findings: object) -> list[str]:
    """The findings' messages."""
    return [finding.message for finding in findings]  # type: ignore[attr-defined]


def test_this_tree_is_tidy() -> None:
    """No file of the project breaks a rule."""
    assert tidy.check(tidy.tracked(tidy.ROOT)) == []


def test_long_file_is_found() -> None:
    """A file may have 350 lines and not one more; a page of prose may be longer."""
    assert not list(tidy.lengths("core/a.py", "x = 1\n" * (tidy.MAX_FILE_LINES - 1)))
    assert messages(tidy.lengths("core/a.py", "x = 1\n" * tidy.MAX_FILE_LINES))
    assert not list(tidy.lengths("docs/a.md", "words\n" * 1000))


def test_long_function_is_found() -> None:
    """A function may have 70 lines with its signature, at any depth."""
    fits = "class A:\n  def f(self):\n" + "    x = 1\n" * (tidy.MAX_FUNCTION_LINES - 1)
    assert not list(tidy.lengths("core/a.py", fits))
    assert "71 lines" in messages(tidy.lengths("core/a.py", fits + "    x = 1\n"))[0]


def test_missing_docstrings_are_found() -> None:
    """A module with content has a docstring, and so has every test; an empty file needs none."""
    assert not list(tidy.docstrings("core/__init__.py", ""))
    assert messages(tidy.docstrings("core/a.py", "x = 1\n")) == ["the module has no docstring"]
    assert not list(tidy.docstrings("core/a.py", '"""Says."""\ndef test_me(): pass\n'))
    assert "test_me" in messages(tidy.docstrings("tests/a.py", '"""Says."""\nasync def test_me(): pass\n'))[0]


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # TO" + "DO later",
        "// FIX" + "ME",
        'open("/ho' + 'me/someone/file")',
        "cd /wo" + "rk/here",
        "index = https://py" + "pi.org/simple",
        "FROM docker" + ".io/library/python",
    ],
)
def test_words_that_must_not_stay_are_found(line: str) -> None:
    """Marks of unfinished work, paths of one machine and registries are found in any file."""
    assert len(messages(tidy.words("docs/a.md", f"fine\n{line}\n"))) == 1


@pytest.mark.parametrize(
    "line", ["/v1/work/x of https://example.org/ho" + "me/x", "the todo list", "~/ho" + "me/x", "${A}/root/x"]
)
def test_harmless_words_are_left_alone(line: str) -> None:
    """Addresses, relative paths and ordinary words are no findings."""
    assert not list(tidy.words("docs/a.md", line))


def test_dead_module_is_found() -> None:
    """A module that no other imports is dead; relative, late and submodule imports count, tests do not."""
    found = tidy.dead(
        {
            "core/__init__.py": "",
            "core/__main__.py": "from core.cli import up\n",
            "core/cli/__init__.py": "",
            "core/cli/up.py": "def f():\n    from .. import late\n    from . import beside\n",
            "core/cli/beside.py": "import core.cli.beside\n",
            "core/late.py": "",
            "core/lost.py": "import core.lost\n",
            "tests/test_lost.py": "import core.lost\n",
            "core/api.py": "",
            "gamepod/up.py": "",
            "gamepod/embed.py": "",
        }
    )
    assert [finding.path for finding in found] == ["core/lost.py"]


def test_entrance_that_is_gone_is_found() -> None:
    """The list of modules for outsiders names none that does not exist."""
    assert "core.api" in messages(tidy.dead({"core/__init__.py": ""}))[0]
