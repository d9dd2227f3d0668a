"""What tests of whole matches in containers share: matchmakers on this machine that start servers on the daemon."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import docker
import msgspec
from docker.models.containers import Container

from core.jointoken import JoinClaims, match_key, mint
from core.model import GameSpec, Limits, Match, Server, Timers
from core.redis.client import Database
from matchmaker.launch.docker_documents import INSTALLATION, MATCH
from tests.docker.rig import TAG
from tests.dockerd import Docker
from tests.matchmaker.support import Matchmakers, match, status
from tests.support import eventually

GAME = "tanks"
# Nobody joins most of these matches, and none is to end for that, or because its containers are late.
TIMERS = Timers(start_s=120, join_s=300, empty_s=2, drain_s=2)


def spec(server: Server, **changes: Any) -> GameSpec:
    """A duel on such a server."""
    defaults: dict[str, Any] = {"players_per_match": 2, "timers": TIMERS, "limits": Limits(tries=2)}
    return GameSpec(server=server, **(defaults | changes))


@dataclass
class Ground:
    """See the module."""

    dockerd: Docker
    client: docker.DockerClient
    db: Database
    matchmakers: Matchmakers

    def start(self, **env: str) -> None:
        """Start a matchmaker."""
        self.matchmakers.start(**env)

    def kill_matchmaker(self) -> None:
        """kill -9 of the last one that was started."""
        process = self.matchmakers.processes[-1]
        process.kill()
        process.wait()

    def containers(self, name: str = "") -> list[Container]:
        """The containers of the installation, or of one match, running or not."""
        labels = [
            f"{INSTALLATION}={self.matchmakers.env['MUSTER_INSTALLATION']}",
            *([f"{MATCH}={name}"] if name else []),
        ]
        # Not looked into one by one: some may be gone by then.
        return self.client.containers.list(all=True, filters={"label": labels}, ignore_removed=True)

    async def gone(self, name: str = "", *, within_s: float = 90.0) -> None:
        """Wait until no container of the match, or none at all, is left."""

        async def none_left() -> bool:
            return not self.containers(name)

        await eventually(none_left, within_s=within_s, every_s=0.2)

    async def running(self, ticket: str) -> tuple[str, dict[str, Any]]:
        """The match that the ticket is COMPLETED with, and where it is played."""
        name = (await status(self.db, GAME, ticket, "COMPLETED", within_s=120))["match"]
        return name, json.loads((await match(self.db, GAME, name))["connection"])

    async def token(self, name: str, seat: int) -> str:
        """A join token for a seat of a match, as webapi mints it."""
        document = msgspec.json.decode((await match(self.db, GAME, name))["doc"], type=Match)
        player = document.players[seat]
        claims = JoinClaims(player.id, name, player.name, player.team, int(time.time()) + 60)
        return mint(match_key(self.matchmakers.env["MUSTER_SECRET"], name), claims)


def matchmaker_env(dockerd: Docker, redis_url: str) -> dict[str, str]:
    """What a matchmaker beside the daemon needs, over what every matchmaker of a test has."""
    return {
        "MUSTER_LAUNCHER": "docker",
        "REDIS_URL": redis_url,
        "DOCKER_HOST": dockerd.url,
        "MUSTER_DOCKER_GAMEPOD_IMAGE": f"muster/gamepod:{TAG}",
        "MUSTER_ADDRESS": dockerd.address,
        "MUSTER_BIND": "0.0.0.0",
        # Where containers reach this machine: their rings come here.
        "MUSTER_DOORBELL_BIND": f"tcp://{dockerd.layout.host_address}:*",
        "MUSTER_BEAT_TIMEOUT_S": "30",  # a server beats each 2 s, and on a busy machine much later
        "MUSTER_VANISHED_S": "600",  # nobody gives signs of life for tests' tickets
    }
