"""Interactions durable in Redis at 175,000 a second with everything beside it: views, boards, readers, the load itself.

Game servers of 100 players each, all acting 60 times a second (`bench.interaction_load`), write through gamepod's own
code into one Valkey with its append-only file on (`everysec`); on the same machine. As the process launcher starts its
servers, those here lead sessions of their own and go behind Redis and who reads. MUSTER_BENCH_S shortens the run.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from redis import Redis

from bench.harness import ROOT, Report, percentile, say
from bench.interaction_load import TICK_HZ, Plan, argv
from core import keys
from core.redis.embedded import EmbeddedRedis, embedded_redis
from gamepod.flush_stats import ACK_S
from matchmaker.launch.children import give_way
from matchmaker.settings import ProcessSettings
from tests.support import free_port

GAME = "crowd"
PROCESSES = 2
PLAYERS = 100
MATCHES = 30  # of 100 players at 60 Hz: 180,000 interactions a second
SECONDS = float(os.environ.get("MUSTER_BENCH_S", "60"))
PAIRS = 5  # of flat out and plain, in turns
SHORT_S = min(10.0, SECONDS)
WARM_S = 3.0  # imports, connections, and a board with everybody on it
GROWTH = (1, 10, 100)  # matches
GROWTH_PLAYERS = 30  # in each of those: 1,800 interactions a second


@dataclass
class Run:
    """What one run measured. CPU in seconds per million interactions."""

    rate: float  # acknowledged interactions a second
    cpu: float  # of the processes that write, what makes the load up included
    made: float  # ... of making the load up
    redis_cpu: float
    rewrites: float  # of the children that rewrite its append-only file
    acks: list[int]  # batches by the age of their oldest interaction at its acknowledgement
    reads: dict[str, list[float]]  # ms
    late: list[float]  # ms that the reader's own timer was late: what it would wait without asking anybody
    log_bytes: float  # of memory in the log, per interaction
    other_bytes: float  # in views and boards
    file_bytes: float  # that the append-only file grew by, per interaction
    dropped: int


def measure(
    matches: int,
    seconds: float,
    *,
    players: int = PLAYERS,
    mode: str = "write",
    paced: bool = True,
    fsync: str = "everysec",
    read: bool = True,
) -> Run:
    """One run on a Redis of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="muster-bench-") as name,
        embedded_redis(Path(name) / "redis", free_port(), options=["--appendfsync", fsync]) as redis,
    ):
        return _run(redis, matches, players, seconds, mode, paced, read)


def _run(redis: EmbeddedRedis, matches: int, players: int, seconds: float, mode: str, paced: bool, read: bool) -> Run:
    ids = [f"m-{number:026}" for number in range(matches)]
    begin_s = time.monotonic() + WARM_S
    common: dict[str, Any] = {
        "url": redis.url, "game": GAME, "players": players, "begin_s": begin_s, "end_s": begin_s + seconds,
    }  # fmt: skip
    parts = [part for i in range(PROCESSES) if (part := ids[i::PROCESSES])]
    plans = [Plan(mode=mode, matches=part, paced=paced, **common) for part in parts]  # type: ignore[arg-type]
    if read:
        plans.append(Plan(mode="read", matches=ids, **common))
    processes = [
        subprocess.Popen(argv(plan), cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) for plan in plans
    ]
    for process, plan in zip(processes, plans, strict=True):
        if plan.mode != "read":
            give_way(process.pid, ProcessSettings().nice)
    assert redis.process is not None
    watched = psutil.Process(redis.process.pid)
    try:
        time.sleep(max(0.0, begin_s - time.monotonic()))
        before = watched.cpu_times()
        time.sleep(max(0.0, begin_s + seconds - time.monotonic()))
        after = watched.cpu_times()
        made = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    asked = made.pop() if read else {"took": {}, "late": []}
    millions = sum(one["written"] for one in made) / 1e6
    log_bytes, other_bytes, file_bytes = _sizes(redis)
    return Run(
        rate=sum(one["written"] / one["wall_s"] for one in made),
        cpu=sum(one["cpu_s"] for one in made) / millions,
        made=sum(one["made_s"] for one in made) / millions,
        redis_cpu=(after.user + after.system - before.user - before.system) / millions,
        rewrites=sum(after[2:4]) / millions,
        acks=[sum(column) for column in zip(*(one.get("acks", []) for one in made), strict=True)],
        reads=asked["took"],
        late=asked["late"],
        log_bytes=log_bytes,
        other_bytes=other_bytes,
        file_bytes=file_bytes,
        dropped=sum(one.get("dropped", 0) for one in made),
    )


