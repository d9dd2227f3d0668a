"""Calls to URLs that developers name: nobody's URL may lead into the operator's own network.

The address is judged when it is connected to, after the name was looked up, so a name that changes what it points to
gains nothing. Redirects are not followed, proxies of the environment not used, answers read up to a bound.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from core.errors import Misconfigured

CONNECTIONS: Final = 64  # of one process at once
CONNECTIONS_HOST: Final = 8
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refused(Exception):
    """The call was not made, or its answer is of no use; the text says why."""


def networks(text: str, setting: str) -> tuple[Network, ...]:
    """Networks separated by commas. Raises Misconfigured naming the setting."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise Misconfigured(str(error), setting=setting) from None


def may_call(address: str, allowed: Sequence[Network]) -> bool:
    """Whether an address is one of the Internet at large, or one that the operator allows."""
    found = _meant(ipaddress.ip_address(address.partition("%")[0]))
    if any(found.version == net.version and found in net for net in allowed):
        return True
    return bool(found.is_global) and not found.is_multicast


def _meant(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one leads to, where it is a translated or tunnelled one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    tunnel = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or tunnel or address


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
            raise OSError(f"{host} is no address that may be called from here")
        return good

    async def close(self) -> None:
        await self._names.close()


class Outbound:
    """Made on the loop that it is used on; `close` it."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(allowed), limit=CONNECTIONS, limit_per_host=CONNECTIONS_HOST, use_dns_cache=False
        )
        self._session = aiohttp.ClientSession(connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar())

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, within_s: float, most: int) -> bytes:
        """Send JSON and read the answer, at most `most` bytes. Raises Refused for anything but a 2xx in time."""
        host = urlsplit(url).hostname or ""
        try:
            # aiohttp asks no resolver about an address.
            if not may_call(host, self._allowed):
                raise Refused(f"{host} is no address that may be called from here")
        except ValueError:
            pass
        try:
            async with asyncio.timeout(within_s):
                return await self._post(url, body, headers, most)
        except TimeoutError:
            raise Refused(f"no answer within {within_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Refused(f"it cannot be reached: {str(error) or type(error).__name__}"[:300]) from None

    async def _post(self, url: str, body: bytes, headers: dict[str, str], most: int) -> bytes:
        sent = {"Content-Type": "application/json", "User-Agent": "muster", **headers}
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
