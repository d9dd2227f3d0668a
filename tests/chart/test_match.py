"""A match in a pod: the chart with its defaults, played over UDP through an upgrade of everything else."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
import yaml

from core.cli.games import BUILT_IN
from core.cli.pilot import Pilot
from core.cli.rest import Rest
from core.cli.wires import open_wire
from tests.chart.images import REPOSITORY, TAG, valkey_image
from tests.chart.release import prepared
from tests.cluster.api import until
from tests.cluster.cluster import Cluster
from tests.cluster.fixture import Helm

pytestmark = pytest.mark.slow


async def test_a_match_in_a_pod_plays_through_an_upgrade(
    cluster: Cluster, namespace: str, helm: Helm, python_image_name: str, tmp_path: Path
) -> None:
    """Its pod and its players do not notice that webapi and matchmaker are replaced; at its end the pod goes."""
    cluster.import_image(valkey_image(tmp_path / "valkey.tar"))
    repository, _, tag = python_image_name.rpartition(":")
    image = {"repository": repository, "tag": tag}
    redis = {"image": {"repository": REPOSITORY, "tag": TAG}, "persistence": {"enabled": False}}
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"image": image, "games": {"image": image}, "redis": redis}))
    with prepared(cluster, helm, namespace, str(values), admin="root") as release:
        release.install("--set", "secrets.admin=true")
        admin = Rest(release.url())
        login = {"name": release.secret("admin-name"), "password": release.secret("admin-password")}
        admin.token = admin.call("POST", "/v1/login", login)["access_token"]
        admin.call("POST", "/v1/games", {"id": "tanks", **BUILT_IN["tanks"]})
        seats = [await asyncio.to_thread(queue, release.url(), name) for name in ("Ada", "Grace")]
        tickets = [await asyncio.to_thread(completed, player, ticket) for player, ticket in seats]
        match = tickets[0]["match"]
        over, playing = asyncio.Event(), [asyncio.Event() for _ in tickets]
        players = [asyncio.create_task(fly(t, started, over)) for t, started in zip(tickets, playing, strict=True)]
        for started in playing:
            await asyncio.wait_for(started.wait(), 20)
        old = release.pods()
        assert match in old
        await asyncio.to_thread(release.upgrade, "--set", "secrets.admin=true,logging.level=debug")
        await asyncio.to_thread(
            until, lambda: release.pods() & old == {"muster-redis-0", match}, "services replaced", within_s=60
        )
        before = [task for task in players if task.done()]
        over.set()
        snapshots = await asyncio.gather(*players)
        assert not before
        assert min(snapshots) > 100
        await asyncio.to_thread(until, lambda: match not in release.pods(), "pod gone", within_s=60)


def queue(url: str, name: str) -> tuple[Rest, str]:
    """A new player who waits for a match of the tanks."""
    player = Rest(url)
    player.token = player.call("POST", "/v1/guests", {"name": name})["access_token"]
    return player, player.call("POST", "/v1/tickets", {"game": "tanks"})["id"]


def completed(player: Rest, ticket: str) -> dict[str, object]:
    """The ticket once it is COMPLETED."""

    def there() -> dict[str, object] | None:
        found: dict[str, object] = player.call("GET", f"/v1/tickets/tanks/{ticket}")
        return found if found["status"] == "COMPLETED" else None

    found = until(there, f"ticket {ticket} COMPLETED", within_s=30)
    assert found is not None
    return found


async def fly(ticket: dict[str, object], started: asyncio.Event, over: asyncio.Event) -> int:
    """Play over UDP until told to stop; how many snapshots came. Fails where the server goes silent."""
    connection = ticket["connection"]
    port = next(p["port"] for p in connection["ports"] if p["protocol"] == "udp")
    pilot = Pilot(random.Random(1), resend=True)

    def heard(message: bytes) -> None:
        if pilot.heard(message) == "snapshot":
            started.set()

    wire = await open_wire("udp", connection["address"], port, ticket["join_token"], heard, lambda _: None)
    try:
        silent = 0
        while not over.is_set():
            seen = pilot.snapshots
            if pilot.player:
                wire.send(pilot.input())
            await asyncio.sleep(0.05)
            silent = 0 if pilot.snapshots > seen else silent + 1
            assert silent < 100, "no snapshot for 5 s"
        return pilot.snapshots
    finally:
        await wire.close()
