"""The outside of RabbitMQ's way in: who sends, who looks at the dead letters, and servers that a test plays itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp

from core import keys
from core.errors import Unavailable
from core.redis.client import Database
from tests.sinks.brokers import Broker
from tests.stack import ROOT
from tests.support import eventually, free_port

COMMANDS, EVENTS = "player_commands", "matchmaking_events"
ANSWER_S = 30.0  # a server that answers nothing for so long is silent, and not only without CPU time for a while
LOAD = "m-load-"  # matches of the test that kills


@dataclass
class Intake:
    """Starts `python -m core.intake` and stops it."""

    broker: Broker
    redis_url: str
    log: Path
    answer_s: float = ANSWER_S
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{self.broker.address}/"

    def start(self) -> subprocess.Popen[bytes]:
        env = os.environ | {
            "REDIS_URL": self.redis_url,
            "RABBITMQ_HOST": self.url,
            "MUSTER_INTAKE_METRICS_PORT": str(self.port),
            "MUSTER_INTAKE_ANSWER_S": str(self.answer_s),
            "MUSTER_INTAKE_ROOM_S": "1",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "core.intake"], cwd=ROOT, env=env, stdout=log, stderr=log
            )
        return self.process

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def metric(self, name: str, queue: str) -> float:
        """The sum of a metric of a queue; 0 while nobody answers."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.port}/metrics") as found,
            ):
                text = await found.text()
        except aiohttp.ClientError:
            return 0.0
        rows = [line for line in text.splitlines() if line.startswith(f"muster_intake_{name}{{") and queue in line]
        return sum(float(line.rpartition(" ")[2]) for line in rows)

    async def reads(self, queue: str = COMMANDS) -> None:
        """Wait until it reads the queue."""

        async def look() -> bool:
            assert self.process is None or self.process.poll() is None, self.log.read_text()
            return await self.metric("reading", queue) == 1

        await eventually(look, within_s=120)


@contextmanager
def running_intake(broker: Broker, redis_url: str, log: Path, answer_s: float = ANSWER_S) -> Iterator[Intake]:
    """An intake for the length of the block, started."""
    made = Intake(broker, redis_url, log, answer_s)
    made.start()
    try:
        yield made
    finally:
        made.kill()


class Outside:
    """A program that knows the broker only."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None
        self._channel: Any = None

    async def open(self) -> None:
        """Connect, again and again until the broker is there."""
        while True:
            try:
                self._connection = await aio_pika.connect(self._url)
                self._channel = await self._connection.channel(publisher_confirms=True)
                return
            except (OSError, aio_pika.exceptions.AMQPException):
                await asyncio.sleep(0.2)

    async def close(self) -> None:
        if self._connection is not None and not self._connection.is_closed:
            await self._connection.close()

    async def send(self, queue: str, body: Any, id_: str | None = None, **more: Any) -> None:
        """Send until the broker has confirmed it. Sent twice it has the same id twice."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        message = aio_pika.Message(data, message_id=id_, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **more)
        while True:
            try:
                await self._channel.default_exchange.publish(message, queue)
                return
            except (OSError, RuntimeError, aio_pika.exceptions.AMQPException):
                await self.open()

    async def purge(self, queue: str) -> None:
        """Empty a queue."""
        await (await self._channel.get_queue(queue)).purge()

    async def get(self, queue: str) -> Any:
        """The next message of a queue, taken out of it; None where it is empty."""
        return await (await self._channel.get_queue(queue)).get(fail=False, no_ack=True)

    async def dead(self, queue: str, count: int = 1) -> list[tuple[str | None, str]]:
        """Id and reason of so many dead letters, in their order, once they are there; they are taken out.

        Not those of LOAD: what was executed there, and its acknowledgement lost with a broker, comes again after its
        servers are gone.
        """
        found: list[tuple[str | None, str]] = []

        async def look() -> bool:
            while (one := await self.get(f"{queue}.dead")) is not None:
                assert one.headers["x-muster-queue"] == queue
                assert one.headers["x-muster-detail"]
                if not (one.message_id or "").startswith(LOAD):
                    found.append((one.message_id, one.headers["x-muster-reason"]))
            return len(found) >= count

        try:
            await eventually(look, within_s=120)
        except AssertionError:
            raise AssertionError(f"{count} dead letters were to come, and these came: {found}") from None
        return found


@asynccontextmanager
async def outside(url: str) -> AsyncIterator[Outside]:
    """Connected for the length of the block."""
    made = Outside(url)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


class PlayedServer:
    """A match's server, played by the test: it keeps what it executes, in order."""

    def __init__(self, db: Database, game: str, match: str) -> None:
        self.db, self.base, self.match = db, keys.game(game), match
        self.executed: list[str] = []
        self.by_player: dict[str, list[int]] = {}
        self._answers: list[str] = []

    async def begin(self) -> None:
        """The match runs, as far as the functions read it."""
        await self.db.do("HSET", f"{self.base}:match:{self.match}", "state", "RUNNING", "server", "s", "ready_ms", 1)

    async def run(self) -> None:
        """Take and answer until cancelled."""
        while True:
            try:
                found, *rest = await self.db.call("inbox_take", self.base, self.match, "s", 64, *self._answers)
            except Unavailable:
                await asyncio.sleep(0.1)
                continue
            assert found == "ok"
            self._answers = []
            for place, id_, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
                said = json.loads(text)
                self.executed.append(id_)
                self.by_player.setdefault(said["player"], []).append(said["command"]["number"])
                self._answers += [place, id_, "done"]
            await asyncio.sleep(0.01)

    def check(self, sent: int) -> None:
        """Each command was executed once, those of a player in their order."""
        assert {id_: n for id_, n in Counter(self.executed).items() if n > 1} == {}
        assert len(self.executed) == sent
        for numbers in self.by_player.values():
            assert numbers == sorted(numbers)
