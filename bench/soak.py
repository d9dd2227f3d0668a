"""Ten minutes of the whole stack, sinks to Apache Kafka and RabbitMQ included: does anything grow, lag or fail?

A stack as `make run` starts it, with what carries events away, reads queues and counts; bots play matches over all
transports and take commands from RabbitMQ, locust's users use the API, and ten matches write interactions beside them
(docs/load.md says how much of each). Memory of each part is a line of least squares through its samples after the
warm-up; how far sinks are behind is held against a bound; what was lost, dead-lettered or logged as an error against
nothing. Redis may hold more for each guest, ticket and match, and must not take more than it holds. It keeps little of
its log here, so that its bound is reached in the warm-up. MUSTER_SOAK_S (600, at least 60) and MUSTER_SOAK_RATE
(interactions a second, 3,000) change it; the load test's page is MUSTER_SOAK_REPORT, where that is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from bench.harness import ROOT, Report, percentile, say
from bench.interaction_load import TICK_HZ, Plan, argv
from bench.loadtest.run import lobby, muster, run_load
from bench.loadtest.samples import Sample
from core.cli.folder import StackState
from core.cli.games import DEMO_GAME
from core.redis.client import open_database
from tests.intake.outside import COMMANDS, outside
from tests.sinks.brokers import kafka, rabbitmq
from tests.support import end, free_port

SECONDS = int(os.environ.get("MUSTER_SOAK_S", "600"))
RATE = int(os.environ.get("MUSTER_SOAK_RATE", "3000"))
REPORT = os.environ.get("MUSTER_SOAK_REPORT", "")
WARM_S = min(120.0, SECONDS / 2)  # pools, caches and logs fill
PLAYERS = 5  # of a match that writes
USERS, BOTS = 20, 20
COMMANDS_S = 10.0  # by RabbitMQ, to bots that play
LOG_BATCHES = 1_000  # of a shard's log: half a minute of a match
OURS = (
    "webapi",
    "matchmaker",
    "sinks",
    "intake",
    "analytics",
    "redis",
    "worker",
)  # what must not grow; game servers come and go
GROWTH, GROWTH_MB = 0.05, 3.0  # after the warm-up, whichever is more
# Why a command was not executed though all is well: its match had just ended, or its player not yet joined.
TOO_LATE = {"match-over", "no-match", "not-in-match", "not-begun"}
# What Redis may hold more for each key: guests, their sessions, tickets and matches are kept for hours, 1.04 KB a key
# in the mean, with what is told of them in logs that are bounded.
KEY_MB = 0.0015
LAG_S = 2.0
ASK_S = 2.0
ANSWERED_S = 25.0  # after the last command: twice MUSTER_INTAKE_ANSWER_S, and a look at the metrics


@contextmanager
def _program(folder: Path, name: str, *command: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | env, stdout=log, stderr=log)
    try:
        yield process
    finally:
        end(process)


class Watch:
    """What Redis and the metrics of the sinks and of the intake say, every other second."""

    def __init__(self, redis_url: str, sinks: int, intake: int) -> None:
        self._redis_url, self._sinks, self._intake = redis_url, sinks, intake
        self.held: list[tuple[float, float, int]] = []  # by Redis: seconds since the beginning, MB, keys
        self.lags: dict[str, list[float]] = {}  # by sink, seconds
        self.events: dict[str, float] = {}  # acknowledged, by sink
        self.lost = 0.0
        self.dead: dict[str, float] = {}  # by reason
        self.executed = self.pending = 0.0
        self.reading = asyncio.Event()  # commands are read; before that there is no queue for them

    async def run(self) -> None:
        begun_s = time.monotonic()
        async with aiohttp.ClientSession() as session, open_database(self._redis_url) as db:
            while True:
                await asyncio.sleep(ASK_S)
                memory = await db.do("INFO", "memory")
                self.held.append((time.monotonic() - begun_s, memory["used_memory"] / 1e6, await db.do("DBSIZE")))
                with contextlib.suppress(aiohttp.ClientError):
                    self._see(await _metrics(session, self._sinks), await _metrics(session, self._intake))

    def _see(self, sinks: str, intake: str) -> None:
        for sink, lag in by_label(sinks, "muster_sink_lag_seconds", "sink").items():
            self.lags.setdefault(sink, []).append(lag)
        self.events = by_label(sinks, "muster_sink_events_total", "sink")
        self.lost = sum(by_label(sinks, "muster_sink_lost_batches_total", "sink").values())
        self.dead = by_label(intake, "muster_intake_dead_total", "reason")
        self.executed = sum(by_label(intake, "muster_intake_executed_total", "queue").values())
        self.pending = by_label(intake, "muster_intake_unacked", "queue").get(COMMANDS, 0.0)
        if by_label(intake, "muster_intake_reading", "queue").get(COMMANDS):
            self.reading.set()


async def _metrics(session: aiohttp.ClientSession, port: int) -> str:
    async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        return await answer.text()


def by_label(text: str, name: str, label: str) -> dict[str, float]:
    """The sums of one metric by the values of one of its labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                value = sample.labels.get(label, "")
                found[value] = found.get(value, 0.0) + sample.value
    return found


