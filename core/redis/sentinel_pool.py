"""redis-py behind Sentinel: its connections, kept in a pool that waits as the one for a single node does."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from redis import exceptions as rx
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from core.redis.errors import unreachable
from core.redis.sentinel import ASK_S, Node, Sentinels, SentinelUrl


class SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Each connection goes to whom the Sentinels name when it is made; one that meets a replica is made again.

    `close` closes the connections to the Sentinels too.
    """

    def __init__(self, url: SentinelUrl, **options: Any) -> None:
        self._manager = _Manager(url)
        secured = {"ssl": True} if url.tls else {}
        own = {**secured, **_options(url), **_auth(url.auth), "db": url.db}
        super().__init__(url.name, self._manager, **own, **options)  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        await self.disconnect()
        await self._manager.aclose()


class _Manager(Sentinel):
    """redis-py asks one Sentinel after the other, and a dead host at the head of the list would take all the time."""

    def __init__(self, url: SentinelUrl) -> None:
        options = {
            "decode_responses": True,
            "socket_timeout": None,  # as in core.redis.client: the whole question is bounded
            "socket_connect_timeout": ASK_S,
            "retry": Retry(NoBackoff(), 0),
            "ssl": url.tls,
            **_options(url),
            **_auth(url.sentinel_auth),
        }
        super().__init__(url.sentinels, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        self._clients: dict[Node, Redis] = dict(zip(url.sentinels, self.sentinels, strict=True))
        self._name = url.name
        self._all = Sentinels(url, self._ask)

    async def discover_master(self, service_name: str) -> Node:
        return await self._all.primary()

    async def _ask(self, node: Node) -> Node | None:
        try:
            client: Any = self._clients[node]
            found = await client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", self._name)
        except (rx.RedisError, OSError) as error:
            raise unreachable(error) from error
        return (str(found[0]), int(found[1])) if found else None


def _auth(auth: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(("username", "password")[2 - len(auth) :], auth, strict=True))


def _options(url: SentinelUrl) -> dict[str, Any]:
    if not url.tls:
        return {}
    # redis-py knows which of its options are numbers, and which are yes or no.
    given = parse_url(f"rediss://host?{urlencode(url.tls_options)}")
    return {name: value for name, value in given.items() if name in url.tls_options}
