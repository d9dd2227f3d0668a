"""Instruments that cost nothing until somebody scrapes tell the same as the library's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from core.instruments import Counts, Histograms, watch_redis, watched_counter, watched_gauge
from core.times import Times, Trips

BOUNDS = (0.001, 0.01, 0.1, 1.0)


def lines(registry: CollectorRegistry) -> list[str]:
    """A scrape, its lines sorted: the order of series says nothing."""
    return sorted(generate_latest(registry).decode().splitlines())


@given(st.lists(st.tuples(st.sampled_from(["/a", '/"b"']), st.floats(0, 5)), max_size=50))
def test_as_the_library_counts(seen: list[tuple[str, float]]) -> None:
    """Counters and histograms by label, at the bounds too: the text of a scrape is the same."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = Counts("made", "Made.", ["route"], ours)
    times = Histograms("took_seconds", "Took.", ["route"], BOUNDS, ours)
    counter = Counter("made", "Made.", ["route"], registry=theirs)
    histogram = Histogram("took_seconds", "Took.", ["route"], buckets=BOUNDS, registry=theirs)
    for route, seconds in [*seen, ("/a", 0.01), ("/a", 1.0)]:
        counts.inc((route,))
        times.at((route,)).observe(seconds)
        counter.labels(route).inc()
        histogram.labels(route).observe(seconds)
    assert lines(ours) == lines(theirs)


def test_numbers_that_are_counted_elsewhere() -> None:
    """They are asked for at each scrape."""
    registry, number = CollectorRegistry(), [1]
    watched_counter(registry, "beats", "Beats.", lambda: number[0])
    watched_gauge(registry, "waiting", "Waiting.", lambda: 10 * number[0])
    number[0] = 2
    assert {"beats_total 2.0", "waiting 20.0"} <= set(lines(registry))


def test_round_trips_to_redis() -> None:
    """Those that came back by their time, those that did not as errors."""
    registry, trips = CollectorRegistry(), Trips()
    watch_redis(registry, trips)
    trips.took.observe(0.0005)
    trips.took.observe(9.0)
    trips.failed += 1
    shown = lines(registry)
    assert 'muster_redis_round_trip_seconds_bucket{le="0.0005"} 1.0' in shown
    assert 'muster_redis_round_trip_seconds_bucket{le="+Inf"} 2.0' in shown
    assert "muster_redis_errors_total 1.0" in shown


def test_a_name_is_taken_once() -> None:
    """Two metrics of a name would be two series of a name, which Prometheus refuses at the scrape."""
    registry = CollectorRegistry()
    Counts("made", "Made.", [], registry)
    with pytest.raises(ValueError, match="made"):
        Histograms("made", "Took.", [], BOUNDS, registry)


def test_times() -> None:
    """A value at a bound is within it."""
    times = Times(BOUNDS)
    for seconds in (0.0, 0.001, 0.0011, 2.0):
        times.observe(seconds)
    assert (times.counts, round(times.total_s, 4)) == ([2, 1, 0, 0, 1], 2.0021)