class Commander:
    """Sends commands to players in running matches through RabbitMQ, as a program of the game's maker would."""

    def __init__(self, api: str, broker: str) -> None:
        self._matches, self._broker = f"{api}/v1/games/{DEMO_GAME}/matches", f"amqp://guest:guest@{broker}/"
        self.sent = 0

    async def run(self, reading: asyncio.Event) -> None:
        await reading.wait()
        async with outside(self._broker) as sender, aiohttp.ClientSession() as session:
            playing: list[tuple[str, str]] = []
            while True:
                if self.sent % (COMMANDS_S * ASK_S) == 0 or not playing:
                    playing = await self._playing(session)
                    if not playing:
                        await asyncio.sleep(ASK_S)
                        continue
                match, player = playing[self.sent % len(playing)]
                command = {"type": "move", "throttle": 1, "turn": 0.2}
                said = {"game": DEMO_GAME, "match": match, "player": player, "command": command}
                await sender.send(COMMANDS, said, f"soak-{self.sent}")
                self.sent += 1
                await asyncio.sleep(1 / COMMANDS_S)

    async def _playing(self, session: aiohttp.ClientSession) -> list[tuple[str, str]]:
        """Match and id of each player who has a seat in a running match."""
        async with session.get(self._matches) as answer:
            matches = (await answer.json())["matches"]
        running = [match for match in matches if match["state"] == "RUNNING"]
        return [(it["id"], player["id"]) for it in running for team in it["teams"] for player in team["players"]]


def _writer(state: StackState) -> list[str]:
    now_s = time.monotonic()
    matches = max(1, round(RATE / (PLAYERS * TICK_HZ)))
    ids = [f"m-{number:026}" for number in range(matches)]
    plan = Plan(
        "write", state.redis_url, DEMO_GAME, ids, players=PLAYERS, begin_s=now_s + 5, end_s=now_s + SECONDS, reads_hz=0
    )
    return argv(plan)


