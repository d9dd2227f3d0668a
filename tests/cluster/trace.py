"""What a sandbox could leave on this machine, as sets to compare before and after. It only looks.

Other programs come and go meanwhile, other sandboxes among them, so this names what cannot be theirs: the machine's
mounts, links, routes, firewall rules, sysctls and folders of state but for what bears another sandbox's name, and of
processes and control groups those that belonged to the sandbox.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.cluster import cgroups
from tests.cluster.layout import Layout

Trace = dict[str, frozenset[str]]

# Where the programs of a cluster write when they are not told otherwise.
STATE_FOLDERS: Final = ("/etc", "/etc/cni", "/opt", "/run", "/run/netns", "/usr/libexec", "/var/lib", "/var/log")
SYSCTLS: Final = ("kernel", "net", "vm")
# What a layout calls its link, and its folder and control group.
NAMES: Final = re.compile(r"\bmuster\d+\b|\bmuster-[\w-]+")
# Counters and random numbers that move by themselves.
RESTLESS: Final = re.compile(r"random/|pty/nr|ns_last_pid|/perf_event_max_sample_rate|nf_conntrack_count|stat_refresh")


def trace() -> Trace:
    """All that may not differ after a sandbox has come and gone. Firewall rules count without their counters."""
    return {
        "mounts": frozenset(mounts()),
        "links": frozenset(path.name for path in Path("/sys/class/net").iterdir()),
        "addresses and routes": frozenset(output("ip", "-oneline", "route", "show", "table", "all")),
        "firewall": frozenset(line for line in firewall() if not line.startswith("#")),
        "sysctls": frozenset(sysctls()),
        "folders": frozenset(folders()),
        "control groups": frozenset(str(path) for root in cgroups.hierarchies() for path in root.glob("muster-*")),
    }


def difference(before: Trace, after: Trace, layout: Layout) -> dict[str, list[str]]:
    """What came (+) and what went (-), by kind; empty if nothing did. What bears another sandbox's name is left out."""
    changes = {
        kind: [
            *(f"+ {item}" for item in sorted(after[kind] - seen) if not is_others(item, layout)),
            *(f"- {item}" for item in sorted(seen - after[kind]) if not is_others(item, layout)),
        ]
        for kind, seen in before.items()
    }
    return {kind: items for kind, items in changes.items() if items}


def is_others(item: str, layout: Layout) -> bool:
    """Whether a link, folder or control group of sandboxes is named there, and not one of this sandbox's."""
    named = set(NAMES.findall(item))
    return bool(named) and not named & {layout.link, layout.hostname}


def processes(layout: Layout) -> frozenset[tuple[int, str]]:
    """Number and start time of each process in the sandbox's control groups: containers, shims and components."""
    numbers = {
        int(line)
        for group in cgroups.present(layout.cgroup)
        for file in group.rglob("cgroup.procs")
        for line in read(file)
    }
    return frozenset((number, start) for number in numbers if (start := started(number)) is not None)


def started(number: int) -> str | None:
    """When that process started, in ticks since boot, which makes its number unique; None if there is none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    return None


def living(seen: frozenset[tuple[int, str]]) -> set[int]:
    """Those of the processes seen which are still there."""
    return {number for number, start in seen if started(number) == start}


def mounts() -> Iterator[str]:
    """Mount points with what is mounted, but for what other tests mount on folders of temporary files of their own."""
    temporary = tempfile.gettempdir()
    for line in read("/proc/self/mountinfo"):
        mount = line.split(" ", 4)[4]
        if not mount.startswith(f"{temporary}/") or mount.startswith(f"{temporary}/muster-"):
            yield mount


def firewall() -> Iterator[str]:
    """Rules of both generations of iptables; asking loads no table that was not there."""
    for program in ("iptables-nft-save", "ip6tables-nft-save"):
        if shutil.which(program):
            yield from (re.sub(r"\[\d+:\d+\]", "", line) for line in output(program))
    for names in ("/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"):
        yield from read(names)


def sysctls() -> Iterator[str]:
    """Each setting of the machine with its value, but for those that move by themselves."""
    for area in SYSCTLS:
        for path in Path("/proc/sys", area).rglob("*"):
            if path.is_file() and not RESTLESS.search(str(path)):
                yield f"{path} = {' | '.join(read(path))}"


def folders() -> Iterator[str]:
    """What lies directly in the folders of state, and this project's own in the folder of temporary files."""
    for folder in STATE_FOLDERS:
        with contextlib.suppress(OSError):
            yield from (str(path) for path in Path(folder).iterdir())
    yield from (str(path) for path in Path(tempfile.gettempdir()).glob("muster-*"))


def read(path: str | Path) -> list[str]:
    """Lines of a file; none if it cannot be read, as some settings cannot."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return Path(path).read_text().splitlines()
    return []


def output(*command: str) -> list[str]:
    """Lines that a command printed."""
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.splitlines()
