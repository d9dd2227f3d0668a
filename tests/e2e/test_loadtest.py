"""`make load`: locust and bots against a stack of its own, and a report that says what failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import free_port

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.loadtest", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)


def test_a_load_test_reports_what_it_did(tmp_path: Path) -> None:
    """Users of the API and bots that play: no request fails, matches end, and the page has its plots inside."""
    done = _run("--users", "10", "--bots", "10", "--seconds", "20", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "report.json").read_text())
    assert figures["problems"] == []
    assert figures["api_failures"] == 0
    assert figures["requests"] > 50
    assert figures["matches_played"] >= 1  # in the time that is left by the start of its server
    assert figures["bots_in_them"] >= 10
    assert figures["inputs_accepted"] > 0
    assert figures["cores_mean"]["webapi"] > 0
    assert {"webapi", "matchmaker", "redis", "game servers"} <= set(figures["rss_mb_most"])
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert "https://" not in page.partition("</svg>")[2]
    assert "DELETE /v1/tickets/{game}/{ticket}" in done.stdout


def test_a_muster_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Nothing answers: one sentence with the address, and exit code 1."""
    port = free_port()
    done = _run("--url", f"http://127.0.0.1:{port}", "--seconds", "5", "--out", str(tmp_path))
    assert done.returncode == 1
    assert f"127.0.0.1:{port} does not answer" in done.stderr
