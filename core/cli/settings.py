"""Settings of a stack on one machine, and the environment that its services get from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import Misconfigured
from core.settings import setting

LOOPBACK: Final = "127.0.0.1"
MAX_MATCHMAKERS: Final = 8  # of one machine; more would only wait for each other's leases
MAX_WORKERS: Final = 64  # of one machine


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """Of commands that speak to a Muster anywhere."""

    url: str = setting("MUSTER_URL", "")  # empty: the stack that runs here, else that of the last login
    token: str = setting("MUSTER_TOKEN", "", secret=True)  # access token or API key, instead of a login
    config_dir: str = setting("MUSTER_CONFIG_DIR", "")  # folder of kept sessions; empty: the system's for this user


@dataclass(frozen=True, slots=True)
class StackSettings:
    """What `muster up` reads. Every port can be moved; the services get whatever else is set as it is."""

    redis_url: str = setting("REDIS_URL", "", secret=True)  # empty: an embedded one
    secret: str = setting("MUSTER_SECRET", "", secret=True)  # empty: made once, kept in data_dir
    data_dir: str = setting("MUSTER_DATA_DIR", ".data")  # accounts, boards, logs; one stack at a time
    webapi_port: int = setting("MUSTER_WEBAPI_PORT", 22548)  # page and API
    webapi_auth_port: int = setting("MUSTER_WEBAPI_AUTH_PORT", 22550)  # accounts over TCP lines
    webapi_metrics_port: int = setting("MUSTER_WEBAPI_METRICS_PORT", 8000)  # metrics of webapi
    matchmaker_metrics_port: int = setting("MUSTER_MATCHMAKER_METRICS_PORT", 8002)  # metrics of the matchmaker
    worker_metrics_port: int = setting("MUSTER_WORKER_METRICS_PORT", 8003)  # metrics of the worker of delayed commands
    redis_port: int = setting("MUSTER_REDIS_PORT", 0)  # of the embedded one; 0 takes a free port
    matchmakers: int = setting("MUSTER_MATCHMAKERS", 1)  # a second one takes over when the first dies

    # Workers of delayed commands, started once a game has some; 0 leaves them to you.
    workers: int = setting("MUSTER_WORKERS", 1)

    def __post_init__(self) -> None:
        if not 0 <= self.workers <= MAX_WORKERS:
            raise Misconfigured(f"{self.workers} is not 0-{MAX_WORKERS}", setting="MUSTER_WORKERS")
        if not 1 <= self.matchmakers <= MAX_MATCHMAKERS:
            raise Misconfigured(f"{self.matchmakers} is not 1-{MAX_MATCHMAKERS}", setting="MUSTER_MATCHMAKERS")

    @property
    def url(self) -> str:
        """Where the page and the API are."""
        return f"http://{LOOPBACK}:{self.webapi_port}"

    @property
    def data(self) -> Path:
        return Path(self.data_dir).absolute()

    @property
    def ports(self) -> dict[str, tuple[int, str]]:
        """Fixed ports that must be free: the setting, the port, and what it is for."""
        found = {
            "MUSTER_WEBAPI_PORT": (self.webapi_port, "the page and the API"),
            "MUSTER_WEBAPI_AUTH_PORT": (self.webapi_auth_port, "accounts over TCP"),
            "MUSTER_WEBAPI_METRICS_PORT": (self.webapi_metrics_port, "metrics of webapi"),
            "MUSTER_MATCHMAKER_METRICS_PORT": (self.matchmaker_metrics_port, "metrics of the matchmaker"),
        }
        if self.workers:
            found["MUSTER_WORKER_METRICS_PORT"] = (self.worker_metrics_port, "metrics of the worker")
        if not self.redis_url:
            found["MUSTER_REDIS_PORT"] = (self.redis_port, "the embedded Redis")
        return {name: (port, what) for name, (port, what) in found.items() if port}


def service_env(
    settings: StackSettings, base: Mapping[str, str], *, redis_url: str, secret: str, installation: str
) -> dict[str, str]:
    """The environment of a service: `base` with what makes it part of this stack.

    Commands and self-made developers are allowed because who can reach this loopback address can start programs here
    anyway.
    """
    return {
        "MUSTER_LOG_FORMAT": "text",
        "MUSTER_ALLOW_COMMANDS": "true",
        "MUSTER_OPEN_DEVELOPERS": "true",
        "MUSTER_STOP_SERVERS": "true",
        **base,
        "MUSTER_INSTALLATION": installation,
        "REDIS_URL": redis_url,
        "MUSTER_SECRET": secret,
        "MUSTER_WEBAPI_PORT": str(settings.webapi_port),
        "MUSTER_WEBAPI_AUTH_PORT": str(settings.webapi_auth_port),
        "MUSTER_WEBAPI_METRICS_PORT": str(settings.webapi_metrics_port),
        "MUSTER_MATCHMAKER_METRICS_PORT": str(settings.matchmaker_metrics_port),
        "MUSTER_RUN_DIR": str(settings.data / "run"),
        "PYTHONUNBUFFERED": "1",
        # A source tree that is not installed runs too, from any folder.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), base.get("PYTHONPATH", "")])),
    }
