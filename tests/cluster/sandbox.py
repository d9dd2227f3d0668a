"""A sandbox: processes, mounts, network, control groups and sysctls of their own, which all go when it goes.

It is made of Linux namespaces and needs root. Nothing of it shows on this machine but one link with one route, one
folder and one control group in each hierarchy; `destroy` removes these too, whatever state the sandbox is in.

The world outside is reached by nobody: there is no default route in there, and its own addresses lead to this machine
only.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.cluster import cgroups
from tests.cluster.layout import Layout, saved_layout

ROOT: Final = Path(__file__).parents[2]
START_S: Final = 60.0  # a busy machine; a second where it is idle
ABANDONED_S: Final = 300.0  # far more than a start takes
STOP_S: Final = 60.0  # the kernel has hundreds of processes, mounts and links to take down
UNSHARE: Final = (
    "unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc",
    "--propagation", "private",
)  # fmt: skip


# The `unshare` processes that this process started, by name of the sandbox. Process-wide, for their parent is: whoever
# destroys the sandbox waits for it here, and the pipe to a tied one ends it when it closes, with us at the latest.
STARTED: Final[dict[str, subprocess.Popen[bytes]]] = {}


class SandboxError(RuntimeError):
    """A sandbox did not do as asked; the text holds the end of the log that tells why."""


class Sandbox:
    """The sandbox of a layout, running or not."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def create(self, *, tied: bool) -> None:
        """Start it, empty. If `tied` it ends with this process, whatever that dies of."""
        layout = self.layout
        layout.save()
        layout.logs.mkdir()
        (layout.folder / "tmp").mkdir()
        supervisor = [sys.executable, "-m", "tests.cluster.supervisor", layout.folder, layout.hostname]
        with (layout.logs / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                [*UNSHARE, *map(str, supervisor), "tied" if tied else "free", *map(str, cgroups.make(layout.cgroup))],
                cwd=ROOT,
                stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        STARTED[layout.name] = process
        self._wait_for_supervisor(process)
        self._connect_network()

    def _wait_for_supervisor(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_S
        while not self.layout.socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SandboxError(f"the sandbox did not start: {self.log_end('supervisor')}")
            time.sleep(0.01)

    def _connect_network(self) -> None:
        """A link into the sandbox, and one route to all that is in there."""
        layout, inside = self.layout, f"/proc/{self.pid()}/ns/net"
        run("ip", "link", "add", layout.link, "type", "veth", "peer", "name", "eth0", "netns", inside)
        run("ip", "addr", "add", f"{layout.host_address}/{layout.link_prefix}", "dev", layout.link)
        run("ip", "link", "set", layout.link, "up")
        self.run("ip", "addr", "add", f"{layout.address}/{layout.link_prefix}", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        run("ip", "route", "add", layout.all_addresses, "via", layout.address)

    def destroy(self) -> None:
        """End everything in it and remove what shows of it. Does nothing where there is nothing."""
        layout = self.layout
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            wait_for_end(pid)
        starter = STARTED.pop(layout.name, None)
        if starter is not None:
            starter.kill()  # for the case that it never came to be a sandbox
            starter.communicate()
        subprocess.run(["ip", "link", "del", layout.link], check=False, capture_output=True)
        cgroups.remove(layout.cgroup)
        shutil.rmtree(layout.folder, ignore_errors=True)

    def pid(self) -> int | None:
        """This machine's number of the process 1 inside, as the kernel names the one who listens; None if none does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            try:
                client.connect(str(self.layout.socket))
            except OSError:
                return None
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0])

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """One request to the supervisor. Raises SandboxError if it refuses, or if there is none."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(START_S)
            try:
                client.connect(str(self.layout.socket))
                client.sendall(json.dumps({"do": do, **request}).encode() + b"\n")
                with client.makefile("rb") as stream:
                    answer: dict[str, Any] = json.loads(stream.readline())
            except (OSError, ValueError) as error:
                raise SandboxError(f"sandbox {self.layout.name} does not answer: {error}") from error
        if "error" in answer:
            raise SandboxError(answer["error"])
        return answer

    def start(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        """Start a program inside under a name; it logs to `<name>.log`. Its environment is `env` and a plain PATH."""
        program = shutil.which(argv[0])
        if program is None:
            raise SandboxError(f"{name}: there is no program {argv[0]}")
        given = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TMPDIR": str(self.layout.folder / "tmp"),
            **(env or {}),
        }
        self.ask("start", name=name, argv=[program, *map(str, argv[1:])], env=given)

    def signal(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to the program of that name."""
        self.ask("signal", name=name, number=int(number))

    def codes(self) -> dict[str, int | None]:
        """Of every program that was started inside: its exit code, or None while it runs."""
        return {name: child["code"] for name, child in self.ask("status")["children"].items()}

    def command(self, *command: str | Path) -> list[str]:
        """The command line that runs `command` inside (on the sandbox's network and mounts), from outside."""
        return [
            "nsenter",
            f"--target={self.pid()}",
            "--mount",
            "--net",
            "--pid",
            "--ipc",
            "--uts",
            "--",
            *map(str, command),
        ]

    def run(self, *command: str | Path) -> str:
        """Run a command inside to its end and give what it printed. Raises SandboxError with its stderr."""
        return run(*self.command(*command))

    def log(self, name: str) -> Path:
        """The log file of a program inside."""
        return self.layout.logs / f"{name}.log"

    def log_end(self, name: str, size: int = 1500) -> str:
        """The last `size` characters of a program's log."""
        try:
            return self.log(name).read_text(errors="replace")[-size:].strip()
        except FileNotFoundError:
            return "(no log)"


def sweep() -> None:
    """Remove what is left of sandboxes that ended with a killed test run: neither running nor just starting."""
    for saved in Path(tempfile.gettempdir()).glob("muster-*/layout.json"):
        layout = saved_layout(saved.parent.name.removeprefix("muster-"))
        if layout is None or Sandbox(layout).pid() is not None:
            continue
        if time.time() - saved.stat().st_mtime > ABANDONED_S:
            Sandbox(layout).destroy()


def run(*command: str, stdin: str | None = None) -> str:
    """Run a command to its end and give what it printed. Raises SandboxError with what it wrote to stderr."""
    done = subprocess.run(command, input=stdin, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise SandboxError(f"{' '.join(command)[:300]}: {done.stderr.strip()[-1500:] or done.returncode}")
    return done.stdout


def wait_for_end(pid: int) -> None:
    """Wait until that process, and so the whole sandbox, is gone. Raises SandboxError after STOP_S."""
    deadline = time.monotonic() + STOP_S
    while is_running(pid):
        if time.monotonic() > deadline:
            raise SandboxError(f"process {pid} was killed and is still there after {STOP_S:g} s")
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process of that number exists and is no zombie (whose parent, ours, has yet to take its exit code)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
