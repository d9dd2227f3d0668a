"""What webapi counts, in a registry of its own."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core.beats import Beats

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """One object per process. Label values come from the route table, never from a request: their number is bounded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "muster_http_requests", "HTTP requests answered", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "muster_http_request_seconds",
            "Time to answer; streams and long polls are not in it",
            ["route", "method"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.streams = Gauge("muster_streams_open", "Open streams and long polls", ["kind"], registry=self.registry)
        self.cut = Counter(
            "muster_streams_cut", "Streams cut off because their reader was slow", registry=self.registry
        )
        self.hashing = Gauge("muster_password_hashes", "Password hashes waiting or at work", registry=self.registry)
        self.hash_refused = Counter(
            "muster_password_hashes_refused", "Logins refused because the line was full", registry=self.registry
        )
        self.redis_errors = Counter("muster_redis_errors", "Round trips to Redis that failed", registry=self.registry)
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
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count_beats(self, beats: Beats) -> None:
        """Tell what becomes of heartbeats."""
        for name, text, value in (
            ("muster_heartbeats_landed", "Heartbeats that Redis has, since the start", lambda: beats.landed),
            ("muster_heartbeats_lost", "Heartbeats that Redis did not take", lambda: beats.lost),
            ("muster_heartbeats_waiting", "Heartbeats under way to Redis", lambda: beats.waiting),
        ):
            Gauge(name, text, registry=self.registry).set_function(value)

    def answered(self, route: str, method: str, status: int, seconds: float | None) -> None:
        """Count an answer. `seconds` is None where the time says nothing of us."""
        # Looking labels up costs more than counting: each combination is looked up once.
        known = self._known.get((route, method, status))
        if known is None:
            known = (self.requests.labels(route, method, str(status)), self.seconds.labels(route, method))
            self._known[route, method, status] = known
        known[0].inc()
        if seconds is not None:
            known[1].observe(seconds)
