"""Docker Compose with compose.yaml: what it makes of the file, and a project of it on a Docker daemon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.binaries import COMPOSE, cache, program

ROOT: Final = Path(__file__).parents[2]
SECRETS: Final = ROOT / "compose" / "secrets.sh"
UP_S: Final = 480  # every part of it starts on two busy cores
# Another stack's must not change what is tested.
OURS: Final = ("MUSTER_", "REDIS_", "RABBITMQ_", "KAFKA_", "GRAFANA_", "PROMETHEUS_", "COMPOSE_", "DOCKER_")


def podman_compose() -> Path:
    """Folder of podman-compose, fetched once. It is nobody's dependency: its licence is none of ours (GPL-2.0)."""
    wanted = Path(__file__).parent / "podman-compose.txt"
    folder = cache() / f"podman-compose-{zlib.crc32(wanted.read_bytes()):08x}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=cache()) as unfinished:
            install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--target", unfinished]
            subprocess.run([sys.executable, "-m", "pip", *install, "-r", str(wanted)], check=True)
            shutil.copytree(unfinished, folder, dirs_exist_ok=True)
    return folder


def drawn_secrets(path: Path) -> dict[str, str]:
    """The file of compose/secrets.sh, made or completed, and read."""
    subprocess.run(["sh", str(SECRETS), str(path)], check=True, capture_output=True)
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


@dataclass
class Compose:
    """compose.yaml with these variables, and with these files laid over it."""

    env_file: Path
    variables: Mapping[str, str]
    over: tuple[Path, ...] = ()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Docker Compose to its end, whatever that is."""
        command = [str(program(COMPOSE, "docker-compose")), "--project-directory", str(ROOT)]
        for path in (ROOT / "compose.yaml", *self.over):
            command += ["--file", str(path)]
        env = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | dict(self.variables)
        return subprocess.run(
            [*command, "--env-file", str(self.env_file), *arguments],
            env=env, capture_output=True, text=True, timeout=UP_S, check=False,
        )  # fmt: skip

    def __call__(self, *arguments: str) -> str:
        """What a command prints. Fails, with what it said, where it fails."""
        done = self.run(*arguments)
        if done.returncode and "up" in arguments:
            print(self.run("--profile", "full", "logs", "--no-color", "--tail", "30").stdout[-20_000:])
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-6000:]}"
        return done.stdout

    def config(self, *profiles: str) -> dict[str, Any]:
        """The document that these profiles come to, as Docker Compose understands it."""
        chosen = (part for profile in profiles for part in ("--profile", profile))
        return dict(json.loads(self(*chosen, "config", "--format", "json")))
