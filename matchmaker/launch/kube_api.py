"""Pods, and nodes' addresses, through the `kubernetes` package: the only module that imports it.

It finds the way to the API server, checks who answers there and authorises: addresses, certificates, tokens and their
renewal, plugins of a kubeconfig. The requests are aiohttp's, as they are in its own client, and pods are written and
read by msgspec. Its client would copy each pod before it writes it (0.2 ms of CPU), and look for a `.netrc` before
each request, in another thread (0.4 ms); its generated calls and models would validate every argument and answer, at
ten times the cost of decoding the few fields that are read here. What is left costs 0.3 s and 40 MB to import, so
nothing but the launcher for Kubernetes imports this module. Every call is bounded in time; none is repeated here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from msgspec import Struct, field

from core.errors import Misconfigured
from matchmaker.launch.kube_errors import KubeAway, KubeRefused
from matchmaker.launch.node_addresses import Node
from matchmaker.launch.pod import Document
from matchmaker.launch.pod_state import Metadata, Pod

OWN_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
PAGE: Final = 500  # pods in one answer of a list
LOG_BYTES: Final = 16_384
CONNECT_S: Final = 5.0
# A watch gets a bookmark each minute: one that is silent for longer is dead, whatever TCP believes.
SILENCE_S: Final = 100.0
OPENED: Final = "OPENED"  # of a watch: our own word, the API has none
WATCH_S: Final = 240  # the server ends it after; both sides forget what they hold
LINE_BYTES: Final = 1 << 21  # of a watch: an event is one, and etcd takes objects of 1.5 MiB
TOKEN: Final = "BearerToken"  # noqa: S105 - the name that the package gives it


class _Status(Struct):
    reason: str = ""
    message: str = ""
    code: int = 0


class _ListMetadata(Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = field(default="", name="continue")


class _PodList(Struct):
    metadata: _ListMetadata = field(default_factory=_ListMetadata)
    items: list[Pod] = []


class Event(Struct):
    """One line of a watch. `object` is a pod, or for ERROR a status; it is decoded by its type."""

    type: str
    object: msgspec.Raw


_pod: Final = msgspec.json.Decoder(Pod)
_node: Final = msgspec.json.Decoder(Node)
_pods: Final = msgspec.json.Decoder(_PodList)
_event: Final = msgspec.json.Decoder(Event)
_status: Final = msgspec.json.Decoder(_Status)


class _Marked(Struct):
    metadata: Metadata = field(default_factory=Metadata)


_bookmark: Final = msgspec.json.Decoder(_Marked)


# What the kubelet answers, with 200, where it has removed the log.
NO_LOG: Final = ("failed to try resolving symlinks", "unable to retrieve container logs")


class PodApi(Protocol):
    """What the launcher needs. All raise KubeRefused or KubeAway."""

    async def create(self, document: Document) -> Pod: ...

    async def read(self, name: str) -> Pod: ...

    async def delete(self, name: str, grace_s: int, uid: str) -> None: ...

    async def logs(self, name: str, container: str, *, last_lines: int = 0, first_bytes: int = LOG_BYTES) -> str: ...

    async def list(self) -> tuple[list[Pod], str]: ...

    def watch(self, version: str) -> AsyncIterator[tuple[str, Pod]]: ...

    async def node(self, name: str) -> Node: ...


class KubePods:
    """The pods of one namespace that have these labels. Make one with `open_pods`."""

    def __init__(self, way: Way, namespace: str, labels: str, call_s: float) -> None:
        self._way, self._labels = way, labels
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._timeout = aiohttp.ClientTimeout(total=call_s, sock_connect=CONNECT_S)

    async def create(self, document: Document) -> Pod:
        return _pod.decode(await self._call("POST", f"{self._path}?fieldManager=muster", body=document))

    async def read(self, name: str) -> Pod:
        return _pod.decode(await self._call("GET", f"{self._path}/{name}"))

    async def delete(self, name: str, grace_s: int, uid: str) -> None:
        body: Document = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": grace_s}
        if uid:  # never another pod that has the name by now
            body["preconditions"] = {"uid": uid}
        await self._call("DELETE", f"{self._path}/{name}", body=body)

    async def logs(self, name: str, container: str, *, last_lines: int = 0, first_bytes: int = LOG_BYTES) -> str:
        """What a container wrote: at most `first_bytes` from its beginning, or from that of its last lines."""
        query = [("container", container), ("limitBytes", str(first_bytes))]
        if last_lines:
            query.append(("tailLines", str(last_lines)))
        text = (await self._call("GET", f"{self._path}/{name}/log", query)).decode(errors="replace")
        return "" if text.startswith(NO_LOG) else text

    async def list(self) -> tuple[list[Pod], str]:
        """All pods, and the version of the whole to watch from."""
        pods: list[Pod] = []
        query = [("labelSelector", self._labels), ("limit", str(PAGE))]
        more: list[tuple[str, str]] = []
        while True:
            page = _pods.decode(await self._call("GET", self._path, query + more))
            pods += page.items
            if not page.metadata.continue_:
                return pods, page.metadata.resource_version
            more = [("continue", page.metadata.continue_)]

    async def watch(self, version: str) -> AsyncIterator[tuple[str, Pod]]:
        """OPENED, then events (ADDED, MODIFIED, DELETED, BOOKMARK) after `version`, until the server ends it.

        Raises KubeRefused, 410 among them where `version` is too old, and KubeAway.
        """
        query = [
            ("labelSelector", self._labels),
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(WATCH_S)),
        ]
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        try:
            async with await self._way.send("GET", self._path, query, None, limits) as response:
                if response.status >= 400:
                    raise _refused(response, await response.read())
                yield OPENED, Pod(Metadata())
                async for line in response.content:
                    yield _decode(line)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise KubeAway(_said(error)) from None

    async def node(self, name: str) -> Node:
        return _node.decode(await self._call("GET", f"/api/v1/nodes/{name}"))

    async def _call(
        self, method: str, path: str, query: Sequence[tuple[str, str]] = (), body: Document | None = None
    ) -> bytes:
        """The body of an answer. Raises KubeRefused, KubeAway."""
        try:
            async with await self._way.send(method, path, query, body, self._timeout) as response:
                answer = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise KubeAway(_said(error)) from None
        if response.status >= 400:
            raise _refused(response, answer)
        return answer


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

    async def close(self) -> None:
        """Every connection."""
        await self._session.close()


def _proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this address (HTTPS_PROXY, NO_PROXY), if any."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def _decode(line: bytes) -> tuple[str, Pod]:
    event = _event.decode(line)
    if event.type == "ERROR":
        status = _status.decode(event.object)
        raise KubeRefused(status.code, status.reason, status.message)
    if event.type == "BOOKMARK":
        return event.type, Pod(_bookmark.decode(event.object).metadata)
    return event.type, _pod.decode(event.object)


def _refused(response: aiohttp.ClientResponse, body: bytes) -> KubeRefused:
    try:
        status = _status.decode(body)
    except msgspec.DecodeError:  # not from the API server itself: a proxy before it
        status = _Status("", body[:200].decode(errors="replace"))
    try:
        after_s = float(response.headers.get("Retry-After", "0"))
    except ValueError:  # the other form of the header, a date
        after_s = 1.0
    return KubeRefused(response.status, status.reason, status.message, after_s)


def _said(error: Exception) -> str:
    return f"the API server cannot be reached: {error or type(error).__name__}"


@asynccontextmanager
async def open_pods(kubeconfig: str, namespace: str, labels: dict[str, Any], call_s: float) -> AsyncIterator[KubePods]:
    """The pods with these labels, of `namespace` or else our own. Raises Misconfigured; nothing is asked yet."""
    configuration, load = Configuration(), cast(Any, config)  # which has no annotations
    try:
        if kubeconfig:
            await load.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            load.load_incluster_config(client_configuration=configuration)
    except (config.ConfigException, OSError, ValueError, TypeError) as error:
        raise Misconfigured(f"no way to the Kubernetes API: {error}", setting="MUSTER_KUBE_CONFIG") from None
    if not namespace:
        try:
            namespace = await asyncio.to_thread(OWN_NAMESPACE.read_text)
        except OSError:
            raise Misconfigured("outside a pod the namespace must be named", setting="MUSTER_KUBE_NAMESPACE") from None
    wanted = ",".join(f"{name}={value}" for name, value in labels.items())
    way = Way(configuration)
    try:
        yield KubePods(way, namespace, wanted, call_s)
    finally:
        await way.close()
