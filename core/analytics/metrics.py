"""What counting events shows of itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The label is the source: `redis` or `kafka`; of flags the kind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connected = Gauge(
            "muster_analytics_connected", "1 while events can be read.", ["source"], registry=registry
        )
        self.events = Counter("muster_analytics_events", "Events counted.", ["source"], registry=registry)
        self.lag_s = Gauge(
            "muster_analytics_lag_seconds", "Age of the oldest event of the last round.", ["source"], registry=registry
        )
        self.lost = Counter(
            "muster_analytics_lost", "Entries of logs, or records, that were gone before they were read.", ["source"],
            registry=registry,
        )  # fmt: skip
        self.unreadable = Counter(
            "muster_analytics_unreadable", "Entries that this version cannot read.", ["source"], registry=registry
        )
        self.flags = Counter("muster_analytics_flags", "What cannot be right.", ["event"], registry=registry)
