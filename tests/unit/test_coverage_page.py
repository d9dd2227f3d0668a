"""docs/coverage.md names tests and benches that exist: a row must not outlive what shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "coverage.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:tests/|bench/|test_)[\w/{},*]+(?:\.py)?)(?=[`:])(?:::(\w+))?", PAGE)))


def alternatives(path: str) -> list[str]:
    """`a_{b,c}.py` is a_b.py and a_c.py."""
    found = re.fullmatch(r"(.*)\{(.*)\}(.*)", path)
    return [found[1] + word + found[3] for word in found[2].split(",")] if found else [path]


@pytest.mark.parametrize(("path", "test"), NAMED, ids=["::".join(filter(None, pair)) for pair in NAMED])
def test_what_is_named_exists(path: str, test: str) -> None:
    """A file by its path, or by its name alone where the row has said the folder; and the test in it."""
    for one in alternatives(path):
        files = list(ROOT.glob(one)) if "/" in one else list((ROOT / "tests").rglob(one))
        assert files, f"docs/coverage.md names {one}"
        if test:
            assert any(f"def {test}(" in file.read_text() for file in files), f"docs/coverage.md names {one}::{test}"


def test_the_page_is_read() -> None:
    """The pattern finds what the page has."""
    assert len(NAMED) > 60
