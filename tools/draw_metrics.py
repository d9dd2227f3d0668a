"""Write docs/metrics.md from the code: every metric of every service, with its port, its labels and what it means.

`make docs` runs it; a test fails where the page is stale. `families` is what tests of dashboards and alerts know by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry

from core.analytics.metrics import Metrics as AnalyticsMetrics
from core.beats import Beats
from core.instruments import watch_redis
from core.intake.metrics import Metrics as IntakeMetrics
from core.model import Match, Server, Timers
from core.sinks.metrics import Metrics as SinkMetrics
from core.times import Trips
from gamepod import figures
from gamepod.arena_game import ArenaGame
from gamepod.flush import Flusher
from gamepod.metrics import Metric, process_metrics
from gamepod.pacer import Pacer
from gamepod.roster import Roster
from gamepod.settings import Settings
from gamepod.worker.metrics import Metrics as WorkerMetrics
from matchmaker.metrics import Metrics as MatchmakerMetrics
from webapi.metrics import Metrics as WebapiMetrics

PAGE: Final = Path(__file__).parent.parent / "docs" / "metrics.md"

HEAD: Final = """# Metrics

Every service has them at `/metrics` of a port of its own, in the text format of Prometheus. Drawn from the code by
`make docs`. What to look at, how to be woken and what to do then is in [monitoring.md](monitoring.md).

**Labels are few and bounded.** `game`: the first 50 games that a process meets by their ids, all others together as
`other`; `rule`: the first 24 of a game, `reader`: 8 of a game, then `other`; `route` is the route's pattern, never a
path. No label holds a player, a ticket, a match or an address: those are in [logs](monitoring.md#logs-and-traces).
"""


class Family(NamedTuple):
    """A metric: `name` as it is queried, but for the suffixes of a histogram."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str

    def series(self) -> list[str]:
        """The names that a query may use."""
        return [self.name + end for end in (("_bucket", "_sum", "_count") if self.kind == "histogram" else ("",))]


class Service(NamedTuple):
    """A service, its metrics port and what it shows there."""

    name: str
    port: int
    families: list[Family]


def services() -> list[Service]:
    """All of them."""
    return [
        Service("webapi", 8000, _webapi()),
        Service("gamepod (a game server, or its sidecar)", 8001, _gamepod()),
        Service("matchmaker", 8002, _with_redis(MatchmakerMetrics)),
        Service("worker of delayed commands", 8003, _with_redis(WorkerMetrics)),
        Service("events to brokers", 8004, _with_redis(SinkMetrics)),
        Service("commands and matches from RabbitMQ", 8005, _with_redis(IntakeMetrics)),
        Service("analytics", 8006, _with_redis(AnalyticsMetrics)),
    ]


def families() -> dict[str, set[str]]:
    """Every name that a query may use, with its labels."""
    found: dict[str, set[str]] = {}
    for service in services():
        for family in service.families:
            for name in family.series():
                found.setdefault(name, set()).update(family.labels)
    return found


def _webapi() -> list[Family]:
    async def made() -> Beats:
        async def call(*_: object) -> list[object]:
            return []

        return Beats(call, 60_000)

    metrics = WebapiMetrics()
    metrics.count_beats(asyncio.run(made()))
    watch_redis(metrics.registry, Trips())
    return _described(metrics.registry)


def _with_redis(kind: Callable[[CollectorRegistry], object]) -> list[Family]:
    registry = CollectorRegistry()
    kind(registry)
    watch_redis(registry, Trips())
    return _described(registry)


def _described(registry: CollectorRegistry) -> list[Family]:
    found = []
    for collector in registry._collector_to_names:
        labels = tuple(getattr(collector, "_labelnames", ()))
        for family in getattr(collector, "describe", list)():
            if family.name.startswith("muster_") and family.type != "info":
                name = family.name + ("_total" if family.type == "counter" else "")
                found.append(Family(name, family.type, labels, family.documentation))
    return found


def _gamepod() -> list[Family]:
    settings = Settings(game="tanks", match="m-1", join_key="k")
    match = Match("m-1", "tanks", 1, 0, [], Server(arena={}), Timers(), 3, 30)
    flusher = Flusher(None, settings, move_ttl_s=30)  # type: ignore[arg-type]  # nothing is written
    game = ArenaGame(settings, Roster(match), flusher, None)
    for counts in (game.gateway.stats.bad_messages, game.gateway.stats.joins_refused):
        counts["x"] = 0  # so that they have their label
    plays: Any = SimpleNamespace(
        gateway=game.gateway, ticks=0, refused={"x": 0}, repeated=0, pacer=Pacer(60, 0.0), landed=0
    )
    plays.metrics = lambda: figures.arena(plays)
    return [_read(one) for one in (*process_metrics(), *figures.metrics(plays, flusher, Trips(), plays, running=True))]


def _read(metric: Metric) -> Family:
    labels = {part.partition("=")[0] for rest, _ in metric.samples for part in rest[1:-1].split(",") if rest[:1] == "{"}
    return Family(metric.name, metric.kind, tuple(sorted(labels)), metric.help)


def page() -> str:
    """The page."""
    parts = [HEAD]
    for service in services():
        parts.append(f"## {service.name}: port {service.port}\n\n| metric | type | labels | what |\n|---|---|---|---|")
        parts += [_row(family) for family in sorted(service.families)]
        parts.append("")
    parts.append(OTHERS)
    return "\n".join(parts)


OTHERS: Final = """## Beside these
webapi, matchmaker, worker and carrier of events also have `process_cpu_seconds_total`, `process_resident_memory_bytes`,
`process_open_fds`, `process_start_time_seconds` and `muster_build_info{service,version}`.
"""


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels) or "–"
    return f"| `{family.name}` | {family.kind} | {labels} | {family.text.rstrip('.')} |"


if __name__ == "__main__":
    PAGE.write_text(page())
