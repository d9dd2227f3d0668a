"""Every test, in lanes that run beside each other: `python -m tools.lanes [LANE...]`, by default all of them.

Most of what the tests do is wait: for pods, timers, leases. A lane is one pytest over some folders, with fixtures,
coverage, log and results of its own; lanes share the machine and nothing else, four of them at once: more would only
wait for each other, and what tests wait for would be late. What no other lane names runs in the last, so that a new
folder cannot be left out; it takes longest, and is started first. A line is said for each file of tests that is done,
a lane that fails says why in one piece when it ends, and the last line has the sums. Interrupted, by Ctrl-C or
SIGTERM, every lane is interrupted as pytest would be by a terminal, and what still runs after that is killed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
import psutil

ROOT: Final = Path(__file__).parent.parent
LOGS: Final = ROOT / ".cache" / "lanes"
PYTEST: Final = (sys.executable, "-m", "coverage", "run", "-m", "pytest", "-p", "no:cacheprovider")
AT_ONCE: Final = 4
LOOK_S: Final = 0.2
MEMORY: Final = Path("/dev/shm")  # noqa: S108 pytest makes a folder in there that is its own
PLENTY: Final = 12 << 30  # bytes
STOP_S: Final = 90.0  # an interrupted lane takes down a cluster, a Docker daemon, whole stacks
PROGRESS: Final = re.compile(r"tests/\S+\.py \S+ +\[ *\d+%\]$|\S+\.py \S+$")
STORY: Final = re.compile(r"^=+ (?:FAILURES|ERRORS|short test summary info|no tests ran)")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Lane:
    """Folders whose tests run one after another in one process; `beside` are those of other lanes among them."""

    name: str
    folders: tuple[str, ...]
    beside: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """What pytest is told to collect."""
        return [*self.folders, *(f"--ignore={folder}" for folder in self.beside)]


def with_rest(*lanes: Lane) -> tuple[Lane, ...]:
    """These lanes, and one of all that they leave."""
    taken = tuple(folder for lane in lanes for folder in lane.folders)
    return (*lanes, Lane("rest", ("tests",), taken))


# Balanced by what they take on two cores. The first two each start a Kubernetes of their own; the second has the Docker
# daemon too, whose images the chart's tests put on the node.
LANES: Final = with_rest(
    Lane("kube", ("tests/kube", "tests/cluster")),
    Lane("images", ("tests/docker", "tests/compose", "tests/chart")),
    Lane("stack", ("tests/e2e", "tests/browser")),
    Lane("services", ("tests/gamepod", "tests/matchmaker")),
    Lane("data", ("tests/redis", "tests/sinks", "tests/commands", "tests/backup")),
)


@dataclass(slots=True)
class Result:
    """How a lane went; `fault` says what is wrong with it beside failed tests, '' for nothing."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    fault: str = ""

    @property
    def good(self) -> bool:
        return not self.failed and not self.fault

    def __str__(self) -> str:
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped in {self.seconds:.0f} s"
        return f"{counts}: {self.fault}" if self.fault else counts


@dataclass(slots=True)
class Run:
    """A lane that was started."""

    lane: Lane
    folder: Path
    process: subprocess.Popen[bytes]
    begun: float = field(default_factory=time.monotonic)
    told: int = 0  # bytes of the log that were looked at

    @property
    def log(self) -> Path:
        return self.folder / f"{self.lane.name}.log"

    @property
    def results(self) -> Path:
        return self.folder / f"{self.lane.name}.xml"

    def progress(self) -> list[str]:
        """Lines that tell of files of tests, of those that were written since the last call."""
        with self.log.open("rb") as file:
            file.seek(self.told)
            whole, newline, _ = file.read().rpartition(b"\n")
        self.told += len(whole) + len(newline)
        return [line for line in whole.decode(errors="replace").splitlines() if PROGRESS.match(line)]

    def story(self) -> str:
        """What the log says of failures; all of it where pytest did not get that far."""
        lines = self.log.read_text(errors="replace").splitlines()
        first = next((number for number, line in enumerate(lines) if STORY.match(line)), 0)
        return "\n".join(lines[first:])

    def result(self, code: int) -> Result:
        """How it went, by its exit code and by the results that it wrote."""
        result = counted(self.results)
        result.seconds = time.monotonic() - self.begun
        if not result.fault and code != (1 if result.failed else 0):
            result.fault = f"pytest ended with {code}"
        return result


