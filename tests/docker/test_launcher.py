"""The Docker launcher by itself, against a real daemon."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable

import docker
import pytest

from core.model import Port
from matchmaker.launch import slots
from matchmaker.launch.base import LaunchRefused, LaunchRetryable
from tests.docker.rig import DockerRig
from tests.dockerd import Docker
from tests.matchmaker.launcher_behaviour import SLEEP, Rig, a_match, ended, every_behaviour, said
from tests.support import eventually


@pytest.fixture
def rig(
    dockerd: Docker,
    client: docker.DockerClient,
    program_image: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> DockerRig:
    """Launchers on the daemon, which may be late: a start holds its place until it is settled or has ended."""
    monkeypatch.setattr(slots, "START_SLOT_S", 120.0)
    return DockerRig(dockerd, client, program_image)


@every_behaviour
async def test_it_behaves_as_every_launcher(rig: DockerRig, behaviour: Callable[[Rig], Awaitable[None]]) -> None:
    """Each line of the table of behaviour holds for containers."""
    await behaviour(rig)


async def test_a_server_has_no_rights(rig: DockerRig) -> None:
    """A running container is what its document asked for: named, labelled, bounded, without root, rights or secrets."""
    async with rig.open() as made:
        wanted = a_match()
        await made.start(wanted)
        (container,) = rig.containers(made, wanted.id)
        container.reload()
        host, config = container.attrs["HostConfig"], container.attrs["Config"]
        assert container.name == wanted.id
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["PidsLimit"]) == (True, ["ALL"], 256)
        assert (host["Memory"], host["MemorySwap"], host["CpuQuota"]) == (128 << 20, 128 << 20, 100_000)
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert config["User"] == "65532:65532"
        assert "s" * 32 not in str(config["Env"])
        assert len(container.attrs["NetworkSettings"]["Ports"]) == 3


# The docker package leaves a socket that nobody answers to the garbage collector, which is called below for that.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_the_daemon_is_away(rig: DockerRig, dockerd: Docker) -> None:
    """While no daemon answers, starts are put off and what ran is taken to run; afterwards all is as before."""
    async with rig.open() as made:
        first, second = a_match(), a_match()
        await made.start(first)
        await said(made, first.id, ["here"])
        dockerd.kill()
        try:
            with pytest.raises(LaunchRetryable, match="DOCKER_HOST"):
                await made.start(second)
            assert not (await made.seen())[first.id].ended
        finally:
            dockerd.start()
        await made.start(second)
        await rig.kill((await made.seen())[second.id])  # and ends are heard again
        assert (await ended(made, second.id)).exit_code == -9
        assert not (await made.seen())[first.id].ended
    gc.collect()


async def test_ports_are_others_where_somebody_has_them(rig: DockerRig) -> None:
    """A port of the range that is taken is left alone; where all are, the match waits and nothing is left over."""
    one_port = {"ports": [Port("game", "tcp")], "arena": {}}
    async with rig.open(port_first=20_100, port_last=20_101) as first:
        a, b = a_match(**one_port), a_match(**one_port)
        await first.start(a)
        async with rig.open(port_first=20_100, port_last=20_101) as second:
            # Another installation: only the daemon knows what is taken.
            await second.start(b)
            numbers = {rig.published(first, a.id), rig.published(second, b.id)}
            assert numbers == {20_100, 20_101}
            third = a_match(**one_port)
            with pytest.raises(LaunchRetryable, match="PORT"):
                await second.start(third)
            assert rig.containers(second, third.id) == []


async def test_a_start_that_was_cut_off_is_finished(rig: DockerRig, program_image: Callable[[str], str]) -> None:
    """Killed between the starts of its two containers, a server is completed by whoever lists it."""
    async with rig.open() as made:
        wanted = a_match(image=program_image(SLEEP))
        await made.start(wanted)
        game = rig.client.containers.get(f"{wanted.id}-game")
        body = game.attrs
        game.remove(force=True)
        assert (await ended(made, wanted.id)).exit_code is None  # half a server is none
        rig.client.api.create_container_from_config(
            {
                "Image": body["Config"]["Image"],
                "Labels": body["Config"]["Labels"],
                "HostConfig": {"NetworkMode": f"container:{wanted.id}"},
            },
            f"{wanted.id}-game",
        )
        second = rig.another(made)

        async def completed() -> bool:
            await second.seen()
            return bool(rig.client.containers.get(f"{wanted.id}-game").status == "running")

        await eventually(completed, within_s=90)  # this sidecar never listens, and is waited for in vain
        await second.close(stop_servers=False)


async def test_pulls_are_refused_unless_allowed(rig: DockerRig) -> None:
    """A missing image is refused by name and setting; with pulls allowed the registry is asked, here in vain."""
    async with rig.open() as made:
        with pytest.raises(LaunchRefused, match=r"nobody/has-this:1.*MUSTER_DOCKER_PULL"):
            await made.start(a_match(image="nobody/has-this:1"))
        with pytest.raises(LaunchRefused, match="no commands"):
            await made.start(a_match(command=["serve"]))
        with pytest.raises(LaunchRefused, match="9358"):
            await made.start(a_match(image="any", ports=[Port("game", "tcp", 9358)]))
    async with rig.open(pull=True) as made:
        with pytest.raises((LaunchRefused, LaunchRetryable)):
            await made.start(a_match(image="nobody/has-this:1"))
    async with rig.open(image_prefixes="example/") as made:
        with pytest.raises(LaunchRefused, match="MUSTER_IMAGE_PREFIXES"):
            await made.start(a_match(image="nobody/has-this:1"))
