"""The images, run as a careful operator would: no root, nothing to write to but /tmp."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import docker

from tests.docker.rig import TAG
from tests.dockerd import Docker
from tests.support import eventually
from tests.unit.test_supply_chain import faults
from tools.sbom import image_bom, text

CAREFUL: dict[str, Any] = {
    "read_only": True,
    "tmpfs": {"/tmp": ""},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "detach": True,
}


def run(client: docker.DockerClient, name: str, source: str) -> Any:
    """What a program of Python, run in an image, prints as JSON."""
    options = {**CAREFUL, "detach": False, "remove": True}
    return json.loads(client.containers.run(f"{name}:{TAG}", entrypoint=["python3", "-c", source], **options))


async def test_a_service_answers(
    dockerd: Docker, client: docker.DockerClient, images: dict[str, Any], shared_redis: str
) -> None:
    """Webapi from its image, without rights and with a read-only root, answers /status; a matchmaker runs so too."""
    env = {"REDIS_URL": shared_redis, "MUSTER_SECRET": "s" * 64, "MUSTER_LAUNCHER": "instant"}
    ports = {"22548/tcp": 22548}
    web = client.containers.run(f"muster/service:{TAG}", environment=env, ports=ports, **CAREFUL)
    maker = client.containers.run(f"muster/service:{TAG}", "matchmaker", environment=env, **CAREFUL)
    try:

        async def answers() -> bytes:
            try:
                with urllib.request.urlopen(f"http://{dockerd.address}:22548/status", timeout=5) as response:
                    return bytes(response.read())
            except OSError:
                return b""

        assert await eventually(answers, within_s=120) == b"Server is running !"

        async def ready() -> bool:
            return b'"event":"ready"' in maker.logs()

        await eventually(ready, within_s=120)
    finally:
        for container in (web, maker):
            container.remove(force=True)


def test_nothing_can_be_written_and_nobody_is_root(client: docker.DockerClient, images: dict[str, Any]) -> None:
    """Both images run as one fixed number; what they are made of is root's, even where the root is not read-only."""
    source = (
        "import json, os\n"
        "files = [os.path.join(d, f) for d, _, fs in os.walk('/opt/muster') for f in fs]\n"
        "print(json.dumps([os.getuid(), len(files) > 100, [f for f in files if os.access(f, os.W_OK)]]))"
    )
    for name in ("muster/gamepod", "muster/service"):
        assert run(client, name, source) == [65532, True, []]


def test_gamepod_holds_what_a_server_imports_and_no_more(client: docker.DockerClient, images: dict[str, Any]) -> None:
    """The image of servers has neither the other services nor what only they need, and starts from compiled code."""
    source = (
        "import importlib.util as u, json, os\n"
        "others = ('typing_extensions', 'aiohttp', 'docker', 'webapi', 'matchmaker')\n"
        "absent = [name for name in others if u.find_spec(name)]\n"
        "bare = [d for d, _, fs in os.walk('/opt/muster') if any(f.endswith('.py') for f in fs) and\n"
        "    not os.path.isdir(d + '/__pycache__') and not d.endswith('__pycache__') and d != '/opt/muster']\n"
        "import gamepod.app, gamepod.transport.websocket_link\n"
        "print(json.dumps([absent, bare]))"
    )
    assert run(client, "muster/gamepod", source) == [[], []]


def test_sizes(client: docker.DockerClient, images: dict[str, Any]) -> None:
    """A server's image adds at most 30 MB to its base, the services' at most 335."""
    base = int(client.images.get(images["muster/gamepod"].labels["org.opencontainers.image.base.name"]).attrs["Size"])
    assert int(images["muster/gamepod"].attrs["Size"]) - base < 32e6
    assert int(images["muster/service"].attrs["Size"]) - base < 335e6


def test_bills_of_materials(client: docker.DockerClient, images: dict[str, Any]) -> None:
    """An image's names the packages that are really in it, Python's own included, and its form is CycloneDX'."""
    for name, there, absent in (("gamepod", "uvloop", "aiohttp"), ("service", "aiohttp", "pytest")):
        bill = text(image_bom(client, f"muster/{name}:{TAG}"))
        assert faults(bill) == []
        components = {found["name"]: found for found in json.loads(bill)["components"]}
        assert {there, "python"} <= set(components)
        assert absent not in components
        assert components[there]["licenses"]
        assert components[there]["purl"].startswith(f"pkg:pypi/{there}@")
