"""A real Podman in a sandbox of its own, with the socket of its API: what `podman.socket` is to a user.

Images, containers, networks and control groups are the sandbox's, and go with it. Podman makes its control groups at
the root of each hierarchy and has no setting for it, so it is given a root of its own: a namespace of control groups
in which the sandbox's is the root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.cluster import cgroups, packages
from tests.cluster.api import until
from tests.cluster.layout import Layout, claimed_layout
from tests.cluster.sandbox import Sandbox, SandboxError, sweep

START_S: Final = 120.0
GROUPS: Final = "/run/muster.cgroups"  # inside: the namespace of control groups
PACKAGES: Final = {
    **packages.SANDBOX,
    "podman": "podman",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
    "/usr/libexec/podman/catatonit": "catatonit",
    "iptables": "iptables",
}
STORAGE: Final = """[storage]
driver = "overlay"
graphroot = "{store}/podman"
runroot = "/run/containers/storage"
"""
# No systemd runs in the sandbox.
CONTAINERS: Final = """[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "/run/libpod"
volume_path = "{store}/volumes"
[network]
network_backend = "netavark"
"""
# Made in the sandbox's own group, so that this is the namespace's root; what runs goes to its leaf `init`.
SERVE: Final = """set -eu
for group in {groups}; do echo 0 >"$group/cgroup.procs"; done
: >{namespace}
exec unshare --cgroup={namespace} sh -euc '{mounts}
. {join}
exec podman system service --time=0 {url}'
"""
ENTER: Final = """. {join}
exec nsenter --cgroup={namespace} "$@"
"""


def mounted_anew() -> str:
    """Commands that mount each hierarchy over the machine's: its root is then that of the namespace."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    controllers = {name for line in lines for name in line.split(":")[1].split(",")}
    commands = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, path, kind, options, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            own = ",".join(controllers.intersection(options.split(","))) or "rw"
            commands += [f"umount {path}", f"mount -t {kind} -o {own} {kind} {path}"]
    return "\n".join(commands)


class Podman:
    """A running Podman."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.sandbox = Sandbox(layout)
        self.socket = layout.folder / "podman.sock"

    @property
    def url(self) -> str:
        """What a client calls DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def address(self) -> str:
        """Where this machine reaches published ports."""
        return self.layout.address

    def command(self, *command: str | Path, env: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs `command`, podman or what calls it, inside and with these variables."""
        variables = [f"{name}={value}" for name, value in {**self._env, **(env or {})}.items()]
        return self.sandbox.command("sh", self.layout.folder / "enter", "env", "-i", *variables, *command)

    def start(self) -> None:
        """Start the service and wait until it listens."""
        folder = self.layout.folder
        groups = cgroups.present(self.layout.cgroup)
        roots = [str(group).removesuffix(self.layout.cgroup) for group in groups]
        said = {
            "groups": " ".join(map(str, groups)),
            "namespace": GROUPS,
            "mounts": mounted_anew(),
            "join": str(folder / "join"),
            "url": self.url,
            "store": str(self.layout.store),
        }
        # Outside of the namespace these are the sandbox's groups by their whole path, inside by their new roots.
        joined = " ".join(f"{root}/init/cgroup.procs" for root in roots)
        files = {"join": f'for file in {joined}; do echo 0 >"$file"; done\n', "enter": ENTER.format(**said),
                 "storage.conf": STORAGE.format(**said), "containers.conf": CONTAINERS.format(**said)}  # fmt: skip
        for name, text in files.items():
            (folder / name).write_text(text)
        self.sandbox.start("podman", ["sh", "-c", SERVE.format(**said)], self._env)
        until(self._listens, "podman listens", within_s=START_S)

    @property
    def _env(self) -> dict[str, str]:
        folder = self.layout.folder
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder / "tmp"),
            "TMPDIR": str(folder / "tmp"),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "DISABLE_HC_SYSTEMD": "true",
        }

    def _listens(self) -> bool:
        if self.sandbox.codes()["podman"] is not None:
            raise SandboxError(f"podman ended: {self.sandbox.log_end('podman')}")
        return self.socket.exists()


@contextmanager
def podman_service() -> Iterator[Podman]:
    """A Podman for as long as the context lasts."""
    packages.ensure(PACKAGES)
    sweep()
    podman = Podman(claimed_layout(f"podman-{os.getpid()}"))
    try:
        podman.sandbox.create(tied=True)
        podman.start()
        yield podman
    finally:
        podman.sandbox.destroy()
