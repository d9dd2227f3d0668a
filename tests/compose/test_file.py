"""compose.yaml as Docker Compose and podman-compose understand it: profiles, pins, bounds, ports, secrets."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.setting_names import NAMES
from tests.chart.rendered import default_image
from tests.cluster.binaries import HELM3, program
from tests.compose.stack import ROOT, Compose, drawn_secrets, podman_compose
from tools.draw_compose import drawn

SMALL = {"docker-launcher", "edge", "gamepod", "matchmaker", "redis", "webapi"}
PROFILES = {
    "commands": {"worker"},
    "sinks": {"sinks"},
    "analytics": {"analytics"},
    "brokers": {"analytics", "intake", "sinks", "kafka", "rabbitmq"},
    "intake": {"intake"},
    "monitoring": {"docker-reader", "grafana", "prometheus"},
    "backup": {"backup"},
    "full": {
        "analytics",
        "backup",
        "intake",
        "worker",
        "sinks",
        "kafka",
        "rabbitmq",
        "docker-reader",
        "grafana",
        "prometheus",
    },
}
# podman-compose asks it for its version before it reads a file, and for nothing else to show the file.
PODMAN = "#!/bin/sh\necho podman version 5.2.2\n"


@pytest.fixture(scope="module")
def services(compose: Compose) -> dict[str, Any]:
    """All services with all their profiles, by name."""
    return dict(compose.config("full")["services"])


def test_plain_up_is_small_and_profiles_add(compose: Compose) -> None:
    """Without a profile Redis, the two services, the edge and the way to the daemon; each profile adds its own."""
    assert set(compose.config()["services"]) == SMALL
    for profile, more in PROFILES.items():
        assert set(compose.config(profile)["services"]) == SMALL | more, profile


def test_images_are_pinned(services: dict[str, Any]) -> None:
    """By an exact tag; what the chart runs too is the chart's."""
    images = {name: service["image"] for name, service in services.items()}
    assert not [image for image in images.values() if not re.search(r":v?\d+\.\d+[\w.-]*$", image)]
    assert images["redis"] == default_image("redis")
    assert {images[name] for name in ("edge", "docker-launcher", "docker-reader")} == {default_image("edge")}


def test_every_container_is_bounded_and_watched(services: dict[str, Any]) -> None:
    """Memory, processes, logs, rights; who runs for long is looked after and started again."""
    for name, service in services.items():
        assert int(service["mem_limit"]) > 0, name
        assert service["pids_limit"] > 0, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        assert not service.get("privileged"), name
        if name != "gamepod":
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"], name


def test_ports_are_opened_on_loopback(services: dict[str, Any]) -> None:
    """Only the edge, Prometheus and Grafana have any; no store and no broker is reached from outside."""
    opened = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(opened) == {"edge", "prometheus", "grafana"}
    assert {port["host_ip"] for ports in opened.values() for port in ports} == {"127.0.0.1"}
    assert services["matchmaker"]["environment"]["MUSTER_BIND"] == "127.0.0.1"


def test_the_daemon_s_socket_is_given_to_its_guards_alone(services: dict[str, Any]) -> None:
    """Two programs that pass on a list of requests, each in a network with who needs it and nobody else."""
    holders = {
        name
        for name, service in services.items()
        if any(volume["source"].endswith("docker.sock") for volume in service.get("volumes", ()))
    }
    assert holders == {"docker-launcher", "docker-reader"}
    for network, members in {
        "launcher": {"docker-launcher", "matchmaker"},
        "reader": {"docker-reader", "prometheus"},
    }.items():
        assert {name for name, service in services.items() if network in (service.get("networks") or ())} == members


def test_variables_are_settings_that_exist(services: dict[str, Any]) -> None:
    """A name that no service reads would be without effect."""
    for name, service in services.items():
        if service["image"].startswith("muster/"):
            unknown = {key for key in service.get("environment", {}) if key not in NAMES | {"REDIS_URL"}}
            assert not unknown, f"{name}: {unknown}"


def test_without_secrets_nothing_starts(compose: Compose, tmp_path: Path) -> None:
    """There is no default password: the file is refused, and the message says what to run."""
    for name, value in drawn_secrets(compose.env_file).items():
        others = {key: text for key, text in drawn_secrets(compose.env_file).items() if key != name}
        (tmp_path / "env").write_text("".join(f"{key}={text}\n" for key, text in others.items()))
        done = Compose(tmp_path / "env", {}).run("config", "--quiet")
        assert done.returncode != 0, name
        assert name in done.stderr
        assert "compose/secrets.sh" in done.stderr
        assert value not in (ROOT / "compose.yaml").read_text() or name.endswith(("_NAME", "_USER"))


def test_secrets_are_drawn_once(tmp_path: Path) -> None:
    """Nobody else reads the file; a second run keeps what is there and adds what is missing; no two are alike."""
    path = tmp_path / "env"
    path.write_text("MUSTER_PORT=8000\nREDIS_PASSWORD=mine")  # with no end to its last line
    first = drawn_secrets(path)
    assert (first["MUSTER_PORT"], first["REDIS_PASSWORD"]) == ("8000", "mine")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert drawn_secrets(path) == first
    other = drawn_secrets(tmp_path / "other")
    secret = [key for key in other if key.endswith(("SECRET", "PASSWORD"))]
    assert min(len(other[key]) for key in secret) >= 32
    assert len({text for drawn in (first, other) for key, text in drawn.items() if key in secret}) == 2 * len(secret)


def test_edge_and_alerts_are_the_chart_s() -> None:
    """compose/nginx.conf and compose/alerts.yaml are drawn from the chart's files: `make compose` does it."""
    for path, text in drawn(str(program(HELM3, "helm"))).items():
        assert path.read_text() == text, f"{path.name} is stale: run `make compose`"


def test_grafana_is_given_the_chart_s_dashboards(services: dict[str, Any]) -> None:
    """From the chart's own folder, with the data source that Prometheus is."""
    mounted = {
        volume["target"]: Path(volume["source"]) for volume in services["grafana"]["volumes"] if "source" in volume
    }
    (provider,) = yaml.safe_load((ROOT / "compose" / "grafana-dashboards.yaml").read_text())["providers"]
    folder = mounted[provider["options"]["path"]]
    assert folder == ROOT / "charts" / "muster" / "dashboards"
    assert len(list(folder.glob("*.json"))) >= 3
    (source,) = yaml.safe_load((ROOT / "compose" / "grafana-datasource.yaml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert set(services["grafana"]["networks"]) & set(services["prometheus"]["networks"])


def test_podman_compose_reads_the_same(compose: Compose, services: dict[str, Any], tmp_path: Path) -> None:
    """The same services with the same variables, images, networks and ports of the host."""
    podman = tmp_path / "podman"
    podman.write_text(PODMAN)
    podman.chmod(0o755)
    command = [sys.executable, "-m", "podman_compose", "--env-file", str(compose.env_file), "--profile", "full"]
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": str(podman_compose())}
    done = subprocess.run([*command, "config"], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    found = yaml.safe_load(done.stdout)["services"]
    assert set(found) == set(services)
    for name, service in services.items():
        read = found[name]
        assert read["image"] == service["image"], name
        variables = {key: str(value) for key, value in read.get("environment", {}).items()}
        assert variables == service.get("environment", {}), name
        assert set(read.get("networks") or ()) == set(service.get("networks") or ()), name
        opened = [f"{port['host_ip']}:{port['published']}:{port['target']}" for port in service.get("ports", ())]
        assert read.get("ports", []) == opened, name
        assert read.get("healthcheck", {}).get("test") == service.get("healthcheck", {}).get("test"), name