def _sizes(redis: EmbeddedRedis) -> tuple[float, float, float]:
    """Bytes in the log per interaction, bytes in all other keys, bytes of the append-only file per interaction."""
    with Redis.from_url(redis.url, decode_responses=True) as client:
        size, logged = 0, 0
        for base in keys.shards(GAME):
            size += client.memory_usage(f"{base}:log", samples=0) or 0
            last = "-"
            while rows := client.xrange(f"{base}:log", last, "+", count=200):
                logged += sum(int(fields["count"]) for _, fields in rows)
                last = f"({rows[-1][0]}"
        used = client.info("memory")["used_memory_dataset"] - size
        grown = sum(file.stat().st_size for file in (redis.folder / "appendonlydir").iterdir())
        return size / max(1, logged), float(used), grown / max(1, logged)


def _ack_ms(acks: list[int], share: float) -> float:
    """Upper bound of the bucket in which `share` of the batches were acknowledged."""
    left = share * sum(acks)
    for bound, count in zip(ACK_S, acks, strict=False):
        left -= count
        if left <= 0:
            return bound * 1000
    return float("inf")


def _tell(report: Report, name: str, run: Run, *, promised: bool) -> None:
    report.figure(f"{name}: interactions durable", run.rate, "1/s", at_least=175_000 if promised else None)
    report.figure(f"{name}: dropped", run.dropped, "interactions", at_most=0 if promised else None)
    report.figure(f"{name}: CPU of game servers, the load included", run.cpu, "s/million")
    report.figure(f"{name}: ... of which making the load up", run.made, "s/million")
    report.figure(f"{name}: CPU of Redis", run.redis_cpu, "s/million")
    report.figure(f"{name}: CPU of rewrites of its file", run.rewrites, "s/million")
    if run.acks:
        report.figure(f"{name}: happened -> durable, oldest of a batch, p50 (bound)", _ack_ms(run.acks, 0.5), "ms")
        p99_ms = _ack_ms(run.acks, 0.99)
        report.figure(
            f"{name}: happened -> durable, oldest of a batch, p99 (bound)",
            p99_ms,
            "ms",
            at_most=50 if promised else None,
        )
    for kind, took in run.reads.items():
        report.figure(f"{name}: read of {kind}, p50", statistics.median(took), "ms")
        report.figure(f"{name}: read of {kind}, p99", percentile(took, 0.99), "ms", at_most=10 if promised else None)
    if run.late:
        report.figure(f"{name}: lateness of the reader's own timer, p99", percentile(run.late, 0.99), "ms")


def main(report: Report) -> None:
    """Measure the sustained rate, the plain way beside it, each fsync, and growth."""
    say(f"{MATCHES} matches of {PLAYERS} players at {TICK_HZ} Hz for {SECONDS:g} s")
    main_run = measure(MATCHES, SECONDS)
    _tell(report, "sustained", main_run, promised=True)
    report.figure("log in Redis", main_run.log_bytes, "MB/million")
    report.figure("views and boards in Redis", main_run.other_bytes / 1e6, "MB")
    say("as fast as it goes, then the plain way")
    # In turns, as the machine's speed changes with its neighbours; the pair in the middle is told of. Nobody reads
    # beside either: a reader takes a share of the cores that would count against the faster one only.
    pairs = [
        (measure(MATCHES, SHORT_S, paced=False, read=False), measure(MATCHES, SHORT_S, mode="plain", read=False))
        for _ in range(PAIRS)
    ]
    for flat, by_hand in pairs:
        say(f"flat out {flat.rate:,.0f}/s, plain {by_hand.rate:,.0f}/s: {flat.rate / by_hand.rate:.1f}")
    flat, by_hand = sorted(pairs, key=lambda pair: pair[0].rate / pair[1].rate)[PAIRS // 2]
    _tell(report, "flat out", flat, promised=False)
    _tell(report, "plain", by_hand, promised=False)
    report.figure(f"flat out / plain: rate, median of {PAIRS} pairs", flat.rate / by_hand.rate, "ratio", at_least=20)
    cost = (by_hand.cpu + by_hand.redis_cpu) / (flat.cpu + flat.redis_cpu)
    report.figure("plain / flat out: CPU of an interaction, the load and Redis included", cost, "ratio")
    cost = (by_hand.cpu - by_hand.made + by_hand.redis_cpu) / (flat.cpu - flat.made + flat.redis_cpu)
    report.figure("plain / flat out: CPU of writing an interaction, Redis' included", cost, "ratio")
    say("an fsync before each acknowledgement")
    _tell(report, "appendfsync always", measure(MATCHES, SHORT_S, fsync="always"), promised=False)
    for matches in GROWTH:
        say(f"growth: {matches} matches")
        _tell(report, f"{matches} matches", measure(matches, SHORT_S, players=GROWTH_PLAYERS), promised=False)
