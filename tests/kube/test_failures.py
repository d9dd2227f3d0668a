"""What goes wrong with one server: as its match and ticket tell it, and as the game's developer reads it over HTTP."""

from __future__ import annotations

import pytest

from core.model import Limits, Port, Ready, Resources, Server, Timers
from tests.duel import nudge
from tests.kube.ground import GAME, SMALL, TIMERS, Document, Ground, image_server, spec
from tests.matchmaker.support import match, over, queue, register, status, ticket
from tests.support import eventually
from tests.told_game import IN_PLAY, NUDGED

pytestmark = pytest.mark.slow

SLEEP = "import time; time.sleep(600)"
AT_ONCE = Ready(when="delay", delay_s=0.1)


async def failed(ground: Ground, server: Server, *, tries: int = 2, start_s: float = 120.0, **env: str) -> Document:
    """The last match, as its developer reads it, of a ticket that FAILED after so many."""
    ground.start(**env)
    timers = Timers(start_s=start_s, drain_s=1)
    async with ground.developer(server, timers=timers, limits=Limits(tries=tries)) as developer:
        name = await queue(ground.db, GAME, players=2)
        told = await status(ground.db, GAME, name, "FAILED", within_s=240.0)
        assert told["tries"] == str(tries)
        found = await developer.reads(told["match"])
        assert (found["state"], found["reason"]) == ("FAILED", told["reason"])
        await ground.gone()
        return found


async def test_an_image_that_is_missing(ground: Ground) -> None:
    """The match failed to launch, and the developer reads which image and why."""
    found = await failed(ground, Server(image="missing.example/game:1", resources=SMALL), tries=1)
    assert found["reason"] == "launch_failed"
    assert "missing.example/game:1" in found["result"]["detail"]


async def test_a_right_that_is_missing(ground: Ground) -> None:
    """The match failed to launch, and the developer reads which right the matchmaker lacks."""
    kubeconfig = ground.narrow_kubeconfig(["get", "list", "watch"])
    found = await failed(ground, Server(arena={}, resources=SMALL), MUSTER_KUBE_CONFIG=kubeconfig)
    assert found["reason"] == "launch_failed"
    assert 'cannot create resource "pods"' in found["result"]["detail"]


async def test_a_game_that_dies_early(ground: Ground) -> None:
    """The developer reads the exit code and the last lines."""
    server = image_server(ground.image, "print('no map'); raise SystemExit(3)", ready=Ready(when="sdk"))
    found = await failed(ground, server)
    assert found["reason"] == "died_early"
    assert found["result"] == {"detail": "the game exited with code 3", "output": ["no map"], "exit_code": 3}


async def test_a_game_that_takes_too_much_memory(ground: Ground) -> None:
    """It is ended by the kernel in the middle of its match; the developer reads the limit and the last lines."""
    code = f"{IN_PLAY}print('a large map', flush=True); x = b'x' * (400 << 20)"
    found = await failed(ground, image_server(ground.image, code, ready=AT_ONCE), tries=1)
    assert found["reason"] == "crashed"
    detail = "the game took more memory than its limit (64Mi) and was ended"
    assert found["result"] == {"detail": detail, "output": ["a large map"], "exit_code": 137}


async def test_a_game_that_writes_too_much(ground: Ground) -> None:
    """It is evicted in the middle of its match; the developer reads what was full (its log is often gone by then)."""
    code = (
        f"{IN_PLAY}print('saving', flush=True)\n"
        "with open('/tmp/save', 'wb') as file: file.write(b'x' * (40 << 20))\n"
        "time.sleep(600)"
    )
    server = image_server(ground.image, code, ready=AT_ONCE)
    found = await failed(ground, server, tries=1, MUSTER_SERVER_DISK_MIB="16")
    assert found["reason"] == "server_lost"
    assert "its pod was ended: Evicted:" in found["result"]["detail"]
    assert found["result"]["output"] in ([], ["saving"])


async def test_a_server_that_no_node_takes(ground: Ground) -> None:
    """The scheduler's reason is told when the start timer is over."""
    server = Server(arena={}, resources=Resources(cpu=4, memory_mib=4096))
    found = await failed(ground, server, tries=1, start_s=15.0)
    assert found["reason"] == "never_ready"
    assert "Insufficient" in found["result"]["detail"]


def occupy(ground: Ground, port: int) -> Document:
    """A stranger's pod that takes a port of the node."""
    listener = {"name": "main", "image": ground.image, "imagePullPolicy": "Never", "command": ["python3", "-c", SLEEP]}
    ports = [{"containerPort": port, "hostPort": port}]
    pod: Document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger", "namespace": ground.namespace},
        "spec": {"containers": [listener | {"ports": ports}], "terminationGracePeriodSeconds": 0},
    }
    ground.cluster.apply(pod)
    ground.cluster.wait_for_pod("stranger", ground.namespace)
    return pod


async def test_a_port_that_a_stranger_has(ground: Ground) -> None:
    """The scheduler's words are told; once the port is free the players, whose wait was kept, get their match."""
    stranger = occupy(ground, 21_000)
    ground.start(MUSTER_KUBE_PORT_FIRST="21000", MUSTER_KUBE_PORT_LAST="21000")
    server = image_server(ground.image, SLEEP, ready=AT_ONCE, ports=[Port("game", "tcp")])
    short, limits = Timers(start_s=15, drain_s=1), Limits(tries=5)
    async with ground.developer(server, timers=short, limits=limits) as developer:
        name = await queue(ground.db, GAME, players=2)
        since = (await ticket(ground.db, GAME, name))["since_ms"]
        first = await placed(ground, name)
        # Of the next match: that one has time until the stranger is gone and its own pod runs.
        patient = spec(server, timers=TIMERS, limits=limits)
        await register(ground.db, GAME, patient, owner=developer.player, version=2)
        found = await over(ground.db, GAME, first)
        ground.cluster.delete(stranger)
        assert found["reason"] == "never_ready"
        assert "free ports" in (await developer.reads(first))["result"]["detail"]
        await ground.requeued(name, first, since)


