"""Images of programs, a Redis that containers reach, and a place for whole matches in containers."""

from __future__ import annotations

import io
import json
import socket
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import docker
import pytest

from core.redis.embedded import find_server
from tests.cluster.api import until
from tests.docker.ground import Ground, matchmaker_env
from tests.docker.rig import TAG, remove
from tests.dockerd import Docker
from tests.matchmaker.support import matchmakers
from tests.support import patient_database

REDIS_PORT = 16379


@pytest.fixture(scope="session")
def program_image(client: docker.DockerClient, images: dict[str, docker.models.images.Image]) -> Callable[[str], str]:
    """A function that makes an image like gamepod's whose program is the given Python source, and names it."""

    def make(source: str) -> str:
        name = f"muster.test/program:{zlib.crc32(source.encode()):08x}"
        entrypoint = json.dumps(["python3", "-uc", source])
        recipe = f"FROM muster/gamepod:{TAG}\nENTRYPOINT {entrypoint}\nCMD []\n"
        client.images.build(fileobj=io.BytesIO(recipe.encode()), tag=name, rm=True)
        return name

    return make


@pytest.fixture(scope="session")
def shared_redis(dockerd: Docker) -> Iterator[str]:
    """URL of a Redis that containers and this machine reach alike."""
    url = f"redis://{dockerd.address}:{REDIS_PORT}/0"
    options = ["--bind", dockerd.address, "--port", str(REDIS_PORT), "--protected-mode", "no", "--save", ""]
    dockerd.sandbox.start("redis", [find_server(), *options, "--appendonly", "no"])
    try:
        until(lambda: socket.create_connection((dockerd.address, REDIS_PORT), 1), "Redis answers", within_s=60).close()
        yield url
    finally:
        dockerd.sandbox.signal("redis")


@pytest.fixture
async def ground(
    dockerd: Docker,
    client: docker.DockerClient,
    images: dict[str, docker.models.images.Image],
    shared_redis: str,
    tmp_path: Path,
) -> AsyncIterator[Ground]:
    """Matchmakers on an empty Redis; none is started yet. No container of theirs is left at the end."""
    async with patient_database(shared_redis) as db:
        await db.do("FLUSHALL")
        with matchmakers(shared_redis, tmp_path) as processes:
            del processes.env["MUSTER_SERVER_COMMAND"]
            processes.env.update(matchmaker_env(dockerd, shared_redis))
            made = Ground(dockerd, client, db, processes)
            yield made
            for number in range(len(processes.processes)):
                print(processes.log(number)[-4000:])
        for container in made.containers():
            remove(container)
