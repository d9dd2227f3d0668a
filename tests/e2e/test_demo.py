"""`muster demo`: bots on three transports, and every interaction that was accepted is found in Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

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
    # Whatever belonged to that stack had its folder in its environment.
    for process in psutil.process_iter():
        try:
            assert str(tmp_path) not in process.environ().get("MUSTER_RUN_DIR", "")
        except psutil.Error:
            continue