async def placed(ground: Ground, name: str) -> str:
    """The match that the ticket is in, ready or not."""

    async def it_is() -> str:
        return (await ticket(ground.db, GAME, name)).get("match", "")

    return await eventually(it_is)


async def test_a_range_of_ports_that_is_used_up(ground: Ground) -> None:
    """One match more than there are ports waits, and is played when a port is free again."""
    ground.start(MUSTER_KUBE_PORT_FIRST="21000", MUSTER_KUBE_PORT_LAST="21000")
    server = image_server(ground.image, SLEEP, ready=AT_ONCE, ports=[Port("game", "tcp")])
    async with ground.developer(server):
        first, _ = await ground.running(await queue(ground.db, GAME, players=2))
        waits = await queue(ground.db, GAME, players=2)
        second = await placed(ground, waits)

        async def refused() -> bool:
            pod = ground.pods().get(second, {"status": {}})
            return any("free ports" in c.get("message", "") for c in pod["status"].get("conditions", []))

        await eventually(refused, within_s=90.0)
        await ground.db.call("match_step", f"muster:{{{GAME}}}", first, "finish", 0, "", "stopped", "", 0, 0)
        name, connection = await ground.running(waits)
        assert (name, connection["ports"][0]["port"]) == (second, 21_000)


async def test_a_game_that_crashes_in_play(ground: Ground) -> None:
    """Its players go back to the queue with their wait, and get another match."""
    ground.start()
    code = f"{NUDGED}print('bang', flush=True); raise SystemExit(9)"
    ports = [Port("game", "tcp")]
    server = image_server(ground.image, code, "{port}", ports=ports, ready=Ready(when="port"))
    async with ground.developer(server, limits=Limits(tries=3)) as developer:
        name = await queue(ground.db, GAME, players=2)
        since = (await ticket(ground.db, GAME, name))["since_ms"]
        first, connection = await ground.running(name)
        await nudge(connection)
        crashed = await over(ground.db, GAME, first)
        assert (crashed["state"], crashed["reason"]) == ("FAILED", "crashed")
        told = (await developer.reads(first))["result"]
        assert told == {"detail": "the game exited with code 9", "output": ["bang"], "exit_code": 9}
        await ground.requeued(name, first, since)


@pytest.mark.parametrize("arena", [True, False], ids=["arena", "image"])
async def test_a_server_that_is_evicted(ground: Ground, arena: bool) -> None:
    """A drained node ends a match, whatever its server says to that: the players get another with their wait kept."""
    ground.start()
    graceful = f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); {SLEEP}"
    image = image_server(ground.image, graceful, ready=AT_ONCE)
    server = Server(arena={"time_limit_s": 300}, resources=SMALL) if arena else image
    async with ground.developer(server, limits=Limits(tries=3)) as developer:
        name = await queue(ground.db, GAME, players=2)
        since = (await ticket(ground.db, GAME, name))["since_ms"]
        first, _ = await ground.running(name)
        path = f"/api/v1/namespaces/{ground.namespace}/pods/{first}/eviction"
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first}}
        ground.cluster.api.send("POST", path, body)
        lost = await over(ground.db, GAME, first)
        assert (lost["state"], lost["reason"]) == ("FAILED", "server_lost")
        assert "EvictionByEvictionAPI" in (await developer.reads(first))["result"]["detail"]
        await ground.requeued(name, first, since)


async def test_a_sidecar_that_is_killed(ground: Ground) -> None:
    """It is started again and goes on as the same server: it knows what it was told, and the game's word is heard."""
    ground.start()
    code = (
        "import http.client, json, os, time, urllib.request as u\n"
        "at = 'http://127.0.0.1:' + os.environ['AGONES_SDK_HTTP_PORT']\n"
        "say = lambda path: u.urlopen(u.Request(at + path, b'{}', {'Content-Type': 'application/json'}))\n"
        "def state():\n"
        "    try: return json.load(u.urlopen(at + '/gameserver'))['status']['state']\n"
        "    except OSError: return ''\n"
        "told = u.urlopen(at + '/watch/gameserver')\n"
        'u.urlopen(u.Request(at + \'/metadata/label\', b\'{"key": "map", "value": "mars"}\', method=\'PUT\'))\n'
        "say('/ready')\n"
        # The stream breaks when the sidecar dies, however late we look; to ask now and then could miss it.
        "try:\n"
        "    for _ in told: pass\n"
        "except (OSError, http.client.HTTPException): pass\n"
        "while state() != 'Allocated': time.sleep(0.05)\n"
        "labels = json.load(u.urlopen(at + '/gameserver'))['object_meta']['labels']\n"
        "if labels.get('agones.dev/sdk-map') != 'mars': raise SystemExit(f'forgotten: {labels}')\n"
        "say('/shutdown')\n"
        "time.sleep(600)\n"
    )
    async with ground.developer(image_server(ground.image, code, ready=Ready(when="sdk"))):
        name, _ = await ground.running(await queue(ground.db, GAME, players=2))

        async def kept() -> bool:
            return "mars" in (await match(ground.db, GAME, name)).get("kept", "")

        await eventually(kept)
        (await ground.matchmakers.server_of(name)).kill()
        found = await over(ground.db, GAME, name, within_s=90.0)
        assert (found["state"], found["reason"]) == ("ENDED", "exited")
        await ground.gone()
