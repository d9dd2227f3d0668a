"""The Docker daemon as the launcher needs it: few calls, each in a thread of a bounded pool. The only import of docker.

The package blocks and its connections belong to one thread each, so every thread of a pool has a client of its own,
made at its first call: a daemon that is away is no reason not to start. Stops wait as long as a server's grace, so
they have a pool of their own and hold up no start.

Whatever the daemon answers becomes one of a few errors, which say what to do: `PortTaken` and `ImageMissing` here,
`NameTaken` for a repeat, LaunchRefused for what can never work, LaunchRetryable for the rest.
"""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

import docker
import docker.errors
import requests.exceptions
import urllib3.exceptions
from docker.utils import kwargs_from_env

from matchmaker.docker_settings import DockerSettings
from matchmaker.launch.base import LaunchRefused, LaunchRetryable

T = TypeVar("T")

CALLS: Final = 16  # at once; more only queue up in the daemon
WAITS: Final = 64  # servers being stopped, and images being pulled, at the same time
GRACE_MOST_S: Final = 600.0
RUN_PAUSE_S: Final = 0.01  # between two looks at a command that runs
EVENT_PAUSE_S: Final = 1.0  # between two tries to hear events: a listing finds what was missed
_TAKEN: Final = re.compile(r"port is already allocated|address already in use", re.IGNORECASE)
_AWAY: Final = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError)


class NameTaken(LaunchRetryable):
    """There is a container of that name."""

    code = "name-taken"


class PortTaken(LaunchRetryable):
    """Somebody else has one of the ports on this host."""

    code = "port-taken"


class ImageMissing(LaunchRefused):
    """The daemon does not have that image."""

    code = "image-missing"


