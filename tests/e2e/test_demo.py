"""`muster demo`: bots on three transports, and every interaction that was accepted is found in Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.stack import ROOT, Stack


def demo(*args: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    return subprocess.run(
        [sys.executable, "-m", "core.cli", "demo", *args],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_demo_through_the_running_stack_adds_up(stack: Stack) -> None:
    """Thirty bots play three matches on the stack that runs; sums are equal, nothing is left, the stack runs on."""
    before = stack.state
    done = demo("--players", "30", "--json", env=stack.env)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["problems"] == []
    assert report["wires"] == {"tcp": 10, "udp": 10, "ws": 10}
    assert (report["tickets"], report["matches"], report["matches_ended"]) == (30, 3, 3)
    assert report["interactions_accepted"] == report["interactions_logged"] > 0
    assert len(report["activity"]) == 5
    assert (report["servers_listed"], report["servers_running"]) == (0, 0)
    assert stack.state == before


def test_demo_without_a_stack_starts_and_stops_its_own(tmp_path: Path) -> None:
    """Where none runs, the demo brings a stack of its own on free ports, shows a table, and leaves no process."""
    env = os.environ | {"MUSTER_DATA_DIR": str(tmp_path / "none"), "TMPDIR": str(tmp_path)}
    done = demo("--players", "10", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "starting one for this demo" in done.stderr
    assert "interactions found in Redis" in done.stdout
    assert not (tmp_path / "none").exists()
    assert list(tmp_path.iterdir()) == []
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    """A demo that is stopped in the middle takes the stack that it started with it."""
    env = os.environ | {"MUSTER_DATA_DIR": str(tmp_path / "none"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "core.cli", "demo", "--players", "10"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = ""
        while "bots play at" not in line:
            line = process.stderr.readline()
            assert line, "it ended before it played"
        process.send_signal(number)
        process.stderr.read()
    assert process.returncode
    assert list(tmp_path.iterdir()) == []
    assert_nothing_left(tmp_path)


def assert_nothing_left(folder: Path) -> None:
    """No process runs whose environment names this folder, as those of a stack in it do."""
    for process in psutil.process_iter():
        try:
            assert str(folder) not in process.environ().get("MUSTER_RUN_DIR", ""), process
        except psutil.Error:
            continue
