"""Bounds of the sidecar that need no sidecar: the allowance of interactions, the forms of fields."""

from __future__ import annotations

from typing import Any

import pytest

from gamepod.sdk import fields
from gamepod.sdk.answers import CallRefused
from gamepod.sdk.interactions import BURST, PER_S, Allowance


def test_an_allowance_refills_and_never_overflows() -> None:
    """So many at once and no more; a second brings PER_S back; an hour of silence saves no more than BURST."""
    allowance = Allowance(0.0)
    assert allowance.take(BURST, 0.0)
    assert not allowance.take(1, 0.0)
    assert not allowance.take(PER_S + 1, 1.0)
    assert allowance.take(PER_S, 1.0)
    assert not allowance.take(BURST + 1, 3600.0)
    assert allowance.take(BURST, 3600.0)


@pytest.mark.parametrize(
    ("value", "read"),
    [("12", 12), (12, 12), (12.0, 12), (None, None), (str(2**63 - 1), 2**63 - 1), (-(2**63), -(2**63))],
)
def test_numbers_are_read_as_proto3_json_is(value: Any, read: int | None) -> None:
    """Strings and numbers, in either spelling of the name; nothing is nothing."""
    assert fields.whole({"countDiff": value}, "countDiff") == read
    assert fields.whole({"count_diff": value}, "countDiff") == read


@pytest.mark.parametrize("value", ["", "x", "1.5", 1.5, True, [], {}, 2**63, "9" * 20, "١"])
def test_what_is_no_number_is_refused(value: Any) -> None:
    """It names the field."""
    with pytest.raises(CallRefused, match="count must"):
        fields.whole({"count": value}, "count")
