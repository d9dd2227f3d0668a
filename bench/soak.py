"""Ten minutes of the whole stack, sinks to Apache Kafka and RabbitMQ included: does anything grow, lag or fail?

A stack as `make run` starts it, with what carries events away, reads queues and counts; bots play matches over all
transports, locust's users use the API, and ten matches write interactions beside them. Memory of each part in the
last sixth is held against the second sixth, when everything has been in use for a while; how far sinks are behind
against a bound; what was lost or logged as an error against nothing. Redis keeps little of its log here, so that its
bound is reached within the run. MUSTER_SOAK_S (600) and MUSTER_SOAK_RATE (interactions a second, 3,000) change it.
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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
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
from tests.sinks.brokers import kafka, rabbitmq
from tests.support import end, free_port

SECONDS = int(os.environ.get("MUSTER_SOAK_S", "600"))
RATE = int(os.environ.get("MUSTER_SOAK_RATE", "3000"))
PLAYERS = 5  # of a match that writes
USERS, BOTS = 20, 20
LOG_BATCHES = 2_000  # of a shard's log: a minute of a match
OURS = (
    "webapi",
    "matchmaker",
    "sinks",
    "intake",
    "analytics",
    "redis",
    "worker",
)  # what must not grow; game servers come and go
GROWTH, GROWTH_MB = 0.05, 3.0  # whichever is more
LAG_S = 2.0
ASK_S = 2.0


@contextmanager
def _program(folder: Path, name: str, *command: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | env, stdout=log, stderr=log)
    try:
        yield process
    finally:
        end(process)


class Watch:
    """What the sinks' metrics say, every other second."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"
        self.lags: list[float] = []
        self.last: dict[str, float] = {}

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                await asyncio.sleep(ASK_S)
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(self._url) as answer:
                        self.last = sums(await answer.text())
                        self.lags.append(self.last["muster_sink_lag_seconds"])


def sums(text: str) -> dict[str, float]:
    """Each metric over all its labels: the greatest of a gauge, the sum of a counter."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            before = found.get(sample.name, 0.0)
            found[sample.name] = max(before, sample.value) if family.type == "gauge" else before + sample.value
    return found


def _writer(state: StackState) -> list[str]:
    now_s = time.monotonic()
    matches = max(1, round(RATE / (PLAYERS * TICK_HZ)))
    ids = [f"m-{number:026}" for number in range(matches)]
    plan = Plan(
        "write", state.redis_url, DEMO_GAME, ids, players=PLAYERS, begin_s=now_s + 5, end_s=now_s + SECONDS, reads_hz=0
    )
    return argv(plan)


def _errors(folder: Path) -> list[str]:
    """Lines that services logged as errors."""
    found = []
    for path in sorted(folder.glob("*.log")):
        for line in path.read_text(errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError, AttributeError):
                if json.loads(line).get("level") in ("error", "critical"):
                    found.append(f"{path.stem}: {line[:300]}")
    return found


def _grown(report: Report, samples: list[Sample]) -> None:
    sixth = len(samples) // 6
    parts = sorted({part for sample in samples for part in sample.rss_mb})
    for part in parts:
        early = _mean([it.rss_mb.get(part, 0.0) for it in samples[sixth : 2 * sixth]])
        late = _mean([it.rss_mb.get(part, 0.0) for it in samples[-sixth:]])
        bound = early + max(GROWTH * early, GROWTH_MB) if part in OURS else None
        report.figure(f"{part}: memory in the second sixth", early, "MB")
        report.figure(f"{part}: memory in the last sixth", late, "MB", at_most=bound)
        report.figure(f"{part}: cores", _mean([it.cores.get(part, 0.0) for it in samples]), "cores")


def _mean(values: list[float]) -> float:
    return sum(values) / max(1, len(values))


async def _soak(report: Report, state: StackState, sinks_port: int, others: Mapping[str, int], out: Path) -> None:
    watch = Watch(sinks_port)
    watching = asyncio.create_task(watch.run())
    found = await run_load(state.url, state, users=USERS, bots=BOTS, seconds=SECONDS, out=out, others=others)
    watching.cancel()
    figures = found.figures()
    for problem in found.problems:
        say(problem)
    half = watch.lags[len(watch.lags) // 2 :]
    report.figure("failed requests, bots, and matches nobody played", len(found.problems), "problems", at_most=0)
    report.figure("matches played by bots; requests answered", figures["matches_played"], "matches", at_least=1)
    report.figure("requests answered", figures["requests"], "requests", at_least=1)
    report.figure("events acknowledged by both brokers", watch.last["muster_sink_events_total"] / SECONDS, "1/s")
    report.figure(
        "entries of the log lost", watch.last.get("muster_sink_lost_batches_total", 0.0), "entries", at_most=0
    )
    report.figure("lag of the sinks, first half, p99", percentile(watch.lags[: len(half)], 0.99), "s")
    report.figure("lag of the sinks, second half, p99", percentile(half, 0.99), "s", at_most=LAG_S)
    _grown(report, found.sampler.samples)


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
        port = free_port()
        env = {
            "REDIS_URL": state.redis_url, "KAFKA_BOOTSTRAP_SERVERS": topics.address, "RABBITMQ_HOST": queues.address,
            "MUSTER_SINKS_METRICS_PORT": str(port), "MUSTER_INTAKE_METRICS_PORT": str(free_port()),
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
        uvloop.run(_soak(report, state, port, others, folder))
        errors = _errors(folder) + _errors(folder / "stack" / "logs")
        for line in errors[:20]:
            say(line)
        report.figure("errors that services logged", len(errors), "lines", at_most=0)
