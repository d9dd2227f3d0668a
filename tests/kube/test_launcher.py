"""The launcher by itself on the real cluster; matches are not in Redis, so only pods are looked at."""

from __future__ import annotations

import asyncio

import pytest

from core import keys
from core.model import Port, Resources, Server
from matchmaker.launch.base import LaunchRefused, LaunchRetryable, Seen
from matchmaker.launch.kubernetes import KubernetesLauncher
from tests.duel import nudge
from tests.kube.ground import GAME, SMALL, Document, Ground, a_match, image_server
from tests.support import eventually
from tests.told_game import NUDGED

pytestmark = pytest.mark.slow

SLEEP = "import time; print('here', flush=True); time.sleep(600)"
LATE_S = 120.0  # a pod on a busy node
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


async def ended(made: KubernetesLauncher, match: str) -> Seen:
    """What is known of a server once it has ended."""

    async def it_has() -> Seen | None:
        server = (await made.seen()).get(match)
        return server if server and server.ended else None

    return await eventually(it_has, within_s=LATE_S)


async def says(made: KubernetesLauncher, match: str, words: str) -> Seen:
    """What is known of a server once its detail has these words."""

    async def it_does() -> Seen | None:
        server = (await made.seen()).get(match)
        return server if server and words in server.detail else None

    return await eventually(it_does, within_s=LATE_S)


async def listening(ground: Ground, match: str) -> Document:
    """Where the server's one port is reached, once it is; it hears of a player who says nothing."""
    (container,) = ground.pods()[match]["spec"]["containers"]
    address, port = ground.cluster.address, container["ports"][0]["hostPort"]

    async def open_it() -> bool:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(open_it, within_s=LATE_S)
    return {"address": address, "ports": [{"port": port}]}


async def lives(made: KubernetesLauncher, match: str) -> None:
    """Wait until the server's program has said that it is there."""

    async def here() -> bool:
        return await made.tail(match) == ["here"]

    await eventually(here, within_s=LATE_S)


async def test_start_and_stop_may_be_repeated(ground: Ground) -> None:
    """A start repeated by another launcher, which does not know of the pod yet, is recognised; a stop ends it once."""
    wanted = await ground.known(image_server(ground.image, SLEEP))
    async with ground.launcher() as first, ground.launcher() as second:
        await asyncio.gather(first.start(wanted), second.start(wanted))
        await first.start(wanted)
        assert list(ground.pods()) == [wanted.id]
        await lives(second, wanted.id)

        async def settled() -> bool:  # each hears from its own watch that a node has the pod
            return first.room() == second.room() == ground.settings.pending_most

        await eventually(settled)
        assert first.host == second.host
        await second.stop(wanted.id, 1.0)
        await second.stop(wanted.id, 1.0)
        assert (await ended(first, wanted.id)).exit_code is None
        await ground.gone(wanted.id)
        await first.stop(wanted.id, 1.0)


async def test_a_stubborn_server_is_killed_after_its_grace(ground: Ground) -> None:
    """A game that ignores SIGTERM is gone soon after its grace."""
    async with ground.launcher() as made:
        wanted = await ground.known(image_server(ground.image, STUBBORN))
        await made.start(wanted)
        await lives(made, wanted.id)
        await made.stop(wanted.id, 1.0)
        await ground.gone(wanted.id, within_s=60.0)  # by itself it stays for ten minutes


@pytest.mark.parametrize(
    ("code", "exit_code", "detail"),
    [
        ("print('last words'); raise SystemExit(7)", 7, "the game exited with code 7"),
        ("import os; print('last words', flush=True); os.abort()", 139, "the game was ended by signal 11"),
        ("print('last words', flush=True); x = b'x' * (400 << 20)", 137, "took more memory than its limit (64Mi)"),
    ],
    ids=["code", "signal", "memory"],
)
async def test_an_end_is_told(ground: Ground, code: str, exit_code: int, detail: str) -> None:
    """When a game ends its match is named; exit code, cause and last words are known until its pod is removed."""
    async with ground.launcher() as made:
        wanted = await ground.known(image_server(ground.image, code))
        await made.start(wanted)
        server = await ended(made, wanted.id)
        assert (server.exit_code, server.remains, server.tells) == (exit_code, True, False)
        assert detail in server.detail
        assert await made.tail(wanted.id) == ["last words"]
        assert ground.told == [(wanted.game, wanted.id)]
        await made.stop(wanted.id, 1.0)
        await ground.gone(wanted.id)
        assert (await ended(made, wanted.id)).detail == server.detail


async def test_what_can_never_run(ground: Ground) -> None:
    """A missing image, or what is none, is told with the kubelet's words."""
    images = ("missing.example/game:1", "not a name")
    async with ground.launcher() as made:
        matches = [await ground.known(Server(image=image, resources=SMALL)) for image in images]
        await asyncio.gather(*(made.start(wanted) for wanted in matches))  # the kubelet gives up after 10 s each
        for wanted, image in zip(matches, images, strict=True):
            assert (await says(made, wanted.id, image)).stuck


