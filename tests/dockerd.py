"""A real Docker daemon in a sandbox of its own, for the Docker launcher's tests: `python -m tests.dockerd up|down`.

Its bridge, its firewall rules, its images and its containers are the sandbox's: a daemon that this machine may run
already is not touched, and `down` leaves nothing. Its socket is a file outside; ports that it publishes are reached at
`address`, where nobody but this machine can.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.cluster import packages
from tests.cluster.api import until
from tests.cluster.binaries import say
from tests.cluster.layout import Layout, claimed_layout, saved_layout
from tests.cluster.sandbox import Sandbox, SandboxError, sweep

NAME: Final = "docker"
START_S: Final = 120.0
ANSWER_S: Final = 240.0  # an image of hundreds of MB goes to a busy disk


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_S)
        self.path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Docker:
    """A running Docker daemon."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.sandbox = Sandbox(layout)
        self.socket = layout.folder / "docker.sock"

    @property
    def url(self) -> str:
        """What a client calls DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def address(self) -> str:
        """Where this machine reaches published ports."""
        return self.layout.address

    def request(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        """One request to the Engine API: what it answers, from JSON. Raises SandboxError if it refuses."""
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise SandboxError(f"docker: {answer.status}: {text[:500]!r}")
        return json.loads(text) if answer.headers.get_content_type() == "application/json" and text else text

    def load_image(self, archive: Path) -> None:
        """Load an image from an archive, as `docker load` does; tests/cluster/images.py writes such archives."""
        self.request("POST", "/images/load?quiet=1", archive.read_bytes(), "application/x-tar")

    def kill(self) -> None:
        """Kill the daemon. Its containers run on, and `start` finds them again."""
        self.sandbox.signal("dockerd")
        until(lambda: self.sandbox.codes()["dockerd"] is not None, "dockerd ended", within_s=30)

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        options = {
            "host": self.url,
            "data-root": self.layout.store / "docker",
            "exec-root": "/run/docker",
            "pidfile": "/run/docker.pid",
            "cgroup-parent": self.layout.cgroup,
            # containerd's shims run on when dockerd is killed; so do containers, as on a well-kept host.
            "live-restore": "true",
            "log-level": "warn",
        }
        self.sandbox.start("dockerd", ["dockerd", *(f"--{name}={value}" for name, value in options.items())])
        until(self._answers, "dockerd answers", within_s=START_S)

    def _answers(self) -> bool:
        if self.sandbox.codes()["dockerd"] is not None:
            raise SandboxError(f"dockerd ended: {self.sandbox.log_end('dockerd')}")
        return bool(self.request("GET", "/_ping"))


def running(name: str = NAME) -> Docker | None:
    """The running daemon of that name, if there is one."""
    layout = saved_layout(name)
    return Docker(layout) if layout is not None and Sandbox(layout).pid() is not None else None


def up(name: str = NAME, *, tied: bool = False) -> Docker:
    """Start a daemon and return it when it answers; a running one is returned as it is. `tied`: it ends with us."""
    already = running(name)
    if already is not None:
        return already
    packages.ensure(packages.DOCKER)
    sweep()
    down(name)
    docker = Docker(claimed_layout(name))
    try:
        docker.sandbox.create(tied=tied)
        docker.start()
    except BaseException:
        docker.sandbox.destroy()
        raise
    return docker


def down(name: str = NAME) -> None:
    """Take down the daemon of that name and its containers. Does nothing where there is nothing."""
    Sandbox(saved_layout(name) or Layout(name, 0)).destroy()


@contextmanager
def docker_daemon() -> Iterator[Docker]:
    """A daemon for as long as the context lasts: one that was started by hand, else one of our own."""
    by_hand = running()
    if by_hand is not None:
        yield by_hand
        return
    name = f"docker-{os.getpid()}"
    try:
        yield up(name, tied=True)
    finally:
        down(name)


def main(command: str) -> None:
    """`up` prints how to reach it; `down` leaves nothing."""
    reason = packages.unavailable(packages.DOCKER)
    if reason:
        raise SystemExit(f"no Docker here: {reason}")
    if command == "up":
        docker = up()
        say(f"up; published ports are at {docker.address}")
        print(f"export DOCKER_HOST={docker.url}")
    elif command == "down":
        down()
    else:
        raise SystemExit("usage: python -m tests.dockerd up|down")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
