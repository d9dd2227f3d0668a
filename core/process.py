"""This process as others see it: the release that it is of, and a name that no other process has."""

from __future__ import annotations

import os
import socket
import tomllib
from contextlib import suppress
from importlib import metadata
from pathlib import Path


def version() -> str:
    """The installed version; in a source tree that nobody installed, the one that would be."""
    with suppress(metadata.PackageNotFoundError):
        return metadata.version("muster")
    project = Path(__file__).parents[1] / "pyproject.toml"
    return str(tomllib.loads(project.read_text())["project"]["version"]) if project.exists() else "unknown"


def unique_name() -> str:
    """A name for leases and the like: where it runs can be read off it, and a second call gives another one."""
    return f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
