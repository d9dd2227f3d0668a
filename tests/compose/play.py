"""What tests of a running stack share: a game and players through the edge, its servers, and who reaches whom."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

import docker
from docker.models.containers import Container

from core.cli.rest import Rest
from matchmaker.launch.docker_documents import INSTALLATION
from tests.chart.players import completed, queue
from tests.cluster.api import until
from tests.compose.stack import drawn_secrets

PLACED_S: Final = 240.0  # two brokers start beside it
SEEN_S: Final = 180.0  # a look at the daemon, and a scrape or two
PROMETHEUS_PORT: Final = 9090
# Of all profiles but Grafana, whose image cannot be stood in for; what Prometheus scrapes while a match is played.
OWN_PROFILES: Final = {
    "analytics", "backup", "docker-reader", "intake", "kafka", "prometheus", "rabbitmq", "sinks", "worker",
}  # fmt: skip
SHORT_S, LONG_S = 6, 3600  # of a match, from its first player on: the second comes within it; it outlasts a test
JOBS: Final = {"webapi", "matchmaker", "worker", "sinks", "intake", "analytics", "games"}
CARRIED: Final = "sum by (sink) (muster_sink_events_total) > 0"

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
    """Register the arena for two under this name; whoever comes late, or has left, ends no match."""
    server = {"arena": {"time_limit_s": time_limit_s}}
    timers = {"start_s": 180, "join_s": 600, "empty_s": 600, "reconnect_s": 600, "drain_s": 1}
    rest.call("POST", "/v1/games", {"id": game, "players_per_match": 2, "server": server, "timers": timers})


def placed(url: str, game: str) -> list[dict[str, Any]]:
    """The COMPLETED tickets of two new players."""
    waiting = [queue(url, name, game) for name in ("Ada", "Grace")]
    return [completed(player, ticket, game, within_s=PLACED_S) for player, ticket in waiting]


def asked(address: str, promql: str, wanted: int) -> list[dict[str, Any]]:
    """What Prometheus at `address` answers, once these are so many."""
    place = f"http://{address}:{PROMETHEUS_PORT}/api/v1/query?{urllib.parse.urlencode({'query': promql})}"

    def found() -> list[dict[str, Any]] | None:
        with urllib.request.urlopen(place, timeout=10) as answer:
            answers: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return answers if len(answers) == wanted else None

    return until(found, f"{promql} has {wanted} answers", within_s=SEEN_S) or []
