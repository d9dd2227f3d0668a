"""What webapi counts, in a registry of its own."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

from core.beats import Beats
from core.instruments import Counts, Histograms, new_registry, watch_redis, watched_counter, watched_gauge
from core.redis.client import Database

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """One object per process. Label values come from the route table, never from a request: their number is bounded."""

    def __init__(self) -> None:
        self.registry = new_registry("webapi")
        self._requests = Counts(
            "muster_http_requests", "HTTP requests answered", ["route", "method", "status"], self.registry
        )
        self._seconds = Histograms(
            "muster_http_request_seconds",
            "Time to answer; streams and long polls are not in it",
            ["route", "method"],
            BUCKETS_S,
            self.registry,
        )
        self.streams = Gauge("muster_streams_open", "Open streams and long polls", ["kind"], registry=self.registry)
        self.cut = Counter(
            "muster_streams_cut", "Streams cut off because their reader was slow", registry=self.registry
        )
        self.hashing = Gauge("muster_password_hashes", "Password hashes waiting or at work", registry=self.registry)
        self.hash_refused = Counter(
            "muster_password_hashes_refused", "Logins refused because the line was full", registry=self.registry
        )
        self.locked_out = Counter("muster_logins_locked_out", "Logins refused by lock-out", registry=self.registry)
        self.auth_events = Counter(
            "muster_auth_events",
            "Audit events; `reason` is the code of a refusal",
            ["event", "via", "reason"],
            registry=self.registry,
        )
        self.trail_waiting = Gauge(
            "muster_auth_events_waiting", "Audit events that Redis has not acknowledged", registry=self.registry
        )
        self.trail_dropped = Counter(
            "muster_auth_events_dropped", "Audit events that are in the log only", registry=self.registry
        )
        self.lines = Counter(
            "muster_auth_lines", "Requests over TCP lines, by answer", ["type", "outcome"], registry=self.registry
        )
        self.line_connections = Gauge(
            "muster_auth_connections", "Open connections to the auth listener", registry=self.registry
        )
        self.relay_open = Gauge("muster_relay_open", "Relayed connections", registry=self.registry)
        self.relay_ended = Counter(
            "muster_relay_ended",
            "Relayed connections that ended: by our close code, by the client (left) or by both (closed)",
            ["outcome"],
            registry=self.registry,
        )
        self.relay_bytes = Counter(
            "muster_relay_bytes", "Bytes relayed, by who sent them", ["from"], registry=self.registry
        )

    def watching(self, db: Database) -> Database:
        """Tell how Redis answers."""
        watch_redis(self.registry, db.trips)
        return db

    def count_beats(self, beats: Beats) -> None:
        """Tell what becomes of heartbeats."""
        watched_counter(self.registry, "muster_heartbeats", "Heartbeats that Redis has", lambda: beats.landed)
        watched_counter(self.registry, "muster_heartbeats_lost", "Heartbeats that it did not take", lambda: beats.lost)
        watched_gauge(self.registry, "muster_heartbeats_waiting", "Heartbeats on their way", lambda: beats.waiting)

    def answered(self, route: str, method: str, status: int, seconds: float | None) -> None:
        """Count an answer. `seconds` is None where the time says nothing of us."""
        self._requests.inc((route, method, status))
        if seconds is not None:
            self._seconds.at((route, method)).observe(seconds)
