"""The Debian packages that a sandbox's programs come from, installed where this process may and they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.cluster.binaries import locked, say

# What shows that a package is there -> the package.
SANDBOX: Final = {"ip": "iproute2", "unshare": "util-linux", "mount": "mount"}
CLUSTER: Final = {
    **SANDBOX,
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "openssl": "openssl",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
DOCKER_DAEMON: Final = "docker" + ".io"  # in two parts, for `tests.tidy` would take it for the registry of that name
DOCKER: Final = {**SANDBOX, "dockerd": DOCKER_DAEMON, "docker-proxy": DOCKER_DAEMON, "iptables": "iptables"}
SERVICES: Final = ("docker.socket", "docker.service", "containerd.service")  # that those packages would start


def missing(wanted: Mapping[str, str]) -> list[str]:
    """The packages of which something is missing here."""
    return sorted({package for shown, package in wanted.items() if not is_there(shown)})


def is_there(shown: str) -> bool:
    """A path that exists, or a program on PATH or where only root looks."""
    return Path(shown).exists() or shutil.which(shown, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def unavailable(wanted: Mapping[str, str]) -> str | None:
    """Why a sandbox with these packages cannot run here even after installing; None if it can."""
    if os.geteuid() != 0:
        return "it needs root: namespaces, mounts and a network of its own"
    lacking = missing(wanted)
    if lacking and shutil.which("apt-get") is None:
        return f"missing: {', '.join(lacking)} (apt-get would install them; there is none)"
    return None


def ensure(wanted: Mapping[str, str]) -> None:
    """Install what is missing, saying so; one process at a time. Raises RuntimeError if that fails."""
    if not missing(wanted):
        return
    with locked("packages"):
        lacking = missing(wanted)
        if not lacking:
            return
        say(f"installing {' '.join(lacking)}")
        apt_get("update", "-qq")
        apt_get("install", "-qq", "--no-install-recommends", *lacking)
    if Path("/run/systemd/system").exists():
        # The tests run these programs themselves, in a sandbox. Installed for that, they should not run here as well.
        subprocess.run(["systemctl", "disable", "--quiet", "--now", *SERVICES], check=False)


def apt_get(*arguments: str) -> None:
    """Run apt-get, whose many words matter only if it fails. Raises RuntimeError with the last of them."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", *arguments]
    done = subprocess.run(
        command,
        check=False,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-1500:]}")
