"""Events to Kafka: a topic each, partitioned by match, acknowledged by all in-sync replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from core.errors import Unavailable
from core.sinks.catalogue import Message

CONNECT_S: Final = 10.0
SEND_S: Final = 30.0  # for a whole batch of messages
LINGER_MS: Final = 5
BATCH_BYTES: Final = 256 << 10
ORIGIN: Final = "origin"  # header: see Message


class Kafka:
    """See `core.sinks.outlet`."""

    name = "kafka"
    most = 20_000  # 5 MB

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            acks="all",
            linger_ms=LINGER_MS,
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=int(CONNECT_S * 1000),
        )
        try:
            async with asyncio.timeout(CONNECT_S):
                await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise Unavailable(f"Kafka at {self._servers} cannot be reached: {error}") from error
        self._producer = producer

    async def send(self, messages: Sequence[Message]) -> None:
        assert self._producer is not None, "opened first"
        try:
            async with asyncio.timeout(SEND_S):
                # One request is under way to a partition at a time, so those of a key stay in order through retries.
                sent = [
                    await self._producer.send(
                        one.topic, one.body, key=one.key.encode(),
                        headers=[
                            ("id", one.id.encode()), ("event", one.event.encode()), (ORIGIN, one.origin.encode())
                        ],
                    )
                    for one in messages
                ]  # fmt: skip
                outcomes = await asyncio.gather(*sent, return_exceptions=True)
        except (KafkaError, OSError) as error:
            raise Unavailable(f"Kafka did not take events: {error!r}") from error
        if failed := next((one for one in outcomes if isinstance(one, BaseException)), None):
            raise Unavailable(f"Kafka did not take events: {failed!r}") from failed

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(CONNECT_S):
                    await producer.stop()
            except (KafkaError, OSError):
                pass  # it is away, which is why we close
