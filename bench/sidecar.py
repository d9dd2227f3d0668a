"""The sidecar of a game: memory with REST only and after gRPC, its start, what a request costs, how late a watch is."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import grpc
import grpc.aio
import psutil

from bench.by_hand import make_match, ready
from bench.harness import ROOT, Report, Stack, percentile, say, stack
from core.model import Ready, Server
from core.redis.client import Database, open_database
from gamepod.sdk.proto.sdk_pb2 import Empty, GameServer, KeyValue
from tests.support import free_port

STARTS = 9
REQUESTS = 10_000
CALLS = 3_000
CHANGES = 1_000
SETTLE_S = 1.0
START_S = 30.0
GAME = Server(command=["sleep", "600"], ready=Ready(when="sdk"))


class Rest:
    """One connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Rest:
        """Connect; tries until somebody listens."""
        async with asyncio.timeout(START_S):
            while True:
                try:
                    return cls(*await asyncio.open_connection("127.0.0.1", port))
                except ConnectionRefusedError:
                    await asyncio.sleep(0.001)

    async def call(self, method: str, path: str, body: bytes = b"") -> bytes:
        """One request and its answer."""
        self._writer.write(b"%b %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (
            method.encode(), path.encode(), len(body), body
        ))  # fmt: skip
        head = await self._reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return await self._reader.readexactly(size)

    async def watch(self) -> None:
        """Turn the connection into a watch; its first message is read."""
        self._writer.write(b"GET /watch/gameserver HTTP/1.1\r\nHost: x\r\n\r\n")
        await self._reader.readuntil(b"\r\n\r\n")
        await self.message()

    async def message(self) -> bytes:
        """The next message of a watch."""
        return await self._reader.readexactly(int(await self._reader.readline(), 16) + 2)


def _memory(pid: int) -> tuple[float, float]:
    """RSS and PSS in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines[1:]}
    return found["Rss"], found["Pss"]


def _cpu_s(pid: int) -> float:
    return sum(psutil.Process(pid).cpu_times()[:2])


async def _started(services: Stack, db: Database) -> tuple[subprocess.Popen[bytes], int, int, float]:
    """A sidecar whose game was told Ready: process, both ports, ms from its start until the SDK answers."""
    made = await make_match(services, db, server=GAME)
    rest, grpc_port = free_port(), free_port()
    env = made.env | {"MUSTER_SDK_PORT": str(rest), "MUSTER_SDK_GRPC_PORT": str(grpc_port)}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "gamepod"], env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    connection = await Rest.to(rest)
    await connection.call("GET", "/gameserver")
    took = (time.perf_counter() - start) * 1000
    await connection.call("POST", "/ready", b"{}")
    await ready(db, made.match.id)
    return process, rest, grpc_port, took


async def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    await asyncio.to_thread(process.wait)


async def _rest(report: Report, pid: int, port: int) -> None:
    connection = await Rest.to(port)
    before, start = _cpu_s(pid), time.perf_counter()
    for _ in range(REQUESTS):
        await connection.call("GET", "/gameserver")
    report.figure("REST, one connection, one after another", REQUESTS / (time.perf_counter() - start), "1/s")
    report.figure("REST, per CPU second of the sidecar", REQUESTS / (_cpu_s(pid) - before), "1/s")


async def _watch(report: Report, port: int) -> None:
    watching, telling = await Rest.to(port), await Rest.to(port)
    await watching.watch()
    late = []
    for number in range(CHANGES):
        body = json.dumps({"key": "n", "value": str(number)}).encode()
        start = time.perf_counter()
        told = asyncio.create_task(telling.call("PUT", "/metadata/label", body))
        await watching.message()
        late.append((time.perf_counter() - start) * 1000)
        await told
    report.figure("label set -> watcher told, median", statistics.median(late), "ms")
    report.figure("label set -> watcher told, p99", percentile(late, 0.99), "ms")


async def _grpc(report: Report, pid: int, port: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        get = channel.unary_unary("/agones.dev.sdk.SDK/GetGameServer", response_deserializer=GameServer.FromString)
        label = channel.unary_unary("/agones.dev.sdk.SDK/SetLabel", response_deserializer=Empty.FromString)
        start = time.perf_counter()
        await get(b"")
        report.figure("first gRPC call, with loading it", (time.perf_counter() - start) * 1000, "ms")
        before, start = _cpu_s(pid), time.perf_counter()
        for number in range(CALLS):
            await label(KeyValue(key="n", value=str(number)).SerializeToString())
        report.figure("gRPC, one connection, one after another", CALLS / (time.perf_counter() - start), "1/s")
        report.figure("gRPC, per CPU second of the sidecar", CALLS / (_cpu_s(pid) - before), "1/s")


async def _measure(report: Report, services: Stack) -> None:
    async with open_database(services.redis.url) as db:
        took, cpu = [], []
        for _ in range(STARTS):
            process, _, _, ms = await _started(services, db)
            took.append(ms)
            cpu.append(_cpu_s(process.pid) * 1000)
            await _ended(process)
        report.figure("start -> the SDK answers, median", statistics.median(took[1:]), "ms", at_most=300)
        report.figure("... CPU until Ready, median", statistics.median(cpu[1:]), "ms", at_most=300)
        process, rest, grpc_port, _ = await _started(services, db)
        try:
            await (await Rest.to(rest)).call("POST", "/health", b"{}")
            await asyncio.sleep(SETTLE_S)
            rss, pss = _memory(process.pid)
            report.figure("RSS, REST only", rss, "MB", at_most=30)
            report.figure("PSS, REST only (Agones' Go sidecar: 14-17)", pss, "MB")
            await _rest(report, process.pid, rest)
            await _watch(report, rest)
            report.figure("RSS, REST only, after the requests", _memory(process.pid)[0], "MB", at_most=30)
            await _grpc(report, process.pid, grpc_port)
            rss, pss = _memory(process.pid)
            report.figure("RSS, after gRPC", rss, "MB")
            report.figure("PSS, after gRPC", pss, "MB")
        finally:
            await _ended(process)


def main(report: Report) -> None:
    """Run it."""
    say(f"{STARTS} starts, {REQUESTS:,} requests, {CHANGES:,} changes watched, {CALLS:,} gRPC calls")
    with stack() as services:
        asyncio.run(_measure(report, services))