class Engine:
    """See the module. `close` when done. All calls raise LaunchRetryable while the daemon does not answer."""

    def __init__(self, settings: DockerSettings) -> None:
        self._settings = settings
        self._calls = ThreadPoolExecutor(CALLS, "docker")
        self._waits = ThreadPoolExecutor(WAITS, "docker-stop")
        self._own = threading.local()
        self._clients: list[docker.APIClient] = []
        self._closed = threading.Event()
        self._stream: Any = None

    async def name(self) -> str:
        """What the daemon calls its host, the same for all who ask it."""
        return str((await self._call(lambda client: client.info()))["Name"])

    async def containers(self, label: str) -> list[Mapping[str, Any]]:
        """All containers with this label, running or not."""
        return await self._call(lambda client: client.containers(all=True, filters={"label": label}))

    async def image_user(self, image: str) -> str:
        """The user that an image is made for, '' for root. Raises ImageMissing."""
        found = await self._call(lambda client: client.inspect_image(image))
        return str((found.get("Config") or {}).get("User") or "")

    async def pull(self, image: str) -> None:
        """Fetch an image. Raises LaunchRefused where its registry says no."""
        try:
            async with asyncio.timeout(self._settings.pull_s):
                await self._call(lambda client: _pull(client, image), self._waits)
        except TimeoutError:
            raise LaunchRetryable(
                f"the image {image!r} is not here after {self._settings.pull_s:g} s (setting: MUSTER_DOCKER_PULL_S)"
            ) from None

    async def create(self, name: str, document: Mapping[str, Any]) -> None:
        """Make a container. Raises NameTaken, ImageMissing."""
        await self._call(lambda client: client.create_container_from_config(document, name))

    async def start(self, name: str) -> None:
        """Start a container; one that runs stays as it is. Raises PortTaken."""
        await self._call(lambda client: client.start(name))

    async def run(self, name: str, command: Sequence[str]) -> None:
        """Run a command in a container, and return when it is over. In one that does not run, at once."""

        def work(client: docker.APIClient) -> None:
            made = client.exec_create(name, list(command), stdout=False, stderr=False)
            client.exec_start(made, detach=True)  # attached, the package would leave its socket open
            while client.exec_inspect(made)["Running"] and not self._closed.wait(RUN_PAUSE_S):
                pass

        with suppress(ImageMissing, NameTaken):  # there is none, or it does not run
            await self._call(work, self._waits)

    async def stop(self, name: str, grace_s: float) -> None:
        """Ask a container to end, end it after `grace_s`, and return when it has. One that is not there has ended.

        The daemon keeps the time, so a matchmaker that is killed meanwhile leaves nothing half stopped.
        """
        grace = math.ceil(min(grace_s, GRACE_MOST_S))  # the daemon counts whole seconds
        with suppress(ImageMissing):
            await self._call(lambda client: client.stop(name, timeout=grace), self._waits)

    async def remove(self, name: str) -> None:
        """Remove a container, running or not. One that is not there is removed."""
        with suppress(ImageMissing, NameTaken):  # not there; its removal is under way
            await self._call(lambda client: client.remove_container(name, force=True, v=True))

    async def out_of_memory(self, name: str) -> bool:
        """Whether a container was ended for taking more memory than it may."""
        with suppress(ImageMissing):
            return bool((await self._call(lambda client: client.inspect_container(name)))["State"]["OOMKilled"])
        return False

    async def tail(self, name: str, lines: int) -> list[str]:
        """The last lines that a container wrote; empty where there is none."""
        with suppress(ImageMissing):
            text: bytes = await self._call(lambda client: client.logs(name, tail=lines))
            return text.decode(errors="replace").splitlines()[-lines:]
        return []

    async def head(self, name: str, most: int) -> str:
        """The first bytes that a container wrote; empty where there is none."""

        def work(client: docker.APIClient) -> bytes:
            found, stream = b"", client.logs(name, stream=True, follow=False)
            try:
                while len(found) < most and (piece := next(stream, b"")):
                    found += piece
            finally:
                stream.close()
            return found

        with suppress(ImageMissing, NameTaken):
            return (await self._call(work)).decode(errors="replace")
        return ""

    def listen(self, label: str, heard: Callable[[str], None]) -> None:
        """Call `heard` in this loop whenever a container with this label starts or ends, and when that may be missed.

        It is told the id of one that ended, else ''. One thread, until `close`.
        """
        loop = asyncio.get_running_loop()

        def tell(ended: str) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody wants to know
                loop.call_soon_threadsafe(heard, ended)

        threading.Thread(target=self._listen, args=(label, tell), name="docker-events", daemon=True).start()

    def close(self) -> None:
        """Let go. Calls under way end by themselves."""
        self._closed.set()
        self._hang_up()
        self._calls.shutdown(wait=False, cancel_futures=True)
        self._waits.shutdown(wait=False, cancel_futures=True)
        for client in self._clients:
            client.close()

    def _hang_up(self) -> None:
        """Close the stream of events: it ends as if the daemon had."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(docker.errors.DockerException, AttributeError, *_AWAY):  # it may be gone already
                stream.close()

    def _listen(self, label: str, tell: Callable[[str], None]) -> None:
        filters = {"label": label, "type": "container", "event": ["start", "die", "destroy"]}
        while not self._closed.is_set():
            with suppress(docker.errors.DockerException, *_AWAY):
                client = self._connect()
                try:
                    self._stream = client.events(filters=filters, decode=True)
                    tell("")
                    if self._closed.is_set():  # since before there was a stream to close
                        return
                    for event in self._stream:
                        tell(event["Actor"]["ID"] if event["Action"] == "die" else "")
                finally:
                    self._hang_up()
                    client.close()
            self._closed.wait(EVENT_PAUSE_S)

    async def _call(self, call: Callable[[docker.APIClient], T], pool: ThreadPoolExecutor | None = None) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool or self._calls, self._in_thread, call)

    def _in_thread(self, call: Callable[[docker.APIClient], T]) -> T:
        if self._closed.is_set():
            raise LaunchRetryable("the launcher is closed")
        try:
            client = getattr(self._own, "client", None)
            if client is None:
                client = self._own.client = self._connect()
                self._clients.append(client)
            return call(client)
        except docker.errors.APIError as error:
            raise _translated(error) from None
        except (docker.errors.DockerException, *_AWAY) as error:
            host = self._settings.docker_host
            raise LaunchRetryable(
                f"the Docker daemon at {host} does not answer (setting: DOCKER_HOST): {error}"
            ) from None

    def _connect(self) -> docker.APIClient:
        settings = self._settings
        env = {
            "DOCKER_HOST": settings.docker_host,
            "DOCKER_TLS_VERIFY": settings.tls_verify,
            "DOCKER_CERT_PATH": settings.cert_path,
        }
        found = kwargs_from_env(environment={name: value for name, value in env.items() if value})
        return docker.APIClient(**found, timeout=settings.call_s)


def _pull(client: docker.APIClient, image: str) -> None:
    for line in client.pull(image, stream=True, decode=True):
        if "error" in line:
            raise LaunchRefused(f"the image {image!r} cannot be pulled: {line['error']}")


def _translated(error: docker.errors.APIError) -> LaunchRefused | LaunchRetryable:
    """The daemon's answer as one of ours."""
    said = str(error.explanation or error)
    if _TAKEN.search(said):
        return PortTaken(said)
    match error.status_code:
        case 404:
            return ImageMissing(said)
        case 409:
            return NameTaken(said)
        case 400 | 403:
            return LaunchRefused(f"Docker refuses this server: {said}")
    return LaunchRetryable(f"Docker starts no server now: {said}")
