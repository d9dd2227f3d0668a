"""Commands from RabbitMQ to the inboxes of running matches: how many a second, and how soon each is executed.

A real RabbitMQ, `python -m core.intake`, Valkey, and eight servers' inboxes (`gamepod.inbox`, as a server runs it) that
note when a command is executed; all on the same cores. Beside it, in the same run, a plain consumer that reads the same
messages and acknowledges each: what RabbitMQ and its client take anyway.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import aio_pika
import psutil

from bench.harness import Report, percentile, say
from core import keys
from core.redis.client import Database, open_database
from core.redis.embedded import embedded_redis
from core.redis.lean import LeanRedis
from gamepod.inbox import Inbox
from gamepod.store import Store
from tests.intake.outside import COMMANDS, Intake
from tests.sinks.brokers import rabbitmq
from tests.support import free_port

GAME: Final = "tanks"
MATCHES: Final = 8
PLAYERS: Final = 4  # of each
BURST: Final = 10_000
PACED_S: Final = 10.0
RATE: Final = 200  # a second
PREFETCH: Final = 512


class Servers:
    """The inboxes of all matches, woken as by a beat that says so."""

    def __init__(self, db: Database, url: str) -> None:
        self._db, self._redis = db, LeanRedis(url)
        self.late_ms: list[float] = []
        stores = [Store(self._redis, GAME, f"m-{n}", f"s-{n}") for n in range(MATCHES)]
        self._inboxes = [Inbox(store, self._execute) for store in stores]

    async def begin(self) -> None:
        for n in range(MATCHES):
            await self._db.do("HSET", keys.match(GAME, f"m-{n}"), "state", "RUNNING", "server", f"s-{n}", "ready_ms", 1)
        for inbox in self._inboxes:
            inbox.wake()

    def _execute(self, text: str) -> str:
        self.late_ms.append((time.time_ns() - json.loads(text)["command"]["at"]) / 1e6)
        return "done"

    async def until(self, count: int) -> None:
        while len(self.late_ms) < count:
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        for inbox in self._inboxes:
            await inbox.close()
        self._redis.close()


async def _send(channel: Any, number: int, queue: str = COMMANDS) -> None:
    said = {"game": GAME, "match": f"m-{number % MATCHES}", "player": f"p-{number % (MATCHES * PLAYERS)}"}
    body = json.dumps({**said, "command": {"type": "shoot", "at": time.time_ns()}}).encode()
    message = aio_pika.Message(body, message_id=f"c-{number}", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    await channel.default_exchange.publish(message, queue)


async def _fill(channel: Any, first: int) -> None:
    await channel.declare_queue(COMMANDS, durable=True)
    for start in range(first, first + BURST, 200):
        await asyncio.gather(*(_send(channel, number) for number in range(start, start + 200)))


async def _plain(channel: Any) -> float:
    """Messages a second that are read and acknowledged one by one, and nothing else."""
    await channel.set_qos(prefetch_count=PREFETCH)
    queue, seen, over = await channel.get_queue(COMMANDS), 0, asyncio.Event()

    async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        nonlocal seen
        await message.ack()
        seen += 1
        if seen == BURST:
            over.set()

    began = time.perf_counter()
    tag = await queue.consume(take)
    await over.wait()
    took = time.perf_counter() - began
    await queue.cancel(tag)
    return BURST / took


async def _through(intake: Intake, servers: Servers) -> tuple[float, float]:
    """Commands a second from a full queue to their execution; and a CPU second of the intake."""
    process = psutil.Process(intake.start().pid)
    await servers.until(1)
    began, used = time.perf_counter(), sum(process.cpu_times()[:2])
    first = len(servers.late_ms)
    await servers.until(BURST)
    count = BURST - first
    return count / (time.perf_counter() - began), count / (sum(process.cpu_times()[:2]) - used)


async def _paced(channel: Any, late_ms: list[float], queue: str) -> None:
    """Send at a steady rate, until all have come that were sent; how late each is, `late_ms` is told by who reads."""
    late_ms.clear()
    began = time.perf_counter()
    tasks = []
    for number in range(int(RATE * PACED_S)):
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        tasks.append(asyncio.create_task(_send(channel, 10 * BURST + number, queue)))
    await asyncio.gather(*tasks)
    while len(late_ms) < len(tasks):
        await asyncio.sleep(0.005)


async def _plain_paced(channel: Any) -> list[float]:
    """Ms from sending until a plain consumer has the message."""
    late_ms: list[float] = []
    queue = await channel.declare_queue("bench-plain", durable=True)

    async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        late_ms.append((time.time_ns() - json.loads(message.body)["command"]["at"]) / 1e6)
        await message.ack()

    await queue.consume(take)
    await _paced(channel, late_ms, queue.name)
    return late_ms


async def _run(report: Report, intake: Intake, redis_url: str) -> None:
    connection = await aio_pika.connect(intake.url)
    async with connection, open_database(redis_url) as db:
        channel = await connection.channel(publisher_confirms=True)
        say(f"{BURST} messages")
        await _fill(channel, 0)
        plain = await _plain(channel)
        await _fill(channel, BURST)
        servers = Servers(db, redis_url)
        await servers.begin()
        rate, of_cpu = await _through(intake, servers)
        plain_late = await _plain_paced(channel)
        await _paced(channel, servers.late_ms, COMMANDS)
        await servers.close()
    report.figure("commands from the queue to their execution", rate, "commands/s")
    report.figure("a plain consumer that only acknowledges", plain, "messages/s")
    report.figure("ratio of the two", rate / plain, "times")
    report.figure("commands a CPU second of the intake", of_cpu, "commands", at_least=2000)
    for share in (0.5, 0.99):
        late, bare = percentile(servers.late_ms, share), percentile(plain_late, share)
        report.figure(f"from sending to execution at {RATE}/s, p{share * 100:g}", late, "ms")
        report.figure("... to a plain consumer", bare, "ms")
    added = percentile(servers.late_ms, 0.5) - percentile(plain_late, 0.5)
    report.figure("added to the median", added, "ms", at_most=100)


def main(report: Report) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rabbit").mkdir()
        (folder / "redis").mkdir()
        with rabbitmq(folder / "rabbit") as broker, embedded_redis(folder / "redis", free_port()) as redis:
            intake = Intake(broker, redis.url, folder / "intake.log")
            try:
                asyncio.run(_run(report, intake, redis.url))
            finally:
                intake.kill()
                if os.environ.get("MUSTER_BENCH_LOGS"):
                    say(intake.log.read_text()[-2000:])
