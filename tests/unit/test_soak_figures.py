"""What the soak makes of samples and metrics: a line through memory, metrics summed by a label."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.soak import by_label, slope


@given(st.floats(-100, 100), st.floats(-1000, 1000), st.integers(2, 50))
def test_a_line_has_its_slope(steep: float, start: float, points: int) -> None:
    """Points on a line have that line's slope, however many they are."""
    line = [(float(x), start + steep * x) for x in range(points)]
    assert slope(line) == pytest.approx(steep, abs=1e-6)


def test_what_goes_up_and_down_does_not_grow() -> None:
    """A saw tooth that ends as it begins is flat, and so is a single sample."""
    assert slope([(float(x), float(x % 2)) for x in range(101)]) == pytest.approx(0, abs=1e-9)
    assert slope([(5.0, 70.0)]) == 0


def test_metrics_are_summed_by_a_label() -> None:
    """Samples of one name that share the label's value are one figure; others are left out."""
    text = (
        "# TYPE muster_intake_dead counter\n"
        'muster_intake_dead_total{queue="a",reason="match-over"} 2.0\n'
        'muster_intake_dead_total{queue="b",reason="match-over"} 1.0\n'
        'muster_intake_dead_total{queue="a",reason="refused"} 4.0\n'
        "# TYPE other gauge\nother 7.0\n"
    )
    assert by_label(text, "muster_intake_dead_total", "reason") == {"match-over": 3, "refused": 4}
    assert by_label(text, "muster_intake_dead_created", "reason") == {}
