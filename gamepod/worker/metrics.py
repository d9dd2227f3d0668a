"""What a worker tells Prometheus. Labels are bounded: the first `GAMES` games by name, then `other`."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

GAMES: Final = 50
OTHER: Final = "other"
AGES_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)


class Metrics:
    """The instruments, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"muster_{name}", text, labels, registry=registry)

        self.waiting = Gauge("muster_packs_waiting", "Packs that wait", ["game"], registry=registry)
        self.oldest = Gauge(
            "muster_packs_oldest_seconds", "How long the oldest pack waits", ["game"], registry=registry
        )
        self.packs = counter("packs", "Packs by what became of them", "game", "outcome")
        self.commands = counter("commands_executed", "Commands executed", "game")
        self.failures = counter("packs_failures", "Failed packs by code", "game", "code")
        self.troubles = counter("packs_troubles", "Players put off because their handler could not be asked", "game")
        self.fenced = counter("packs_fenced", "Results thrown away: another worker has the player by now")
        self.deaths = counter("handler_deaths", "Ends of the process that runs Python handlers")
        self.errors = counter("worker_errors", "Unexpected errors")
        self.seconds = Histogram(
            "muster_packs_batch_seconds", "Work taken until written", ["game"], buckets=AGES_S, registry=registry
        )
        self._names: set[str] = set()

    def name(self, game: str) -> str:
        """The label value for `game`."""
        if game in self._names or len(self._names) < GAMES:
            self._names.add(game)
            return game
        return OTHER
