"""Small pods for tests of the cluster, as pure documents."""

from __future__ import annotations

from typing import Any, Final

from tests.cluster.fixture import PYTHON_IMAGE

Document = dict[str, Any]

ECHO_PORT: Final = 7000

# Answers every UDP datagram by what it got and who it is, and every TCP connection by who it is.
ECHO: Final = f"""
import asyncio, os, signal, socket
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # process 1 ignores it otherwise
class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, peer): self.transport.sendto(data + b" from " + name, peer)
async def greet(reader, writer):
    writer.write(name)
    writer.close()
async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Echo, ("0.0.0.0", {ECHO_PORT}))
    await (await asyncio.start_server(greet, "0.0.0.0", {ECHO_PORT})).serve_forever()
name = socket.gethostname().encode()
asyncio.run(main())
"""


def python_pod(name: str, namespace: str, code: str, *, ports: list[Document] | None = None) -> Document:
    """A pod that runs this Python code, with `app: <name>` as its label."""
    container = {
        "name": "python",
        "image": PYTHON_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-c", code],
        "ports": ports or [],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
        },
    }


def echo_pod(name: str, namespace: str, *, host_port: int | None = None) -> Document:
    """A pod that answers on ECHO_PORT over UDP and TCP, on the node's `host_port` too if one is given."""
    ports = [
        {"containerPort": ECHO_PORT, "protocol": protocol, **({"hostPort": host_port} if host_port else {})}
        for protocol in ("UDP", "TCP")
    ]
    return python_pod(name, namespace, ECHO, ports=ports)


def claim(name: str, namespace: str) -> Document:
    """A claim of a small volume of the default class."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def service(name: str, namespace: str) -> Document:
    """A Service in front of the pods labelled `app: <name>`."""
    ports = [{"name": protocol.lower(), "port": ECHO_PORT, "protocol": protocol} for protocol in ("UDP", "TCP")]
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def deny_all(namespace: str) -> Document:
    """A NetworkPolicy that lets nothing in to any pod of the namespace."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny-all", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
