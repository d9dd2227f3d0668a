"""One queue of the broker: what comes from it, and where goes what cannot be taken. The only import of aio_pika here.

A queue has one reader at a time (an exclusive consumer), so that its order is kept: others wait to take over.
A connection that is lost is made anew, ever more slowly; what was not acknowledged is handed out again then.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aio_pika
from aio_pika import DeliveryMode
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import AMQPException, ChannelInvalidStateError, ChannelNotFoundEntity
from aiormq.exceptions import ChannelAccessRefused
from yarl import URL

from core.errors import Unavailable
from core.intake.metrics import Metrics
from core.log import get

CONNECT_S: Final = 10.0
ANSWER_S: Final = 10.0  # of the broker, to whatever it is told
HEARTBEAT_S: Final = 10  # a peer that says nothing for twice that is gone
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
TURN_S: Final = 2.0  # another process reads the queue: asked again after so long
LOOK_S: Final = 2.0  # between two looks at the queue's length
KEPT: Final = 100_000  # messages in a dead-letter queue that we declare; the oldest go
DEAD: Final = ".dead"
log = get("intake")


class Taken:
    """A message that was handed out, until it is settled."""

    __slots__ = ("message", "since_s")

    def __init__(self, message: AbstractIncomingMessage) -> None:
        self.message, self.since_s = message, time.monotonic()

    @property
    def id(self) -> str | None:
        return self.message.message_id

    @property
    def app(self) -> str | None:
        return self.message.app_id

    @property
    def body(self) -> bytes:
        return self.message.body

    @property
    def again(self) -> bool:
        """Whether it was handed out before."""
        return bool(self.message.redelivered)

    @property
    def tag(self) -> int:
        """Its number on this link."""
        return self.message.delivery_tag or 0


class Link:
    """A connection that reads one queue. After `check` has raised Unavailable it is of no more use."""

    def __init__(self, name: str, channel: AbstractChannel, out: AbstractChannel, metrics: Metrics) -> None:
        self.name, self.rung = name, asyncio.Event()
        self._channel, self._out, self._metrics = channel, out, metrics
        self._came: deque[Taken] = deque()
        self._open: dict[int, Taken] = {}
        self._lost = ""

    def came(self, message: AbstractIncomingMessage) -> None:
        taken = Taken(message)
        self._came.append(taken)
        self._open[taken.tag] = taken
        self._metrics.taken.labels(self.name).inc()
        self._metrics.repeated.labels(self.name).inc(taken.again)
        self.rung.set()

    def lose(self, why: object) -> None:
        """It is of no more use."""
        self._lost = self._lost or str(why) or "closed"
        self.rung.set()

    def check(self) -> None:
        """Raises Unavailable where the broker is gone."""
        if self._lost:
            raise Unavailable(f"RabbitMQ is gone: {self._lost}")

    def take(self) -> list[Taken]:
        """What has come since the last call, in its order. Raises Unavailable."""
        self.check()
        self.rung.clear()
        found = list(self._came)
        self._came.clear()
        oldest = min((taken.since_s for taken in self._open.values()), default=time.monotonic())
        self._metrics.unacked.labels(self.name).set(len(self._open))
        self._metrics.lag_s.labels(self.name).set(time.monotonic() - oldest)
        return found

    async def done(self, taken: Taken) -> None:
        """It was acted upon. Raises Unavailable."""
        self._metrics.executed.labels(self.name).inc()
        await self._ack(taken)

    async def dead(self, taken: Taken, reason: str, detail: str) -> None:
        """Into the dead-letter queue, with the reason, and only then out of this one. Raises Unavailable."""
        headers = {"x-muster-reason": reason, "x-muster-detail": detail[:500], "x-muster-queue": self.name}
        await self._send(taken, self.name + DEAD, headers)
        self._metrics.dead.labels(self.name, reason).inc()
        log.info("a message is refused", queue=self.name, message=taken.id, reason=reason, detail=detail[:500])
        await self._ack(taken)

    async def pass_on(self, taken: Taken, queue: str) -> None:
        """Into another queue as it is. Raises Unavailable."""
        await self._send(taken, queue, {})
        self._metrics.passed_on.labels(self.name).inc()
        await self._ack(taken)

    async def _send(self, taken: Taken, queue: str, more: dict[str, Any]) -> None:
        was = taken.message
        message = aio_pika.Message(
            was.body, headers={**was.headers, **more}, content_type=was.content_type, type=was.type,
            message_id=was.message_id, app_id=was.app_id, timestamp=was.timestamp,
            delivery_mode=DeliveryMode.PERSISTENT,
        )  # fmt: skip
        # Mandatory and confirmed: a queue that was deleted is an error, and not a place where messages vanish.
        await self._told(lambda: self._out.default_exchange.publish(message, queue, mandatory=True))

    async def _ack(self, taken: Taken) -> None:
        await self._told(taken.message.ack)
        self._open.pop(taken.tag, None)
        self._metrics.unacked.labels(self.name).set(len(self._open))

    async def _told(self, tell: Callable[[], Awaitable[Any]]) -> None:
        self.check()
        try:
            async with asyncio.timeout(ANSWER_S):
                await tell()
        except (AMQPException, ChannelInvalidStateError, OSError) as error:
            self.lose(repr(error))
            self.check()

    async def watch(self, queue: AbstractQueue) -> None:
        """Look at the queue's length until the link is lost."""
        while not self._lost:
            try:
                async with asyncio.timeout(ANSWER_S):
                    found = await self._out.declare_queue(queue.name, passive=True)
                counts = found.declaration_result
                self._metrics.waiting.labels(self.name).set(counts.message_count or 0)
                if not counts.consumer_count:
                    self.lose("the queue was made anew")
            except (AMQPException, ChannelInvalidStateError, OSError) as error:
                self.lose(repr(error))
            await asyncio.sleep(LOOK_S)


