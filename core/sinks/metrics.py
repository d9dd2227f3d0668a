"""What carrying events shows of itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Labels are the sink (`kafka`, `rabbitmq`) and the name of an event."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connected = Gauge("muster_sink_connected", "1 while the broker is reached.", ["sink"], registry=registry)
        self.events = Counter(
            "muster_sink_events", "Events that the broker acknowledged.", ["sink", "event"], registry=registry
        )
        self.lag_s = Gauge(
            "muster_sink_lag_seconds", "Age of the oldest event of the last round.", ["sink"], registry=registry
        )
        self.waiting = Gauge(
            "muster_sink_waiting_entries",
            "Entries read that found no room in the last round.",
            ["sink"],
            registry=registry,
        )
        self.lost = Counter(
            "muster_sink_lost_batches", "Entries of logs that were trimmed unread.", ["sink"], registry=registry
        )
        self.unreadable = Counter(
            "muster_sink_unreadable", "Entries that this version cannot read.", ["sink"], registry=registry
        )
        self.send_s = Histogram(
            "muster_sink_send_seconds", "From sending a batch to its acknowledgement.", ["sink"], registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )  # fmt: skip

    def begin(self, sink: str) -> None:
        """Events are carried there from now on. What was never counted is shown as 0: a rate begins with that."""
        for one in (self.connected, self.lag_s, self.waiting, self.lost, self.unreadable, self.send_s):
            one.labels(sink)
