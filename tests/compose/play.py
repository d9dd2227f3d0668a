"""What tests of a running stack share: a game and players through the edge, its servers, and who reaches whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import docker
from docker.models.containers import Container

from core.cli.rest import Rest
from matchmaker.launch.docker_documents import INSTALLATION
from tests.chart.players import completed, queue
from tests.compose.stack import drawn_secrets

PLACED_S: Final = 120.0  # two brokers start beside it

# Says for each of PLACES, `name: [address, port]`, whether it takes a connection, as JSON.
REACHED: Final = """
import concurrent.futures, json, socket
def reached(place):
    try:
        socket.create_connection(place, 3).close()
        return True
    except OSError:
        return False
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(json.dumps(dict(zip(PLACES, pool.map(reached, map(tuple, PLACES.values()))))))
"""
# The status of each request to a Docker proxy, as JSON.
ASKED: Final = """
import json, urllib.request as u, urllib.error
def status(method, path):
    try:
        return u.urlopen(u.Request(f"http://docker-launcher:2375{path}", b"{}", method=method)).status
    except urllib.error.HTTPError as error:
        return error.code
print(json.dumps([status(*request) for request in REQUESTS]))
"""


def servers(client: docker.DockerClient) -> list[Container]:
    """Containers of game servers."""
    return list(client.containers.list(all=True, filters={"label": f"{INSTALLATION}=compose"}, ignore_removed=True))


def admin(env_file: Path, url: str) -> Rest:
    """The admin of the secrets, signed in."""
    drawn = drawn_secrets(env_file)
    rest = Rest(url)
    login = {"name": drawn["MUSTER_ADMIN_NAME"], "password": drawn["MUSTER_ADMIN_PASSWORD"]}
    rest.token = rest.call("POST", "/v1/login", login)["access_token"]
    return rest


def duel(rest: Rest, game: str, time_limit_s: int) -> None:
    """Register the arena for two under this name."""
    server, timers = {"arena": {"time_limit_s": time_limit_s}}, {"drain_s": 1}
    rest.call("POST", "/v1/games", {"id": game, "players_per_match": 2, "server": server, "timers": timers})


def placed(url: str, game: str) -> list[dict[str, Any]]:
    """The COMPLETED tickets of two new players."""
    waiting = [queue(url, name, game) for name in ("Ada", "Grace")]
    return [completed(player, ticket, game, within_s=PLACED_S) for player, ticket in waiting]