Work = Callable[[Link], Awaitable[None]]


class Inlet:
    """Reads one queue by `work`, which is given each link and ends by what `Link.take` raises."""

    def __init__(self, url: str, name: str, prefetch: int, work: Work, metrics: Metrics, *beside: str) -> None:
        """`beside`: further queues that `work` passes messages on to."""
        self._url, self._name, self._prefetch = url, name, prefetch
        self._work, self._metrics, self._beside = work, metrics, beside

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        reading = self._metrics.reading.labels(self._name)
        stopped = asyncio.create_task(stop.wait())
        pause_s, waits = FIRST_PAUSE_S, False
        try:
            while not stop.is_set():
                reading.set(0)
                try:
                    async with self._link() as link:
                        pause_s, waits = FIRST_PAUSE_S, False
                        reading.set(1)
                        log.info("reading", queue=self._name)
                        await _either(asyncio.ensure_future(self._work(link)), stopped)
                except ChannelAccessRefused as error:  # another one reads it; or we may not, which the words tell
                    if not waits:
                        log.warning("waiting for a turn to read", queue=self._name, broker=str(error))
                    waits, pause_s = True, TURN_S
                except Unavailable as error:
                    log.warning("the broker is away", queue=self._name, error=error.detail, again_s=pause_s)
                reading.set(0)
                await asyncio.wait({stopped}, timeout=pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        finally:
            stopped.cancel()

    @asynccontextmanager
    async def _link(self) -> AsyncIterator[Link]:
        """Connect, see to the queues, read. Raises Unavailable, or ChannelAccessRefused where another one reads."""
        connection: AbstractConnection | None = None
        watching: asyncio.Task[None] | None = None
        try:
            try:
                async with asyncio.timeout(CONNECT_S):
                    # Not the connection that mends itself: who reads must know what was lost, and begins again.
                    connection = await aio_pika.connect(URL(self._url) % {"heartbeat": HEARTBEAT_S})
                    for name in (self._name, self._name + DEAD, *self._beside):
                        await _declare(connection, name, {} if name == self._name else {"x-max-length": KEPT})
                    channel = await connection.channel()
                    await channel.set_qos(prefetch_count=self._prefetch)
                    out = await connection.channel(publisher_confirms=True, on_return_raises=True)
                    link = Link(self._name, channel, out, self._metrics)
                    for closing in (connection, channel, out):
                        closing.close_callbacks.add(lambda _, why: link.lose(repr(why)))
                    queue = await channel.get_queue(self._name, ensure=False)

                    async def came(message: AbstractIncomingMessage) -> None:
                        link.came(message)

                    await queue.consume(came, exclusive=True)
            except ChannelAccessRefused:
                raise
            except (AMQPException, ChannelInvalidStateError, OSError) as error:
                raise Unavailable(f"RabbitMQ cannot be reached: {error!r}") from error
            watching = asyncio.create_task(link.watch(queue))
            yield link
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            if connection is not None:
                with suppress(AMQPException, ChannelInvalidStateError, OSError):
                    async with asyncio.timeout(CONNECT_S):
                        await connection.close()


async def _declare(connection: AbstractConnection, name: str, arguments: dict[str, Any]) -> None:
    """See that a queue is there. One that somebody else made stays as it is."""
    with suppress(ChannelNotFoundEntity):
        async with await connection.channel() as channel:
            await channel.declare_queue(name, passive=True)
            return
    async with await connection.channel() as channel:
        await channel.declare_queue(name, durable=True, arguments=arguments)


async def _either(work: asyncio.Future[None], stopped: asyncio.Task[Any]) -> None:
    """Until `work` has ended, raising what it raises, or it is time to stop."""
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
