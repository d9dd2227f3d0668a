"""Agones as a matchmaker meets it: its kinds on a real API server, an API of its own for allocations, and fleets.

Agones itself is not to be had without its sources, so its two parts are played, by what its documentation says of
them: the controller (servers are there and Ready when `fill` says so) and the allocator, a real aggregated API that the
API server authorises and passes requests on to. It is create-only, takes a Ready server that the selectors fit, marks
it Allocated with the labels and annotations asked for, and answers Allocated, UnAllocated or Contention.
"""

from __future__ import annotations

import itertools
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.cluster.api import ApiError, until
from tests.cluster.certificates import certificate
from tests.cluster.cluster import Cluster, condition

Document = dict[str, Any]

GROUP: Final = "allocation.agones.dev"
SERVICE: Final = "agones-allocations"
VERSIONED: Final = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/v1"}
RESOURCE: Final = {
    "name": "gameserverallocations", "kind": "GameServerAllocation", "namespaced": True, "singularName": "",
    "verbs": ["create"],
}  # fmt: skip


def kind(plural: str, name: str) -> Document:
    """A kind of Agones', with whatever fields."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.agones.dev"},
        "spec": {
            "group": "agones.dev",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": name.lower(), "kind": name},
            "versions": [version],
        },
    }


KINDS: Final = (kind("gameservers", "GameServer"), kind("fleets", "Fleet"))


class Fleets:
    """The fleets of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.path = f"/apis/agones.dev/v1/namespaces/{namespace}/gameservers"
        self.asked: list[Document] = []  # allocations
        self.answers: list[str] = []  # states to answer with in place of an allocation
        self.answered: Callable[[], None] = lambda: None  # called when one is allocated, before that is told
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def fill(self, fleet: str, count: int, *, game: str = "tanks", port: int = 7654, **labels: str) -> list[str]:
        """So many more Ready servers; returns their names."""
        names = [f"{fleet}-{next(self._numbers)}" for _ in range(count)]
        for name in names:
            found = {"agones.dev/fleet": fleet, "muster.dev/game": game, **labels}
            self.add(name, {key: value for key, value in found.items() if value}, "Ready", port)
        return names

    def add(self, name: str, labels: dict[str, str], state: str, port: int = 7654) -> None:
        """One server."""
        ports = [{"name": "game", "port": port}, {"name": "chat", "port": port + 1}]
        protocols = {"game": "UDP", "chat": "TCP"}
        document: Document = {
            "apiVersion": "agones.dev/v1",
            "kind": "GameServer",
            "metadata": {"name": name, "labels": labels},
            "spec": {"ports": [{"name": n, "protocol": p, "containerPort": 1} for n, p in protocols.items()]},
            "status": {"state": state, "address": "127.0.0.1", "ports": ports, "nodeName": "node"},
        }
        self.cluster.api.send("POST", self.path, document)

    def all(self) -> dict[str, Document]:
        """Game servers by name."""
        return {item["metadata"]["name"]: item for item in self.cluster.api.get(self.path)["items"]}

    def of(self, match: str) -> list[Document]:
        """Those that were allocated for a match."""
        return [one for one in self.all().values() if one["metadata"]["labels"].get("muster.dev/match") == match]

    def say(self, name: str, state: str) -> None:
        """What the game of a server says, or Agones of it."""
        kind = "application/merge-patch+json"
        self.cluster.api.send("PATCH", f"{self.path}/{name}", {"status": {"state": state}}, kind)

    def delete(self, name: str) -> None:
        self.cluster.api.send("DELETE", f"{self.path}/{name}")

    def allocate(self, document: Document) -> Document:
        """The answer to an allocation."""
        with self._lock:
            self.asked.append(document)
            state = self.answers.pop(0) if self.answers else self._take(document["spec"])
        return {**document, "status": state if isinstance(state, dict) else {"state": state}}

    def _take(self, spec: Document) -> Document | str:
        wanted = spec["selectors"][0]["matchLabels"]
        for _, server in sorted(self.all().items()):
            labels = server["metadata"]["labels"]
            if server["status"]["state"] == "Ready" and wanted.items() <= labels.items():
                break
        else:
            return "UnAllocated"
        server["status"]["state"] = "Allocated"
        labels.update(spec["metadata"]["labels"])
        server["metadata"].setdefault("annotations", {}).update(spec["metadata"]["annotations"])
        try:
            self.cluster.api.send("PUT", f"{self.path}/{server['metadata']['name']}", server)
        except ApiError as error:
            if error.status != 409:
                raise
            return "Contention"
        self.answered()
        found = {key: server["status"][key] for key in ("address", "ports", "nodeName")}
        return {"state": "Allocated", "gameServerName": server["metadata"]["name"], **found}


def handler(fleets: Fleets) -> type[BaseHTTPRequestHandler]:
    """The aggregated API over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            known = self.path.partition("?")[0] == f"/apis/{GROUP}/v1"
            self._answer(200 if known else 404, {**VERSIONED, "resources": [RESOURCE]} if known else {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(201, fleets.allocate(body))

        def _answer(self, status: int, document: Document) -> None:
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    return Handler


@contextmanager
def installed(cluster: Cluster, namespace: str, folder: Path) -> Iterator[Fleets]:
    """Agones is in the cluster for the length of the block; its allocations are answered by this process."""
    fleets = Fleets(cluster, namespace)
    here = cluster.layout.host_address
    certificate_for(cluster, here)
    server = ThreadingHTTPServer((here, 0), handler(fleets))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cluster.layout.secrets / "agones.crt", cluster.layout.secrets / "agones.key")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made = [*KINDS, *aggregated(namespace, here, server.server_address[1])]
    try:
        cluster.apply(*made)
        api = f"/apis/apiregistration.k8s.io/v1/apiservices/v1.{GROUP}"
        until(lambda: condition(cluster.api.get(api), "Available") == "True", "allocations", within_s=120)
        until(lambda: cluster.api.exists(fleets.path), "game servers", within_s=120)
        yield fleets
    finally:
        cluster.delete(*made)
        server.shutdown()
        server.server_close()
        thread.join()


def certificate_for(cluster: Cluster, address: str) -> None:
    """A key and a certificate for this address, in the cluster's own folder."""
    if not (cluster.layout.secrets / "agones.crt").exists():
        certificate(cluster.layout.secrets, "agones", "/CN=agones", f"IP:{address}")


def aggregated(namespace: str, address: str, port: int) -> list[Document]:
    """The API server is told where allocations are answered."""
    meta = {"name": SERVICE, "namespace": namespace}
    ports = [{"name": "https", "port": port}]
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"name": "https", "port": 443}]}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": SERVICE}},
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [{"addresses": [address]}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"v1.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": "v1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": {**meta, "port": 443},
            },
        },
    ]
