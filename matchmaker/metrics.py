"""What the matchmaker tells Prometheus. Labels are bounded: the first `GAMES` games by name, then `other`, and
the same for the rules of a game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core.lifecycle import FAIL_REASONS

GAMES: Final = 50
RULES: Final = 24  # names of one game; further ones are `other`
READERS: Final = 8  # of the log of one game; further ones are `other`
OTHER: Final = "other"
WAITS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
SPREADS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # skills of 0-50 and of 0-5000 alike
LATENCIES_S: Final = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)
LATE_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
PASSES_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class Metrics:
    """The instruments, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"muster_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"muster_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"muster_{name}", text, ("game",), buckets=buckets, registry=registry)

        self.queued = gauge("queue_tickets", "Tickets that wait", "game")
        self.oldest = gauge("queue_oldest_wait_seconds", "Wait of the oldest ticket", "game")
        self.live = gauge("matches_live", "Matches that are placing or running", "game")
        self.leases = gauge("leases_held", "Games that this replica works")
        self.servers = gauge("servers", "Servers this launcher sees", "state")
        self.matches = counter("matches_claimed", "Matches made", "game")
        self.joined = counter("matches_backfilled", "Running matches that got players they asked for", "game")
        self.refused = counter("claims_refused", "Claims that Redis refused", "game", "why")
        self.standbys = gauge(
            "servers_without_match", "Servers that wait for a match, or start for one", "game", "state"
        )
        self.standbys_ended = counter(
            "servers_without_match_ended", "Servers that ended without ever having a match", "game", "reason"
        )
        self.allocations = counter("allocations", "Matches by the server they got", "game", "kind")
        self.idle = counter("servers_idle_seconds", "Time that servers were ready without a match", "game", "kind")
        self.wrong = counter("early_starts_wrong", "Servers started early that no match took", "game")
        self.launches = counter("launches", "Starts of servers", "outcome")
        self.failed = counter("matches_failed", "Matches failed by the matchmaker", "reason")
        self.ended_tickets = counter("tickets_ended", "Tickets that left their queue without a match", "why")
        self.orphans = counter("servers_orphaned", "Servers ended because no live match needed them")
        self.errors = counter("errors", "Unexpected errors while working a game", "game")
        self.rated = counter("matches_rated", "Finished matches by what became of their ratings", "game", "outcome")
        self.to_match = histogram("time_to_match_seconds", "Wait of a ticket until its match was made", WAITS_S)
        self.to_playable = histogram("time_to_playable_seconds", "Match made until its server was ready", WAITS_S)
        self.rejections = counter("rejections", "Times a rule turned a ticket away in a pass", "game", "rule")
        self.stages = counter(
            "matches_by_stage", "Matches made, by the expansion steps that were open", "game", "stage"
        )
        self.spread = histogram("match_spread", "Widest difference in the number that the rules compare", SPREADS)
        self.worst = histogram("match_worst_latency_seconds", "Highest latency in the region of a match", LATENCIES_S)
        self.passes = histogram("pass_duration_seconds", "Duration of one matching pass", PASSES_S)
        self.shards = gauge("presence_shards", "Shards of presence that this replica reports")
        self.tracked = gauge("presence_tracked", "Players online, in these shards")
        self.held = gauge("presence_held", "Shards in which nobody is judged, for nobody could be heard lately")
        self.offline = counter("presence_offline", "Players reported offline")
        self.offline_late = Histogram(
            "muster_presence_late_seconds",
            "How long after a player was due to be offline his report was begun, the latest of each batch",
            buckets=LATE_S,
            registry=registry,
        )
        self.log_lag = gauge(
            "log_reader_lag_seconds",
            "Age of the oldest entry of a game's log that a reader has not read",
            "game",
            "reader",
        )
        self.hooks = counter("webhook_deliveries", "Attempts to call webhooks", "outcome")
        self.hook_waiting = gauge("webhook_waiting", "Events that wait to be delivered", "game")
        self.hook_dead = gauge("webhook_dead", "Deliveries that were given up, and are kept", "game")
        self._show_zeros()
        self._names: set[str] = set()
        self._rules: dict[str, set[str]] = {}
        self._readers: dict[str, set[str]] = {}

    def _show_zeros(self) -> None:
        # A rate begins with the second sample: what was never counted is shown as 0, or its first time would be missed.
        for outcome in ("started", "postponed", "refused", "error"):
            self.launches.labels(outcome)
        for reason in (*FAIL_REASONS, "acceptance_timed_out"):
            self.failed.labels(reason)
        for why in ("timed_out", "unfit", "vanished", "drained"):
            self.ended_tickets.labels(why)
        for outcome in ("delivered", "failed"):
            self.hooks.labels(outcome)
        self.errors.labels("none")

    def name(self, game: str) -> str:
        """The label value for `game`."""
        if game in self._names or len(self._names) < GAMES:
            self._names.add(game)
            return game
        return OTHER

    def begin(self, game: str) -> None:
        """This replica works the game with this label value from now on."""
        self.errors.labels(game)
        self.matches.labels(game)
        for why in ("taken", "full", "stale"):
            self.refused.labels(game, why)

    def rule(self, game: str, rule: str) -> str:
        """The label value for a rule of the game with this label value."""
        if game == OTHER:
            return OTHER
        known = self._rules.setdefault(game, set())
        if rule in known or len(known) < RULES:
            known.add(rule)
            return rule
        return OTHER

    def lags(self, game: str, lags: Mapping[str, float]) -> None:
        """How far the readers of this game's log are behind, s; of those beyond `READERS` the furthest, as `other`."""
        shown: dict[str, float] = {}
        for number, reader in enumerate(sorted(lags)):
            label = reader if number < READERS else OTHER
            shown[label] = max(shown.get(label, 0.0), lags[reader])
        before, self._readers[game] = self._readers.get(game, set()), set(shown)
        for reader in before - shown.keys():
            self.log_lag.remove(game, reader)
        for reader, lag_s in shown.items():
            self.log_lag.labels(game, reader).set(lag_s)

    def forget_rules(self, game: str) -> None:
        """The game with this label value has other rules now, or is not worked here any more."""
        if game != OTHER:  # which several games share
            for rule in (*self._rules.pop(game, ()), OTHER):
                self.rejections.remove(game, rule)

    def forget_hook(self, game: str) -> None:
        """The game with this label value has no webhook any more."""
        for gauge in (self.hook_waiting, self.hook_dead):
            gauge.remove(game)

    def forget(self, game: str) -> None:
        """This replica does not work `game` any more: its gauges would stand still."""
        if game in self._names:
            for gauge in (self.queued, self.oldest, self.live):
                gauge.remove(game)
            for state in ("ready", "starting"):
                self.standbys.labels(game, state)  # one that was never set cannot be removed
                self.standbys.remove(game, state)
            self.forget_hook(game)
            self.forget_rules(game)
            self.lags(game, {})
