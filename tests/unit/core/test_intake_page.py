"""docs/intake.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from core.intake.messages import REASONS

PAGE = Path(__file__).parents[3] / "docs" / "intake.md"


def test_the_page_has_every_reason() -> None:
    """With the words of the code, and none besides."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert {reason: words for reason, words in rows if "_" not in reason} == REASONS
