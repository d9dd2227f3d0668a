"""Who listens to a broker in tests, with the broker's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import aio_pika
from aiokafka import AIOKafkaConsumer, TopicPartition

from core.sinks.catalogue import TOPICS
from core.sinks.kafka import Kafka
from core.sinks.outlet import Outlet
from core.sinks.rabbitmq import EXCHANGE, RabbitMQ
from tests.support import PATIENCE_S

Heard = dict[str, Any]  # the body, and `topic` and `key` of the message
Take = Callable[[aio_pika.abc.AbstractIncomingMessage], Awaitable[None]]

AGAIN_S = 0.5


class Listener(Protocol):
    def outlet(self) -> Outlet: ...
    def listening(self, game: str | None) -> Any: ...


class KafkaListener:
    """Reads all topics from where they end now."""

    def __init__(self, address: str, name: str = "kafka") -> None:
        self._address, self._name = address, name

    def outlet(self) -> Outlet:
        made = Kafka(self._address)
        made.name = self._name
        return made

    def env(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": self._address}

    @asynccontextmanager
    async def listening(self, game: str | None) -> AsyncIterator[list[Heard]]:
        """What is heard of a game (None: of all, and of none) during the block, in the order of each key."""
        heard: list[Heard] = []
        consumer = AIOKafkaConsumer(bootstrap_servers=self._address, auto_offset_reset="earliest")
        await consumer.start()
        try:
            for topic in TOPICS:  # asking for a topic makes it
                await consumer._client.add_topic(topic)
            await consumer._client.force_metadata_update()
            partitions = []
            async with asyncio.timeout(180):  # Kafka makes one topic after the other
                while len({part.topic for part in partitions}) < len(TOPICS):
                    await asyncio.sleep(0.2)
                    await consumer._client.force_metadata_update()
                    partitions = [
                        TopicPartition(topic, n) for topic in TOPICS for n in consumer.partitions_for_topic(topic) or ()
                    ]
            consumer.assign(partitions)
            await consumer.seek_to_end()
            await asyncio.gather(*(consumer.position(part) for part in partitions))
            task = asyncio.create_task(self._read(consumer, game, heard))
            yield heard
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        finally:
            await consumer.stop()

    async def _read(self, consumer: AIOKafkaConsumer, game: str | None, heard: list[Heard]) -> None:
        async for one in consumer:
            body = json.loads(one.value)
            if game in (None, body.get("game")):
                heard.append({**body, "topic": one.topic, "key": one.key.decode()})


class RabbitListener:
    """A queue of its own that is bound to everything; it outlives a crash of the broker."""

    def __init__(self, address: str) -> None:
        self._url = f"amqp://guest:guest@{address}/"

    def outlet(self) -> Outlet:
        return RabbitMQ(self._url)

    def env(self) -> dict[str, str]:
        return {"RABBITMQ_HOST": self._url, "MUSTER_RABBITMQ_TOPICS": ",".join(TOPICS)}

    @asynccontextmanager
    async def listening(self, game: str | None) -> AsyncIterator[list[Heard]]:
        """What is heard of a game (None: of all, and of none) during the block, in the order of arrival."""
        heard: list[Heard] = []
        name, bound = f"test-{id(self)}", asyncio.Event()

        async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            async with message.process():
                body, topic = json.loads(message.body), str(message.routing_key).partition(".")[0]
                if game in (None, body.get("game")):
                    heard.append({**body, "topic": topic, "key": message.headers["key"]})

        listening = asyncio.create_task(self._listen(name, take, bound))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await bound.wait()
            yield heard
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        async with await aio_pika.connect(self._url) as connection:
            await (await connection.channel()).queue_delete(name)

    async def _listen(self, name: str, take: Take, bound: asyncio.Event) -> None:
        """Not by the client's connection that mends itself, which may come back without what it listened to."""
        while True:
            with suppress(OSError, RuntimeError, aio_pika.exceptions.AMQPException):
                async with await aio_pika.connect(self._url) as connection:
                    lost = asyncio.Event()
                    connection.close_callbacks.add(lambda *_, lost=lost: lost.set())
                    channel = await connection.channel()
                    exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
                    queue = await channel.declare_queue(name, durable=True)
                    await queue.bind(exchange, "#")
                    await queue.consume(take)
                    bound.set()
                    await lost.wait()
            await asyncio.sleep(AGAIN_S)
