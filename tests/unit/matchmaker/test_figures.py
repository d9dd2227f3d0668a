"""How a queue went lately: a window that slides, percentiles, bounded names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from core.insight import Waits
from matchmaker.figures import OTHER, RULES, SLICE_MS, SLICES, Recent
from matchmaker.metrics import Metrics
from matchmaker.rules import Quality

NOW = 1_763_700_000_000


def test_a_window_counts_what_happened_in_it() -> None:
    """Passes, matches by stage, waits, rejections: sums and percentiles of what was told."""
    recent = Recent()
    for i in range(100):
        recent.passed(NOW + i, 0.001 if i else 0.1)
        recent.made(NOW + i, Quality(i % 2, float(i), None if i % 2 else 40.0), [i / 10])
    recent.rejected(NOW, {"Skill": 3, "teams": 1})
    recent.rejected(NOW + 1, {"Skill": 2})
    lately = recent.lately(NOW + 100)
    assert (lately.window_s, lately.passes, lately.pass_ms, lately.longest_pass_ms) == (300, 100, 1.99, 100)
    assert (lately.matches, lately.matched_tickets, lately.stages) == (100, 100, {"0": 50, "1": 50})
    assert lately.rejections == {"Skill": 5, "teams": 1}
    assert lately.waits == Waits(5.0, 9.0, 9.9, 9.9)
    assert (lately.spread, lately.worst_latency_ms) == (49.5, 40)


def test_what_is_long_over_is_forgotten() -> None:
    """Slice by slice; after five quiet minutes nothing is left to tell."""
    recent = Recent()
    assert recent.is_empty(NOW)
    for i in range(3 * SLICES):
        at = NOW + i * SLICE_MS
        recent.made(at, Quality(9, None, None), [1.0, 2.0])
        assert recent.lately(at).matches == min(i + 1, SLICES)
    last = NOW + (3 * SLICES - 1) * SLICE_MS
    assert recent.lately(last).stages == {"5+": SLICES}
    assert recent.lately(last + SLICE_MS).matches == SLICES - 1
    assert not recent.is_empty(last + (SLICES - 1) * SLICE_MS)
    assert recent.is_empty(last + SLICES * SLICE_MS)
    gone = recent.lately(last + SLICES * SLICE_MS)
    assert (gone.matches, gone.waits, gone.spread, gone.rejections) == (0, None, None, {})


def test_rules_beyond_the_bound_are_told_together() -> None:
    """The ones that reject most by name, the rest as one."""
    recent = Recent()
    recent.rejected(NOW, {f"rule{i}": i + 1 for i in range(RULES + 2)})
    told = recent.lately(NOW).rejections
    assert len(told) == RULES + 1
    assert told[OTHER] == 1 + 2
    assert told[f"rule{RULES + 1}"] == RULES + 2


def test_labels_of_rules_are_bounded() -> None:
    """So many names of one game, then `other`; other rules begin anew, and games beyond the bound share one label."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    labels = {metrics.rule("duel", f"rule{i}") for i in range(RULES + 5)}
    assert len(labels) == RULES + 1
    assert OTHER in labels
    assert metrics.rule(OTHER, "rule0") == OTHER
    metrics.rejections.labels("duel", "rule0").inc()
    metrics.rejections.labels(OTHER, OTHER).inc()
    for game in ("duel", "duel", OTHER):
        metrics.forget_rules(game)
    text = generate_latest(registry).decode()
    assert 'rule="rule0"' not in text
    assert 'muster_rejections_total{game="other",rule="other"} 1.0' in text
    assert metrics.rule("duel", "new") == "new"
