"""The drawn lives are those of the tables."""

from __future__ import annotations

from tools.draw_lifecycles import PAGE, page


def test_lifecycle_page_is_fresh() -> None:
    """docs/lifecycle.md is what `make docs` writes now."""
    assert PAGE.read_text() == page()
