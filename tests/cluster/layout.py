"""Where one sandbox keeps its files and which addresses it has. Values; only `claimed_layout` looks at the machine.

Each sandbox has a network of its own, 10.<network>.0.0/16, that exists on this machine alone: a link of two addresses
(this machine .0.1, the sandbox .0.2), the pods' addresses and the Services' addresses. One route leads to all of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

NETWORKS: Final = range(200, 248)  # second octets that private networks of offices and clouds seldom use


@dataclass(frozen=True, slots=True)
class Layout:
    """Names, addresses and folders of one sandbox."""

    name: str
    network: int  # second octet of its addresses

    @property
    def folder(self) -> Path:
        return folder_of(self.name)

    @property
    def hostname(self) -> str:
        return f"muster-{self.name}"

    @property
    def cgroup(self) -> str:
        """Path of its control group below the root of each hierarchy."""
        return f"/muster-{self.name}"

    @property
    def link(self) -> str:
        """Name of this machine's end of the link: the kernel allows 15 characters."""
        return f"muster{self.network}"

    @property
    def host_address(self) -> str:
        """This machine, as seen from the sandbox and its pods."""
        return f"10.{self.network}.0.1"

    @property
    def address(self) -> str:
        """The sandbox, as seen from this machine: the node's InternalIP."""
        return f"10.{self.network}.0.2"

    @property
    def link_prefix(self) -> int:
        return 30

    @property
    def all_addresses(self) -> str:
        return f"10.{self.network}.0.0/16"

    @property
    def pod_addresses(self) -> str:
        return f"10.{self.network}.64.0/20"

    @property
    def service_addresses(self) -> str:
        return f"10.{self.network}.128.0/20"

    @property
    def api_service_address(self) -> str:
        """The first address of the Services' range, which Kubernetes takes for `kubernetes.default`."""
        return f"10.{self.network}.128.1"

    @property
    def dns_address(self) -> str:
        return f"10.{self.network}.128.10"

    @property
    def load_balancer_address(self) -> str:
        """One that nobody has: the node serves it once a Service of type LoadBalancer is told that it is its own."""
        return f"10.{self.network}.200.1"

    @property
    def api_url(self) -> str:
        return f"https://{self.address}:6443"

    @property
    def socket(self) -> Path:
        return self.folder / "supervisor.sock"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def store(self) -> Path:
        """Where programs inside keep images and data: in memory if there is plenty, so nobody outside sees into it."""
        return self.folder / "store"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's; the other users' lie beside it."""
        return self.secrets / "admin.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        return self.folder / "containerd.sock"

    def save(self) -> None:
        """Write it down, for later commands on the same sandbox."""
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        (self.folder / "layout.json").write_text(json.dumps(asdict(self)))


def folder_of(name: str) -> Path:
    """The folder that holds everything of the sandbox of that name. Short: paths of sockets end at 108 bytes."""
    return Path(tempfile.gettempdir()) / f"muster-{name}"


def saved_layout(name: str) -> Layout | None:
    """The layout of a sandbox that was started and not yet taken down; None if there is none."""
    try:
        return Layout(**json.loads((folder_of(name) / "layout.json").read_text()))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


def claimed_layout(name: str) -> Layout:
    """A layout with a network that nobody has, written down so that nobody else takes it.

    Several test runs may ask at once: who asks holds a lock on the folder of temporary files.
    """
    folder = os.open(tempfile.gettempdir(), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        made = Layout(name, free_network())
        made.save()
        return made
    finally:
        os.close(folder)


def free_network() -> int:
    """A network that no route of this machine leads to, and no sandbox that was not taken down has claimed."""
    saved = Path(tempfile.gettempdir()).glob("muster-*/layout.json")
    layouts = (saved_layout(path.parent.name.removeprefix("muster-")) for path in saved)
    claimed = {layout.network for layout in layouts if layout is not None}
    routes = subprocess.run(["ip", "-4", "route", "show", "table", "all"], check=True, capture_output=True, text=True)
    # By chance, so that the network of one that was just taken down is not the next one's.
    for network in random.sample(NETWORKS, len(NETWORKS)):
        if network not in claimed and f"10.{network}." not in routes.stdout:
            return network
    raise RuntimeError("no free network: sandboxes left over? `python -m tests.cluster down`")