async def test_what_no_node_takes(ground: Ground) -> None:
    """Too large a server, or one whose ports are all taken, waits, and why is told; then there is less room."""
    async with ground.launcher(port_first=21_000, port_last=21_000, cpu_most=64) as made:
        large = a_match(Server(arena={}, ports=[Port("game", "udp")], resources=Resources(cpu=64)))
        await made.start(large)
        assert not (await says(made, large.id, "Insufficient cpu")).stuck
        assert made.room() == ground.settings.pending_most - 1
        first, second = [
            await ground.known(image_server(ground.image, SLEEP, ports=[Port("game", "tcp")])) for _ in range(2)
        ]
        await made.start(first)
        await lives(made, first.id)
        await made.start(second)
        await says(made, second.id, "free ports")
        with pytest.raises(LaunchRetryable, match="MUSTER_KUBE_PORT_LAST"):
            await made.start(a_match(Server(arena={}, ports=[Port("a", "udp"), Port("b", "udp")])))


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server(command=["serve"]), "not commands"),
        (Server(image="evil.example/game"), "MUSTER_IMAGE_PREFIXES"),
        (Server(arena={}, resources=Resources(cpu=64)), "MUSTER_SERVER_CPU_MOST"),
        (Server(image="good.example/game", env={"A=B": ""}), "the cluster refuses the pod"),
        (Server(image="good.example/game", args=["{port:x}"]), "the ports are game"),
    ],
)
async def test_refused(ground: Ground, server: Server, reason: str) -> None:
    """What can never be started is refused with the reason, and holds no place."""
    async with ground.launcher(image_prefixes="good.example/") as made:
        with pytest.raises(LaunchRefused, match=reason):
            await made.start(a_match(server))
        assert made.room() == ground.settings.pending_most
    assert not ground.pods()


async def test_a_strangers_pod_of_that_name(ground: Ground) -> None:
    """A pod that has the name and is not ours is left alone, and the start is refused."""
    wanted = await ground.known(image_server(ground.image, SLEEP))
    async with ground.launcher("other") as other:
        await other.start(wanted)
    async with ground.launcher() as made:
        assert wanted.id not in await made.seen()
        with pytest.raises(LaunchRefused, match="in the way"):
            await made.start(wanted)


async def test_a_server_that_somebody_deletes(ground: Ground) -> None:
    """A pod that was evicted is told as such, at once."""
    async with ground.launcher() as made:
        wanted = await ground.known(image_server(ground.image, SLEEP))
        await made.start(wanted)
        await lives(made, wanted.id)
        path = f"/api/v1/namespaces/{ground.namespace}/pods/{wanted.id}/eviction"
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": wanted.id}}
        ground.cluster.api.send("POST", path, body)
        server = await ended(made, wanted.id)
        assert server.exit_code is None
        assert "EvictionByEvictionAPI" in server.detail


async def test_the_api_server_is_away(ground: Ground) -> None:
    """Starts are put off meanwhile; afterwards the launcher goes on, and knows what ended in between."""
    async with ground.launcher() as made:
        ports = [Port("game", "tcp")]
        code = f"{NUDGED}raise SystemExit(5)"
        short = await ground.known(image_server(ground.image, code, "{port}", ports=ports))
        late = await ground.known(image_server(ground.image, SLEEP))
        await made.start(short)

        connection = await listening(ground, short.id)
        with ground.without_api_server():
            with pytest.raises(LaunchRetryable, match="cannot be reached"):
                await made.start(late)
            await nudge(connection)
            assert not (await made.seen())[short.id].ended
            assert await made.tail(short.id) == []

        async def started() -> bool:
            try:
                await made.start(late)
            except LaunchRetryable:
                return False
            return True

        await eventually(started, within_s=LATE_S)
        assert (await ended(made, short.id)).exit_code == 5
        await lives(made, late.id)


async def test_a_missing_right(ground: Ground) -> None:
    """Without the right to create pods a start is refused in words that name the right."""
    kubeconfig = ground.narrow_kubeconfig(["get", "list", "watch"])
    async with ground.launcher(kubeconfig=kubeconfig) as made:
        with pytest.raises(LaunchRefused, match=r'lacks a right.*cannot create resource "pods"'):
            await made.start(a_match())


async def test_the_rights_that_are_enough(ground: Ground) -> None:
    """Create, delete, get, list and watch pods are all it needs to start and end a server."""
    kubeconfig = ground.narrow_kubeconfig(["create", "delete", "get", "list", "watch"])
    async with ground.launcher(kubeconfig=kubeconfig) as made:
        wanted = a_match()
        await made.start(wanted)
        await made.start(wanted)
        await made.stop(wanted.id, 1.0)
        await ground.gone(wanted.id)


async def test_a_pod_that_another_has_replaced(ground: Ground) -> None:
    """A launcher that missed the end of a pod does not delete the next one that has the name."""
    wanted = await ground.known(image_server(ground.image, SLEEP))
    async with ground.launcher() as made, ground.launcher(deaf=True) as deaf:
        await deaf.start(wanted)
        first = ground.pods()[wanted.id]["metadata"]["uid"]
        ground.cluster.kubectl("delete", "pod", wanted.id, f"--namespace={ground.namespace}", "--now")

        async def heard() -> bool:  # it starts none where it knows of one
            server = (await made.seen()).get(wanted.id)
            return server is not None and server.ended and not server.remains

        await eventually(heard)
        await ground.db.do("HDEL", keys.match(GAME, wanted.id), "server")  # the first one's, which would turn it away
        await made.start(wanted)
        await deaf.stop(wanted.id, 1.0)
        await lives(made, wanted.id)
        (pod,) = ground.pods().values()
        assert pod["metadata"]["uid"] != first
        assert "deletionTimestamp" not in pod["metadata"]
