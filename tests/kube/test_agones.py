"""Matches on servers of Agones' fleets: kinds and allocations on a real API server, matchmakers that are killed."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.clock import new_id
from core.model import AgonesFleet, GameSpec, Limits, Port, Server, Timers
from core.redis.client import Database
from matchmaker.launch.agones_documents import INSTALLATION
from tests.cluster.cluster import Cluster
from tests.kube.fleets import Fleets, installed
from tests.kube.ground import GAME
from tests.matchmaker.support import Matchmakers, match, matchmakers, over, queue, register, status, ticket
from tests.support import eventually

pytestmark = pytest.mark.slow

PORTS = [Port("game", "ws"), Port("chat", "tcp")]


def fleet_game(fleet: str = "duel", **changes: Any) -> GameSpec:
    """A game of one player on servers of a fleet."""
    server = Server(agones=AgonesFleet(fleet, changes.pop("namespace", "")), ports=PORTS, env={"map": "mars"})
    timers = Timers(start_s=changes.pop("start_s", 120), drain_s=1)
    limits = Limits(tries=changes.pop("tries", 2))
    return GameSpec(server=server, players_per_match=1, timers=timers, limits=limits, **changes)


@pytest.fixture
def fleets(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Fleets]:
    """Agones in the cluster, with empty fleets."""
    with installed(cluster, namespace, tmp_path) as made:
        yield made


@pytest.fixture
def stack(redis_url: str, tmp_path: Path, cluster: Cluster, fleets: Fleets) -> Iterator[Matchmakers]:
    """Matchmakers on this machine that may name fleets of the test's namespace."""
    with matchmakers(redis_url, tmp_path) as made:
        made.env |= {
            "MUSTER_AGONES": "true",
            "MUSTER_AGONES_NAMESPACES": fleets.namespace,
            "MUSTER_KUBE_CONFIG": str(cluster.kubeconfig),
            "MUSTER_BEAT_TIMEOUT_S": "20",  # a late matchmaker, who beats for the servers, loses none
            # The allocator is this process: one that is late is not to be asked a second time.
            "MUSTER_AGONES_CALL_S": "60",
            "MUSTER_VANISHED_S": "600",
        }
        yield made
        for number in range(len(made.processes)):
            print(made.log(number)[-3000:])  # shown where the test failed


async def running(db: Database, name: str) -> tuple[str, Any]:
    """The match that the ticket is COMPLETED with, and where it is played."""
    found = await status(db, GAME, name, "COMPLETED", within_s=120)
    return found["match"], json.loads((await match(db, GAME, found["match"]))["connection"])


async def gone(fleets: Fleets, name: str) -> None:
    """Wait until a game server is deleted."""

    async def is_gone() -> bool:
        return name not in fleets.all()

    await eventually(is_gone, within_s=90, every_s=0.2)


async def test_a_match_is_played_on_a_server_of_a_fleet(db: Database, stack: Matchmakers, fleets: Fleets) -> None:
    """It is allocated with its match, roster, settings and key; its Shutdown is the end of the match."""
    (name,) = fleets.fill("duel", 1)
    await register(db, GAME, fleet_game())
    stack.start()
    placed = await queue(db, GAME)
    made, connection = await running(db, placed)
    assert connection == {
        "address": "127.0.0.1",
        "ports": [
            {"name": "game", "protocol": "ws", "port": 7654},
            {"name": "chat", "protocol": "tcp", "port": 7655},
        ],
    }
    (server,) = fleets.of(made)
    labels, annotations = server["metadata"]["labels"], server["metadata"]["annotations"]
    assert labels[INSTALLATION] == stack.env["MUSTER_INSTALLATION"]
    assert json.loads(annotations["muster.dev/settings"]) == {"map": "mars"}
    (seat,) = json.loads(annotations["muster.dev/roster"])
    assert (seat["name"], seat["team"]) == ("somebody", "players")
    stored = json.loads((await match(db, GAME, made))["doc"])["players"][0]
    assert seat["player"] == stored["id"]
    assert annotations["muster.dev/join-key"]
    fleets.say(name, "Shutdown")
    ended = await over(db, GAME, made)
    assert (ended["state"], ended["reason"]) == ("ENDED", "exited")
    assert len(fleets.asked) == 1


async def test_an_empty_fleet_is_waited_for_and_named(db: Database, stack: Matchmakers, fleets: Fleets) -> None:
    """UnAllocated is asked again, less and less often; a match whose time is over says why."""
    # Tries enough that one of its matches is there when the fleet, asked each few seconds only by then, has a server.
    await register(db, GAME, fleet_game(start_s=8, tries=10))
    stack.start(MUSTER_BEAT_TIMEOUT_S="6")
    placed = await queue(db, GAME)

    async def failed() -> str:
        found = await ticket(db, GAME, placed)
        return found["match"] if int(found["tries"]) >= 1 else ""

    assert await eventually(failed, within_s=60)
    first = next(one["spec"]["metadata"]["labels"]["muster.dev/match"] for one in fleets.asked)
    verdict = await match(db, GAME, first)
    assert (verdict["state"], verdict["reason"]) == ("FAILED", "never_ready")
    assert "UnAllocated: the fleet 'duel'" in json.loads(verdict["result"])["detail"]
    assert len(fleets.asked) < 12
    fleets.fill("duel", 1)
    await running(db, placed)


