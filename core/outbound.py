"""Calls to URLs that developers name: nobody's URL may lead into the operator's own network.

The address is judged when it is connected to, after the name was looked up, so a name that changes what it points to
gains nothing. Redirects are not followed, proxies of the environment not used, answers read up to a bound.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import hmac
import socket
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from core.addresses import Network, may_call, may_name

CONNECTIONS: Final = 64  # of one process at once
CONNECTIONS_HOST: Final = 8


class Refused(Exception):
    """The call was not made, or its answer is of no use; the text says why."""


class _Resolver(AbstractResolver):
    """Looks names up, and leaves out addresses that may not be called."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._names = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        good = [entry for entry in found if may_call(entry["host"], self._allowed)]
        if not good:
            raise OSError(errno.EACCES, f"{host} is not a public address")
        return good

    async def close(self) -> None:
        await self._names.close()


def open_session(
    allowed: Sequence[Network], *, most: int, most_host: int = 0, agent: str = "muster", keep: bool = True
) -> aiohttp.ClientSession:
    """A client that connects to addresses of the Internet, and `allowed` ones. To be closed by who made it.

    `most` connections at once, `most_host` of them to one host (0: as many); `keep` open between calls. Callers bound
    time and size, follow no redirect, and ask `may_name` of the host: no resolver is asked about an address.
    """
    connector = aiohttp.TCPConnector(
        resolver=_Resolver(allowed), limit=most, limit_per_host=most_host, use_dns_cache=False, force_close=not keep
    )
    # What is read is bounded as it comes: so nothing is asked for, or taken, that grows as it is unpacked.
    headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        auto_decompress=False,
        trust_env=False,
    )


class Outbound:
    """Made on the loop that it is used on; `close` it."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._session = open_session(allowed, most=CONNECTIONS, most_host=CONNECTIONS_HOST)

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, within_s: float, most: int) -> bytes:
        """Send JSON and read the answer, at most `most` bytes. Raises Refused for anything but a 2xx in time."""
        host = urlsplit(url).hostname or ""
        if not may_name(host, self._allowed):
            raise Refused(f"{host} is not a public address")
        try:
            async with asyncio.timeout(within_s):
                return await self._post(url, body, headers, most)
        except TimeoutError:
            raise Refused(f"no answer within {within_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Refused(f"it cannot be reached: {str(error) or type(error).__name__}"[:300]) from None

    async def _post(self, url: str, body: bytes, headers: dict[str, str], most: int) -> bytes:
        sent = {"Content-Type": "application/json", **headers}
        async with self._session.post(url, data=body, headers=sent, allow_redirects=False) as answer:
            if not 200 <= answer.status < 300:
                raise Refused(f"it answered {answer.status}")
            parts, size = [], 0
            async for part in answer.content.iter_chunked(65_536):
                size += len(part)
                if size > most:
                    raise Refused(f"its answer is larger than {most} bytes")
                parts.append(part)
            return b"".join(parts)

    async def close(self) -> None:
        await self._session.close()


def signing_key(secret: str, purpose: str) -> bytes:
    """The key that a receiver verifies with, derived from the secret: of no use for anything else."""
    return hmac.digest(secret.encode(), f"outbound:{purpose}".encode(), hashlib.sha256)


def signed(key: bytes, id_: str, now_s: int, body: bytes) -> dict[str, str]:
    """Headers of the Standard Webhooks form: id, time, and HMAC-SHA256 over `<id>.<time>.<body>`."""
    digest = hmac.digest(key, f"{id_}.{now_s}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(now_s),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
