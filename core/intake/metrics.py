"""What reading the broker's queues shows of itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The label `queue` is `player_commands` or `matchmaking_events`; `reason` one of core.intake.messages.REASONS."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, about: str) -> Gauge:
            return Gauge(f"muster_intake_{name}", about, ["queue"], registry=registry)

        def counter(name: str, about: str, *more: str) -> Counter:
            return Counter(f"muster_intake_{name}", about, ["queue", *more], registry=registry)

        self.reading = gauge("reading", "1 while this process reads the queue; 0 while away, or while another does.")
        self.waiting = gauge("waiting", "Messages in the queue that were not handed out, as of some seconds ago.")
        self.unacked = gauge("unacked", "Messages that were taken and are not yet acknowledged.")
        self.lag_s = gauge("lag_seconds", "How long the oldest of these was taken ago.")
        self.taken = counter("taken", "Messages that the broker handed out.")
        self.repeated = counter("repeated", "... of which it said that it had handed them out before.")
        self.executed = counter("executed", "Messages that were acted upon, or had been before.")
        self.dead = counter("dead", "Messages that went to the dead-letter queue.", "reason")
        self.passed_on = counter("passed_on", "Muster's own events, passed on unread.")
