"""Instruments for Prometheus that cost next to nothing until somebody scrapes: what they count is plain numbers.

`Counts` and `Histograms` are for what happens with every request; the library's own take a lock and look up labels each
time. `watched` shows numbers that are counted elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Info, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from core.process import version
from core.times import Times, Trips

disable_created_metrics()  # type: ignore[no-untyped-call] # half as many lines, of times that nobody asks for

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class _Described(Collector):
    """A collector of one family, which the registry can ask for its name before there is anything in it."""

    def __init__(self, empty: Callable[[], Family], registry: CollectorRegistry) -> None:
        self._empty = empty
        self._labelnames = tuple(empty()._labelnames)
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        return [self._empty()]


class Counts(_Described):
    """A counter by labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._by_labels: dict[tuple[str | int, ...], int] = {}
        super().__init__(lambda: CounterMetricFamily(name, text, labels=labels), registry)

    def inc(self, labels: tuple[str | int, ...]) -> None:
        self._by_labels[labels] = self._by_labels.get(labels, 0) + 1

    def collect(self) -> Iterable[Metric]:
        family = self._empty()
        for labels, count in self._by_labels.items():
            family.add_metric([str(label) for label in labels], count)  # type: ignore[call-arg, arg-type]
        return [family]


class Histograms(_Described):
    """A histogram by labels."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._bounds = bounds
        self._by_labels: dict[tuple[str, ...], Times] = {}
        super().__init__(lambda: HistogramMetricFamily(name, text, labels=labels), registry)

    def at(self, labels: tuple[str, ...] = ()) -> Times:
        """What is counted with these labels."""
        found = self._by_labels.get(labels)
        if found is None:
            found = self.take(labels, Times(self._bounds))
        return found

    def take(self, labels: tuple[str, ...], times: Times) -> Times:
        """Show these, which are counted elsewhere."""
        self._by_labels[labels] = times
        return times

    def collect(self) -> Iterable[Metric]:
        family = self._empty()
        for labels, times in self._by_labels.items():
            below, buckets = 0, []
            for bound, count in zip([*map(str, times.bounds), "+Inf"], times.counts, strict=True):
                below += count
                buckets.append((bound, below))
            family.add_metric(labels, buckets, times.total_s)  # type: ignore[arg-type]
        return [family]


class _Watched(_Described):
    def __init__(self, empty: Callable[[], Family], value: Callable[[], float], registry: CollectorRegistry) -> None:
        self._value = value
        super().__init__(empty, registry)

    def collect(self) -> Iterable[Metric]:
        family = self._empty()
        family.add_metric([], self._value())  # type: ignore[call-arg, arg-type]
        return [family]


def watched_counter(registry: CollectorRegistry, name: str, text: str, value: Callable[[], float]) -> None:
    """Show a number that only rises and is counted elsewhere."""
    _Watched(lambda: CounterMetricFamily(name, text), value, registry)


def watched_gauge(registry: CollectorRegistry, name: str, text: str, value: Callable[[], float]) -> None:
    """Show a number that is kept elsewhere."""
    _Watched(lambda: GaugeMetricFamily(name, text), value, registry)


TRIP: Final = ("muster_redis_round_trip_seconds", "Round trips to Redis that came back, pipelines as one")
TRIPS_FAILED: Final = ("muster_redis_errors", "Round trips to Redis that did not come back")


def watch_redis(registry: CollectorRegistry, trips: Trips) -> None:
    """Show how this process gets on with Redis."""
    Histograms(*TRIP, (), trips.took.bounds, registry).take((), trips.took)
    watched_counter(registry, *TRIPS_FAILED, lambda: trips.failed)


def new_registry(service: str) -> CollectorRegistry:
    """A registry with what every service tells: its memory, CPU time and open files, and what it is."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry, pid=os.getpid)
    Info("muster_build", "What runs here", registry=registry).info({"service": service, "version": version()})
    return registry