def counted(results: Path) -> Result:
    """The counts of a file of results as pytest writes it."""
    try:
        suites = ET.parse(results).getroot().iter("testsuite")  # noqa: S314 pytest's own file
        counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
        for suite in suites:
            for key in counts:
                counts[key] += int(suite.get(key, 0))
    except (OSError, ET.ParseError):
        return Result(fault="it did not come to its end")
    failed = counts["failures"] + counts["errors"]
    return Result(max(0, counts["tests"] - failed - counts["skipped"]), failed, counts["skipped"])


def temporary() -> dict[str, str]:
    """Where tests have their folders: in memory where that is plentiful.

    While a disk is busy, as with the images that are made beside them, Redis and brokers wait for it for seconds.
    """
    try:
        room = min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available)
    except OSError:
        return {}
    return {"PYTEST_DEBUG_TEMPROOT": str(MEMORY)} if room >= PLENTY else {}


def start(lane: Lane, folder: Path, command: Sequence[str]) -> Run:
    """Start a lane in a session of its own, so that a terminal's Ctrl-C comes to us alone."""
    log, results = folder / f"{lane.name}.log", folder / f"{lane.name}.xml"
    results.unlink(missing_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 the command is ours
            [*command, *lane.arguments, f"--junit-xml={results}"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=temporary() | os.environ,
            start_new_session=True,
        )
    return Run(lane, folder, process)


def run(lanes: Sequence[Lane], folder: Path = LOGS, *, command: Sequence[str] = PYTEST, say: Say = print) -> bool:
    """Run these lanes, AT_ONCE beside each other; whether all went well.

    Raises KeyboardInterrupt when all have stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    runs: list[Run] = []
    results: dict[str, Result] = {}
    # Both raise KeyboardInterrupt here. SIGINT too is set: where it was ignored, lanes would inherit that.
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        waiting = [*lanes[-1:], *lanes[:-1]]
        while len(results) < len(lanes):
            while waiting and len(runs) - len(results) < AT_ONCE:
                runs.append(start(waiting.pop(0), folder, command))
            time.sleep(LOOK_S)
            for made in runs:
                if made.lane.name not in results:
                    look(made, results, say)
    finally:
        stop([made.process for made in runs if made.process.poll() is None])
        for number, handler in before.items():
            signal.signal(number, handler)
    total = Result(seconds=time.monotonic() - begun)
    for name, result in results.items():
        say(f"{name:<8} {result}")
        total.passed, total.failed = total.passed + result.passed, total.failed + result.failed
        total.skipped += result.skipped
    faulty = [name for name, result in results.items() if result.fault]
    total.fault = f"not whole: {', '.join(faulty)}" if faulty else ""
    say(f"{'all':<8} {total}")
    return total.good


def look(made: Run, results: dict[str, Result], say: Say) -> None:
    """Say how far a lane has come since the last look, and how it ended if it did."""
    code = made.process.poll()  # before the log is read, so that nothing is missed
    for line in made.progress():
        say(f"{made.lane.name:<8} {line}")
    if code is None:
        return
    result = results[made.lane.name] = made.result(code)
    if not result.good:
        say(f"\n{made.story()}\n")
    say(f"{made.lane.name:<8} {result}")


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Interrupt these; a second Ctrl-C, or their taking too long, kills them and all that they have started."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + STOP_S
    try:
        for process in processes:
            process.wait(max(0.0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        left = [tree(process) for process in processes if process.poll() is None]
        for one in (one for many in left for one in many):
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        for process in processes:
            process.wait()


def tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """A process and all below it."""
    try:
        top = psutil.Process(process.pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([lane.name for lane in LANES]), metavar="[LANE]...")
def main(names: tuple[str, ...]) -> Any:
    """Run the lanes of these names, or all."""
    wanted = [lane for lane in LANES if lane.name in names or not names]
    try:
        good = run(wanted, say=lambda line: click.echo(line))
    except KeyboardInterrupt:
        click.echo("interrupted; every lane has stopped", err=True)
        raise SystemExit(130) from None
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