async def test_contention_is_tried_again(db: Database, stack: Matchmakers, fleets: Fleets) -> None:
    """Others took the server at the same time: a few tries at once, and more at the next look."""
    fleets.fill("duel", 1)
    fleets.answers = ["Contention"] * 4
    await register(db, GAME, fleet_game())
    stack.start()
    await running(db, await queue(db, GAME))
    assert len(fleets.asked) == 5


async def test_a_crash_after_an_allocation_leaks_nothing(db: Database, stack: Matchmakers, fleets: Fleets) -> None:
    """Killed between the allocation and writing it down: the next one finds the server by its label."""
    fleets.fill("duel", 3)
    await register(db, GAME, fleet_game())
    first = stack.start()
    fleets.answered = lambda: first.send_signal(signal.SIGKILL)
    placed = await queue(db, GAME)

    async def dead() -> bool:
        return first.poll() is not None

    await eventually(dead, within_s=90)
    fleets.answered = lambda: None
    # The signal may come a moment after it wrote the allocation down; then there is nothing left to find.
    assert (await ticket(db, GAME, placed))["state"] in ("PLACING", "COMPLETED")
    stack.start()
    made, _ = await running(db, placed)
    assert len(fleets.asked) == len(fleets.of(made)) == 1


@pytest.mark.parametrize(("state", "reason"), [("Unhealthy", "crashed"), ("", "server_lost")])
async def test_a_lost_server_puts_its_players_back(
    db: Database, stack: Matchmakers, fleets: Fleets, state: str, reason: str
) -> None:
    """Unhealthy, or deleted by somebody: the match fails by name, and its players get another on another server."""
    fleets.fill("duel", 2)
    await register(db, GAME, fleet_game())
    stack.start()
    placed = await queue(db, GAME)
    first, _ = await running(db, placed)
    (server,) = fleets.of(first)
    name = server["metadata"]["name"]
    if state:
        fleets.say(name, state)
    else:
        fleets.delete(name)
    verdict = await over(db, GAME, first)
    assert (verdict["state"], verdict["reason"]) == ("FAILED", reason)

    async def another() -> str:
        found = await ticket(db, GAME, placed)
        return found["match"] if found["state"] == "COMPLETED" and found["match"] != first else ""

    second = await eventually(another, within_s=90)
    assert fleets.of(second)[0]["metadata"]["name"] != name


async def test_what_no_match_needs_is_given_back(db: Database, stack: Matchmakers, fleets: Fleets) -> None:
    """Orphans of ours, a second server of a match, one whose match is over: deleted. Another installation's stays."""
    mine = {INSTALLATION: stack.env["MUSTER_INSTALLATION"], "muster.dev/game": GAME}
    fleets.add("orphan", {**mine, "muster.dev/match": new_id("match")}, "Allocated")
    theirs = {INSTALLATION: "theirs", "muster.dev/game": GAME, "muster.dev/match": new_id("match")}
    fleets.add("theirs", theirs, "Allocated")
    fleets.fill("duel", 1)
    await register(db, GAME, fleet_game())
    stack.start()
    await gone(fleets, "orphan")
    made, _ = await running(db, await queue(db, GAME))
    (server,) = fleets.of(made)
    fleets.add("second", {**mine, "muster.dev/match": made}, "Allocated")
    await gone(fleets, "second")
    assert [one["metadata"]["name"] for one in fleets.of(made)] == [server["metadata"]["name"]]
    reply = await db.call("match_step", f"muster:{{{GAME}}}", made, "finish", _now(), "", "finished", "", 0, 3)
    assert reply[0] == "ok"
    await gone(fleets, server["metadata"]["name"])
    assert "theirs" in fleets.all()


async def test_others_fleets_are_not_taken_from(db: Database, stack: Matchmakers, fleets: Fleets) -> None:
    """A fleet that does not name the game gives nothing; a namespace that the operator did not name is refused."""
    fleets.fill("duel", 1, game="another-game")
    await register(db, GAME, fleet_game(start_s=3))
    await register(db, "elsewhere", fleet_game(namespace="kube-system"))
    stack.start()
    await queue(db, GAME)
    refused = await queue(db, "elsewhere")
    found = await status(db, "elsewhere", refused, "FAILED", within_s=90)
    assert found["reason"] == "launch_failed"
    verdict = await match(db, "elsewhere", found["match"])
    assert "MUSTER_AGONES_NAMESPACES" in json.loads(verdict["result"])["detail"]

    async def asked() -> bool:
        return len(fleets.asked) > 0

    await eventually(asked, within_s=90)
    assert [one["status"]["state"] for one in fleets.all().values()] == ["Ready"]


async def test_an_api_server_that_was_away_ends_no_match(
    db: Database, stack: Matchmakers, fleets: Fleets, cluster: Cluster
) -> None:
    """Nobody knows what lives meanwhile, and nobody is judged; afterwards the match plays on, on the same server."""
    fleets.fill("duel", 1)
    await register(db, GAME, fleet_game())
    stack.start()
    made, _ = await running(db, await queue(db, GAME))
    with cluster.without("kube-apiserver"):
        time.sleep(10)
    before = int((await match(db, GAME, made))["beat_ms"])

    async def beats() -> bool:
        found = await match(db, GAME, made)
        return found["state"] == "RUNNING" and int(found["beat_ms"]) > before

    assert await eventually(beats, within_s=120)
    cluster.restart("kube-controller-manager", "kube-scheduler", "kubelet")


def _now() -> int:
    return int(time.time() * 1000)
