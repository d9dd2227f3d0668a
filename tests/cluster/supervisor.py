"""The first process inside a sandbox: it makes the inside ready, starts what it is told to, and reaps the dead.

Process 1 of a process namespace is its lifeline: when it ends, the kernel kills every process in there, and with the
last of them go the mounts and the network. So this program is all that has to be ended to leave no trace, even after a
crash of whoever started it.

It owns the sandbox's processes and never decides anything: `Sandbox` (sandbox.py) asks it over a Unix socket, one JSON
line for each request and one for its answer. One thread, one selector.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.cluster import cgroups

Answer = dict[str, Any]

# A client that connects and says nothing must not hold up the others for longer; one on a busy machine is late.
REQUEST_S: Final = 20.0
REQUEST_BYTES: Final = 1 << 20

# Folders whose changes stay inside. Programs write there with no option to tell them otherwise: CNI its leases, Docker
# its key, containerd its shims' sockets and a folder for add-ons.
OVERLAID: Final = ("/etc", "/opt", "/var/lib", "/var/log")

STORE: Final = "store"
PLENTY_GIB: Final = 12  # each of three sandboxes that tests have at once takes 2 at most

# A kubelet writes these and they belong to the whole machine; it is given files of its own in their place.
PRIVATE_SYSCTLS: Final = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)

# These belong to the network namespace, so they go with it. The last sends traffic between pods of one bridge through
# iptables, without which a Service whose pod is on the client's own bridge does not answer.
NETWORK_SYSCTLS: Final = {"ipv4/ip_forward": "1", "bridge/bridge-nf-call-iptables": "1"}


def prepare(folder: Path, hostname: str) -> None:
    """Make the inside: its name, its own /run, /etc and /var, its sysctls, its loopback."""
    socket.sethostname(hostname)
    run("ip", "link", "set", "lo", "up")
    # Containers may ask for their volumes to follow the node's mounts: for that the node's must be shared with them.
    run("mount", "--make-rshared", "/")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for path in OVERLAID:
        upper, work = folder / "overlay" / path[1:] / "upper", folder / "overlay" / path[1:] / "work"
        upper.mkdir(parents=True)
        work.mkdir(parents=True)
        run("mount", "-t", "overlay", "-o", f"lowerdir={path},upperdir={upper},workdir={work}", "overlay", path)
    keep_in_memory(folder / STORE)
    for name in PRIVATE_SYSCTLS:
        keep_private(Path("/proc/sys") / name, folder / "sysctls" / name.replace("/", "."))
    for name, value in NETWORK_SYSCTLS.items():
        with contextlib.suppress(FileNotFoundError):  # the bridge's exists only once the kernel has that part
            Path("/proc/sys/net", name).write_text(value)


def keep_in_memory(store: Path) -> None:
    """Make the folder for images and data: in memory where that is plentiful, for disks take a minute to write all."""
    store.mkdir()
    available = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    if int(available.split()[1]) >> 20 >= PLENTY_GIB:
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(store))


def keep_private(sysctl: Path, copy: Path) -> None:
    """Put a file of ours, with the same content, in the place of a setting of the whole machine."""
    if not sysctl.exists():
        return
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(sysctl.read_text())
    run("mount", "--bind", str(copy), str(sysctl))


def run(*command: str) -> None:
    """Run to the end. Raises CalledProcessError; what it wrote to stderr is in our log."""
    subprocess.run(command, check=True)


@dataclass(slots=True)
class Child:
    """One program that was started by name; `code` is None while it runs, negative if a signal ended it."""

    pid: int
    code: int | None = None


@dataclass(slots=True)
class Supervisor:
    """Children by name, and the requests that start and end them."""

    folder: Path
    children: dict[str, Child] = field(default_factory=dict)

    def start(self, name: str, argv: list[str], env: dict[str, str]) -> Answer:
        """Start a program under a name, with a log of that name. Refused while one of that name runs."""
        running = self.children.get(name)
        if running is not None and running.code is None:
            return {"error": f"{name} runs already"}
        log = str(self.folder / "logs" / f"{name}.log")
        pid = os.posix_spawn(
            argv[0],
            argv,
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE,),  # Python ignores it, and ignoring is inherited
        )
        self.children[name] = Child(pid)
        return self.status()

    def signal(self, name: str, number: int) -> Answer:
        """Send a signal to the program of that name, if it runs."""
        child = self.children.get(name)
        if child is not None and child.code is None:
            os.kill(child.pid, number)
        return self.status()

    def status(self) -> Answer:
        """Of every program that was started: its process id in here, and its exit code or null."""
        return {"children": {name: {"pid": child.pid, "code": child.code} for name, child in self.children.items()}}

    def reap(self) -> None:
        """Take the exit codes of all that ended: our children, and orphans that the kernel gave to us."""
        ended = dict(waited())
        for child in self.children.values():
            if child.code is None and child.pid in ended:
                child.code = ended[child.pid]

    def answer(self, client: socket.socket) -> None:
        """Read one request, do it, write its answer. A fault of the client's is its own to bear."""
        client.settimeout(REQUEST_S)
        with client, contextlib.suppress(OSError), client.makefile("rwb") as stream:
            try:
                result = self.do(json.loads(stream.readline(REQUEST_BYTES)))
            except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
                result = {"error": f"{type(error).__name__}: {error}"}
            stream.write(json.dumps(result).encode() + b"\n")

    def do(self, request: dict[str, Any]) -> Answer:
        """Carry out one request."""
        requests: dict[str, Callable[..., Answer]] = {
            "start": self.start,
            "signal": self.signal,
            "status": self.status,
        }
        self.reap()  # so that an answer never calls a dead child running
        return requests[request.pop("do")](**request)


def waited() -> Iterator[tuple[int, int]]:
    """Process id and exit code of each process that ended since the last call."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def serve(supervisor: Supervisor, listener: socket.socket, *, tied: bool) -> None:
    """Answer requests until the end; if `tied`, that is when standard input closes, as when our starter dies."""
    wake_r, wake_w = os.pipe()
    os.set_blocking(wake_r, False)
    os.set_blocking(wake_w, False)
    signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(wake_r, selectors.EVENT_READ)
        if tied:
            selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    supervisor.answer(listener.accept()[0])
                elif key.fileobj == wake_r:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_r, 4096)
                    supervisor.reap()
                elif not os.read(key.fd, 4096):
                    return


def main(folder: Path, hostname: str, mode: str, groups: Sequence[Path]) -> None:
    """`python -m tests.cluster.supervisor FOLDER HOSTNAME tied|free CGROUP...`, as process 1 of new namespaces."""
    cgroups.join(groups)
    prepare(folder, hostname)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = folder / "supervisor.sock"
    listener.bind(f"{path}.new")
    listener.listen()
    os.rename(f"{path}.new", path)  # it appears when it already answers
    serve(Supervisor(folder), listener, tied=mode == "tied")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], [Path(group) for group in sys.argv[4:]])
