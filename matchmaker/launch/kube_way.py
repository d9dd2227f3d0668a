"""The way to the API server, through the `kubernetes` package: the only module that imports it.

It finds the way to the API server, checks who answers there and authorises: addresses, certificates, tokens and their
renewal, plugins of a kubeconfig. The requests are aiohttp's, as they are in its own client, and objects are written and
read by msgspec. Its client would copy each pod before it writes it (0.2 ms of CPU), and look for a `.netrc` before
each request, in another thread (0.4 ms); its generated calls and models would validate every argument and answer, at
ten times the cost of decoding the few fields that are read here. What is left costs 0.3 s and 40 MB to import, so
nothing but launchers that need it import this module. Every call is bounded in time; none is repeated here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from msgspec import Struct

from core.errors import Misconfigured
from matchmaker.launch.kube_errors import KubeAway, KubeRefused
from matchmaker.launch.pod import Document

CONNECT_S: Final = 5.0
# A watch gets a bookmark each minute: one that is silent for longer is dead, whatever TCP believes.
SILENCE_S: Final = 100.0
LINE_BYTES: Final = 1 << 21  # of a watch: an event is one, and etcd takes objects of 1.5 MiB
TOKEN: Final = "BearerToken"  # noqa: S105 - the name that the package gives it


class Status(Struct):
    """Why the API server refuses."""

    reason: str = ""
    message: str = ""
    code: int = 0


_status: Final = msgspec.json.Decoder(Status)


class Way:
    """To the API server: connections, who answers there, and who we are."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration: Any = configuration
        known: Any = RESTClientObject(configuration)  # opens nothing; it reads the certificates
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._configuration.connection_pool_maxsize, ssl=known.ssl_context),
            headers={"Accept": "application/json", "User-Agent": "muster"},
            read_bufsize=LINE_BYTES,
        )
        self._host: str = self._configuration.host
        self._options: dict[str, Any] = {
            "proxy": known.proxy or _proxy_of(self._host),
            "proxy_headers": known.proxy_headers,
            "server_hostname": self._configuration.tls_server_name,
        }

    async def send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Document | None,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """An answer, whose body is still to be read."""
        headers, data = {}, None
        # Each time, for it is read again when it is due: it is renewed each hour.
        if token := await self._configuration.get_api_key_with_prefix(TOKEN, alias="authorization"):
            headers["Authorization"] = token
        if body is not None:
            headers["Content-Type"], data = "application/json", msgspec.json.encode(body)
        return await self._session.request(
            method,
            self._host + path,
            params=query or None,
            data=data,
            headers=headers,
            timeout=limits,
            **self._options,
        )

    async def call(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Document | None = None,
        *,
        call_s: float,
    ) -> bytes:
        """The body of an answer. Raises KubeRefused, KubeAway."""
        limits = aiohttp.ClientTimeout(total=call_s, sock_connect=CONNECT_S)
        try:
            async with await self.send(method, path, query, body, limits) as response:
                answer = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise KubeAway(_said(error)) from None
        if response.status >= 400:
            raise _refused(response, answer)
        return answer

    async def lines(self, path: str, query: Sequence[tuple[str, str]]) -> AsyncIterator[bytes]:
        """An empty line when there is an answer, then the lines of it until the server ends it.

        Raises KubeRefused, KubeAway, also for what the caller cannot read of a line (ValueError).
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        try:
            async with await self.send("GET", path, query, None, limits) as response:
                if response.status >= 400:
                    raise _refused(response, await response.read())
                yield b""
                async for line in response.content:
                    yield line
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise KubeAway(_said(error)) from None

    async def close(self) -> None:
        """Every connection."""
        await self._session.close()


def _proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this address (HTTPS_PROXY, NO_PROXY), if any."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def refused_by(text: bytes | msgspec.Raw) -> KubeRefused:
    """What an ERROR in a watch says."""
    status = _status.decode(text)
    return KubeRefused(status.code, status.reason, status.message)


def _refused(response: aiohttp.ClientResponse, body: bytes) -> KubeRefused:
    try:
        status = _status.decode(body)
    except msgspec.DecodeError:  # not from the API server itself: a proxy before it
        status = Status("", body[:200].decode(errors="replace"))
    try:
        after_s = float(response.headers.get("Retry-After", "0"))
    except ValueError:  # the other form of the header, a date
        after_s = 1.0
    return KubeRefused(response.status, status.reason, status.message, after_s)


def _said(error: Exception) -> str:
    return f"the API server cannot be reached: {error or type(error).__name__}"


@asynccontextmanager
async def open_way(kubeconfig: str) -> AsyncIterator[Way]:
    """The way that a kubeconfig tells, '' for our own pod's account. Raises Misconfigured; nothing is asked yet."""
    configuration, load = Configuration(), cast(Any, config)  # which has no annotations
    try:
        if kubeconfig:
            await load.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            load.load_incluster_config(client_configuration=configuration)
    except (config.ConfigException, OSError, ValueError, TypeError) as error:
        raise Misconfigured(f"no way to the Kubernetes API: {error}", setting="MUSTER_KUBE_CONFIG") from None
    way = Way(configuration)
    try:
        yield way
    finally:
        await way.close()
