"""Events to RabbitMQ: a topic exchange for all, a queue for match-making; publisher confirms."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import aio_pika
from aio_pika import DeliveryMode, ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import AMQPException, ChannelInvalidStateError

from core.errors import Unavailable
from core.sinks.catalogue import MATCHES, Message
from core.together import together

EXCHANGE: Final = "muster.events"  # routing keys are <topic>.<event>
ORIGIN: Final = "muster"  # app_id of what is ours, so that we never take our own events for another's
CONNECT_S: Final = 10.0
SEND_S: Final = 30.0
UNCONFIRMED: Final = 200  # messages on their way at once
AWAY: Final = (AMQPException, ChannelInvalidStateError, OSError)


class RabbitMQ:
    """See `core.sinks.outlet`."""

    name = "rabbitmq"
    most = 2000  # a broker on a busy host confirmed 270 a second, and what is not confirmed in time is all sent again

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None

    async def open(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                # Not the connection that mends itself: who sends must know what was confirmed, and begins again.
                self._connection = await aio_pika.connect(self._url)
                self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=False)
                self._exchange = await self._channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
                queue = await self._channel.declare_queue(MATCHES, durable=True)
                await queue.bind(self._exchange, f"{MATCHES}.new_match_created")
        except AWAY as error:
            await self.close()
            raise Unavailable(f"RabbitMQ cannot be reached: {error}") from error

    async def send(self, messages: Sequence[Message]) -> None:
        assert self._exchange is not None, "opened first"
        try:
            async with asyncio.timeout(SEND_S):
                for start in range(0, len(messages), UNCONFIRMED):
                    # Published in order on one channel; the confirms may come in any.
                    some = messages[start : start + UNCONFIRMED]
                    await together(self._publish(self._exchange, one) for one in some)
        except AWAY as error:
            raise Unavailable(f"RabbitMQ did not take events: {error!r}") from error

    async def _publish(self, exchange: AbstractExchange, one: Message) -> None:
        message = aio_pika.Message(
            one.body,
            content_type="application/json",
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=one.id,
            type=one.event,
            app_id=ORIGIN,
            headers={"key": one.key},
        )
        await exchange.publish(message, f"{one.topic}.{one.event}", mandatory=False)

    async def close(self) -> None:
        connection, self._connection, self._channel, self._exchange = self._connection, None, None, None
        if connection is not None:
            try:
                async with asyncio.timeout(CONNECT_S):
                    await connection.close()
            except AWAY:
                pass  # it is away, which is why we close
