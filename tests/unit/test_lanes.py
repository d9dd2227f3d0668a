"""The lanes of `make test`: nothing is left out, all run at once, and what fails or does not end is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support import eventually
from tools.lanes import AT_ONCE, LANES, ROOT, Lane, counted, run, with_rest

# Without this project's settings, and without plugins, which take seconds to load.
PYTEST = (sys.executable, "-m", "pytest", "-pno:cacheprovider", f"-c{os.devnull}", "--disable-plugin-autoload")

Write = Callable[..., Lane]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that makes a lane of one file of tests."""

    def make(name: str, code: str) -> Lane:
        folder = tmp_path / "tests" / name
        folder.mkdir(parents=True)
        (folder / f"test_{name}.py").write_text(textwrap.dedent(code))
        return Lane(name, (str(folder),))

    return make


def ran(tmp_path: Path, *lanes: Lane) -> tuple[bool, list[str]]:
    """Whether these lanes went well, and what was said."""
    said: list[str] = []
    return run(lanes, tmp_path / "logs", command=PYTEST, say=said.append), said


def test_no_folder_of_tests_is_left_out() -> None:
    """Each lane's folders are there, and the last lane collects all of `tests` but these."""
    *others, rest = LANES
    taken = [folder for lane in others for folder in lane.folders]
    assert [folder for folder in taken if not (ROOT / folder).is_dir()] == []
    assert rest.arguments == ["tests", *(f"--ignore={folder}" for folder in taken)]
    assert len(set(taken)) == len(taken)
    assert with_rest(Lane("one", ("tests/a",)))[-1].arguments == ["tests", "--ignore=tests/a"]


def test_lanes_run_beside_each_other(write: Write, tmp_path: Path) -> None:
    """Each of two waits for a sign of the other; the last line has the sums of both."""
    meet = """
        import pathlib, time
        def test_meets():
            pathlib.Path({own!r}).touch()
            deadline = time.monotonic() + 180
            while not pathlib.Path({other!r}).exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
    """
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    lanes = write("one", meet.format(own=a, other=b)), write("two", meet.format(own=b, other=a))
    good, said = ran(tmp_path, *lanes)
    assert good
    assert said[-1].startswith("all      2 passed, 0 failed, 0 skipped in ")
    assert [line for line in said if line.startswith("two ") and "1 passed" in line]


def test_no_more_than_some_run_at_once(write: Write, tmp_path: Path) -> None:
    """The others wait for one that ends, and all run; the last is started first."""
    (tmp_path / "running").mkdir()
    counting = """
        import os, pathlib, time
        def test_counts():
            mine = pathlib.Path({folder!r}) / str(os.getpid())
            mine.touch()
            time.sleep(0.5)
            assert len(list(mine.parent.iterdir())) <= {most}
            mine.unlink()
    """
    code = counting.format(folder=str(tmp_path / "running"), most=AT_ONCE)
    good, said = ran(tmp_path, *(write(f"lane{number}", code) for number in range(AT_ONCE + 2)))
    assert good, said
    assert said[-1].startswith(f"all      {AT_ONCE + 2} passed, 0 failed, 0 skipped in ")


def test_a_failure_is_told_in_one_piece(write: Write, tmp_path: Path) -> None:
    """The lane's own story stands together, the other lane's counts go into the sums, and the whole has failed."""
    failing = write("failing", "def test_a(): assert 1 == 2\ndef test_b(): pass\n")
    skipping = write("skipping", "import pytest\ndef test_a(): pytest.skip('why')\ndef test_b(): pass\n")
    good, said = ran(tmp_path, failing, skipping)
    assert not good
    assert said[-1].startswith("all      2 passed, 1 failed, 1 skipped in ")
    (story,) = [line for line in said if "assert 1 == 2" in line]
    assert "short test summary info" in story


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("import os\ndef test_a(): os._exit(0)\n", "it did not come to its end"),
        ("import os, signal\ndef test_a(): os.kill(os.getpid(), signal.SIGKILL)\n", "it did not come to its end"),
        ("", "pytest ended with 5"),
        ("import nothing_like_that\n", "pytest ended with 2"),
    ],
    ids=["exits", "killed", "empty", "not collected"],
)
def test_a_lane_that_does_not_come_to_its_end_is_a_failure(write: Write, tmp_path: Path, code: str, fault: str) -> None:
    """A process that dies, even with exit code 0, one that finds no test and one that cannot collect are told."""
    good, said = ran(tmp_path, write("bad", code), write("fine", "def test_a(): pass\n"))
    assert not good
    assert fault in next(line for line in said if line.startswith("bad "))
    assert "1 passed" in said[-1]
    assert "not whole: bad" in said[-1]


def test_results_of_an_earlier_run_do_not_count(tmp_path: Path) -> None:
    """A file that is missing or cut off is a fault, never a success."""
    cut = tmp_path / "cut.xml"
    cut.write_text('<testsuites><testsuite tests="1"')
    assert [counted(path).fault for path in (cut, tmp_path / "missing.xml")] == ["it did not come to its end"] * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
async def test_an_interrupt_stops_every_lane(write: Write, tmp_path: Path, number: signal.Signals) -> None:
    """Each lane ends as pytest does at Ctrl-C, its fixtures closed; nothing that it started is left."""
    lane = write(
        "long",
        f"""
        import pathlib, pytest, subprocess, time
        @pytest.fixture
        def child():
            with subprocess.Popen(["sleep", "600"]) as process:
                yield process.pid
                process.kill()
                pathlib.Path({str(tmp_path / "closed")!r}).touch()
        def test_a(child):
            pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(child))  # the fixture is there to be closed
            time.sleep(600)
        """,
    )
    code = (
        "import pathlib; from tools.lanes import Lane, run\n"
        f"run([{lane!r}], pathlib.Path({str(tmp_path / 'logs')!r}), command={PYTEST!r})\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE)

    async def child() -> int:
        path = tmp_path / "pid"
        return int(path.read_text() or 0) if path.exists() else 0

    pid = await eventually(child, within_s=120.0)
    runner.send_signal(number)
    _, stderr = runner.communicate(timeout=100)
    assert b"KeyboardInterrupt" in stderr
    assert (tmp_path / "closed").exists()
    assert not psutil.pid_exists(pid)