def _errors(folder: Path) -> list[str]:
    """Lines that services logged as errors, and what Python says when it gives up."""
    found = []
    for path in sorted(folder.glob("*.log")):
        for line in path.read_text(errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError, AttributeError):
                if line.startswith("Traceback") or json.loads(line).get("level") in ("error", "critical"):
                    found.append(f"{path.stem}: {line[:300]}")
    return found


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line of least squares through these (x, y); 0 where there are not two different x."""
    x_mean, y_mean = (_mean([point[i] for point in points]) for i in (0, 1))
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread if spread else 0.0


def _grown(report: Report, samples: list[Sample], held: list[tuple[float, float, int]]) -> None:
    """Memory of each part after the warm-up, and what it grew by until the end."""
    held = [it for it in held if WARM_S <= it[0] <= SECONDS]
    more = slope([(at_s, mb) for at_s, mb, _ in held]) * (held[-1][0] - held[0][0])
    new = held[-1][2] - held[0][2]
    report.figure("what redis holds: after the warm-up", _mean([mb for _, mb, _ in held]), "MB")
    report.figure("what redis holds: keys since", new, "keys")
    report.figure("what redis holds: grown since, by least squares", more, "MB", at_most=max(GROWTH_MB, KEY_MB * new))
    warm = [sample for sample in samples if sample.at_s >= WARM_S]
    loaded = [sample for sample in warm if sample.at_s <= SECONDS]
    for part in sorted({part for sample in loaded for part in sample.rss_mb}):
        points = [(it.at_s, it.rss_mb[part]) for it in loaded if part in it.rss_mb]
        mean, grown = _mean([mb for _, mb in points]), slope(points) * (points[-1][0] - points[0][0])
        bound = max(GROWTH * mean, GROWTH_MB) if part in OURS else None
        if part == "redis" and bound is not None:
            bound += more
        report.figure(f"{part}: memory after the warm-up", mean, "MB")
        report.figure(f"{part}: grown since, by least squares", grown, "MB", at_most=bound)
        report.figure(f"{part}: cores", _mean([it.cores.get(part, 0.0) for it in loaded]), "cores")


def _mean(values: list[float]) -> float:
    return sum(values) / max(1, len(values))


async def _soak(report: Report, state: StackState, watch: Watch, commander: Commander, rig: Rig) -> None:
    watching, commanding = asyncio.create_task(watch.run()), asyncio.create_task(commander.run(watch.reading))
    found = await run_load(state.url, state, users=USERS, bots=BOTS, seconds=SECONDS, out=rig.folder, others=rig.others)
    commanding.cancel()
    await asyncio.sleep(ANSWERED_S)
    watching.cancel()
    ended = await asyncio.gather(watching, commanding, return_exceptions=True)
    figures = found.figures()
    if REPORT:
        Path(REPORT).write_text(found.page())
    problems = [*found.problems, *(f"{it!r}" for it in ended if not isinstance(it, asyncio.CancelledError))]
    for problem in problems:
        say(problem)
    report.figure("failed requests, bots, and matches nobody played", len(problems), "problems", at_most=0)
    report.figure("matches played by bots", figures["matches_played"], "matches", at_least=1)
    report.figure("requests answered", figures["requests"], "requests", at_least=1)
    report.figure("... at the 99th percentile within", figures["api_p99_ms"], "ms")
    _carried(report, watch)
    _commanded(report, watch, commander)
    _grown(report, found.sampler.samples, watch.held)


def _carried(report: Report, watch: Watch) -> None:
    """What the sinks did."""
    for sink, events in sorted(watch.events.items()):
        report.figure(f"events acknowledged by {sink}", events / SECONDS, "1/s", at_least=1)
    report.figure("brokers that acknowledged events", len(watch.events), "brokers", at_least=2)
    report.figure("entries of the log lost", watch.lost, "entries", at_most=0)
    for sink, lags in sorted(watch.lags.items()):
        half = len(lags) // 2
        report.figure(f"lag of {sink}, first half, p99", percentile(lags[:half], 0.99), "s")
        report.figure(f"lag of {sink}, second half, p99", percentile(lags[half:], 0.99), "s", at_most=LAG_S)
        warm = [(i * ASK_S, lag) for i, lag in enumerate(lags) if i * ASK_S >= WARM_S]
        report.figure(f"lag of {sink}, grown after the warm-up", slope(warm) * (SECONDS - WARM_S), "s", at_most=1)


def _commanded(report: Report, watch: Watch, commander: Commander) -> None:
    """What became of the commands from RabbitMQ."""
    late = sum(count for reason, count in watch.dead.items() if reason in TOO_LATE)
    wrong = {reason: count for reason, count in watch.dead.items() if reason not in TOO_LATE and count}
    for reason, count in wrong.items():
        say(f"{count:g} commands dead-lettered: {reason}")
    report.figure("commands sent through RabbitMQ", commander.sent, "commands", at_least=1)
    report.figure("... executed", watch.executed, "commands", at_least=1)
    report.figure("... dead-lettered, their match or player not there (yet, any more)", late, "commands")
    report.figure("... dead-lettered for another reason", sum(wrong.values()), "commands", at_most=0)
    report.figure("... taken and not answered", watch.pending, "commands", at_most=0)
    report.figure("... unaccounted for", commander.sent - watch.executed - late - sum(wrong.values()), "commands",
                  at_most=0)  # fmt: skip


@dataclass(frozen=True)
class Rig:
    """Where logs are, and what runs beside the stack: name -> process id."""

    folder: Path
    others: Mapping[str, int]


def main(report: Report) -> None:
    """Start all, load it, look."""
    os.environ["MUSTER_LOG_BATCHES"] = str(LOG_BATCHES)
    with ExitStack() as closers:
        folder = Path(closers.enter_context(tempfile.TemporaryDirectory(prefix="muster-soak-")))
        (folder / "kafka").mkdir()
        (folder / "rabbitmq").mkdir()
        say("starting Kafka, RabbitMQ and a stack")
        topics = closers.enter_context(kafka(folder / "kafka"))
        queues = closers.enter_context(rabbitmq(folder / "rabbitmq"))
        _, state = closers.enter_context(muster("", folder / "stack"))
        assert state is not None
        lobby(state.url, "")
        sinks, intake = free_port(), free_port()
        env = {
            "REDIS_URL": state.redis_url, "KAFKA_BOOTSTRAP_SERVERS": topics.address, "RABBITMQ_HOST": queues.address,
            "MUSTER_SINKS_METRICS_PORT": str(sinks), "MUSTER_INTAKE_METRICS_PORT": str(intake),
            "MUSTER_ANALYTICS_METRICS_PORT": str(free_port()), "MUSTER_SECRET": secrets.token_hex(32),
        }  # fmt: skip
        ours = {
            name: closers.enter_context(_program(folder, name, sys.executable, "-m", f"core.{name}", **env))
            for name in ("sinks", "intake", "analytics")
        }
        writer = closers.enter_context(_program(folder, "writer", *_writer(state)))
        assert topics.process is not None
        assert queues.process is not None
        others = {name: process.pid for name, process in ours.items()}
        others |= {"Kafka": topics.process.pid, "RabbitMQ": queues.process.pid, "load": writer.pid}
        commander = Commander(state.url, queues.address)
        uvloop.run(_soak(report, state, Watch(state.redis_url, sinks, intake), commander, Rig(folder, others)))
        errors = _errors(folder) + _errors(folder / "stack" / "logs")
        for line in errors[:20]:
            say(line)
        report.figure("errors that services logged", len(errors), "lines", at_most=0)
