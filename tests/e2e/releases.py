"""Replicas of two releases, webapis behind a real Nginx: started, stopped in turn, replaced by the other release's.

The other release is a copy of this one whose function library has another name, as any change of a Lua file gives it.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from tests.chart.local_edge import NGINX
from tests.cluster.api import until
from tests.stack import ROOT, stack_env
from tests.support import free_port

PACKAGES: Final = ("core", "gamepod", "matchmaker", "webapi")
STARTS_S: Final = 60.0
STOPS_S: Final = 40.0
REPLICAS: Final = 2
MODULES: Final = {"sinks": "core.sinks"}

CONFIGURATION: Final = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream webapi {{ {servers} keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
        proxy_connect_timeout 3s; proxy_read_timeout 60s;
        location / {{ proxy_pass http://webapi; }}
    }}
}}
"""


def other_release(folder: Path) -> Path:
    """A copy of the packages as another release would have them; its library's name differs."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "pages"))
    shutil.copytree(ROOT / "webapi" / "pages", folder / "webapi" / "pages")
    shutil.copy(ROOT / "pyproject.toml", folder)
    with (folder / "core" / "redis" / "lua" / "lease_take.lua").open("a") as lua:
        lua.write("-- of another release\n")
    return folder


@dataclass
class Releases:
    """Two webapis, two matchmakers and a carrier of events on one Redis."""

    folder: Path
    redis_url: str
    kafka: str
    trees: dict[str, Path]
    env: dict[str, str] = field(default_factory=dict)
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(REPLICAS)])
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)  # exit codes of those that were replaced

    def __post_init__(self) -> None:
        self.env = stack_env(self.folder) | {
            "REDIS_URL": self.redis_url,
            "MUSTER_SECRET": secrets.token_hex(32),
            "MUSTER_INSTALLATION": f"test-{secrets.token_hex(4)}",
            "MUSTER_RUN_DIR": str(self.folder / "run"),
            "MUSTER_OPEN_DEVELOPERS": "true",
            "MUSTER_WEBAPI_METRICS_PORT": "0",
            "MUSTER_MATCHMAKER_METRICS_PORT": "0",
            "MUSTER_WEBAPI_AUTH_PORT": "0",
            "MUSTER_SINKS_METRICS_PORT": "0",
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def names(self) -> list[str]:
        """Those that read what others write come first, as docs/upgrading.md asks."""
        return ["sinks-0", *(f"{kind}-{number}" for kind in ("webapi", "matchmaker") for number in range(REPLICAS))]

    def start(self, name: str, release: str) -> None:
        """Start a replica of a release, and wait until it is ready."""
        kind, _, number = name.partition("-")
        tree = self.trees[release]
        env = self.env | {"PYTHONPATH": str(tree)}
        if kind == "webapi":
            env["MUSTER_WEBAPI_PORT"] = str(self.ports[int(number)])
        with (self.folder / f"{name}.log").open("wb") as log:  # of this process alone
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", MODULES.get(kind, kind)], cwd=tree, env=env, stdout=log, stderr=log
            )
        until(lambda: self._ready(name), f"{name} of {release} is ready", within_s=STARTS_S)

    def stop(self, name: str) -> None:
        """SIGTERM, as an orchestrator does, and wait for its end."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        self.codes.append(process.wait(STOPS_S))

    def replace(self, name: str, release: str) -> None:
        """What a rolling upgrade does to a replica, where there is no room for one more meanwhile."""
        self.stop(name)
        self.start(name, release)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _ready(self, name: str) -> bool:
        process = self.running[name]
        assert process.poll() is None, self.log(name)
        kind, _, number = name.partition("-")
        if kind != "webapi":
            return "ready" in self.log(name)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[int(number)]}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def releases(folder: Path, redis_url: str, kafka: str) -> Iterator[Releases]:
    """All replicas of the release `old`, behind Nginx; nothing is left of them afterwards."""
    made = Releases(folder, redis_url, kafka, {"new": ROOT, "old": other_release(folder / "old")})
    servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in made.ports)
    conf = folder / "nginx.conf"
    conf.write_text(CONFIGURATION.format(folder=folder, servers=servers, port=made.port))
    assert NGINX, "no nginx here: apt-get install nginx"
    with subprocess.Popen([NGINX, "-e", "stderr", "-c", str(conf)], start_new_session=True) as edge:
        try:
            for name in made.names:
                made.start(name, "old")
            yield made
        finally:
            edge.terminate()
            for process in made.running.values():
                process.terminate()
            for process in made.running.values():
                process.wait(STOPS_S)
            for server in servers_of(made.env["MUSTER_INSTALLATION"]):
                server.kill()


def servers_of(installation: str) -> list[psutil.Process]:
    """Processes of game servers of this installation."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MUSTER_SERVER", "").startswith(f"{installation}/"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
