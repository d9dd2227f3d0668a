"""Game servers are found by the mark in their environment and ended to the last process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from core.cli import servers
from core.clock import new_id

MINE = new_id("server")
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Two processes of one match of ours, one of them stubborn, and one of another installation."""
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env={servers.MARK: mark}, stdout=subprocess.PIPE, text=True)
        for mark, code in (
            (f"{MINE}/m-1", "print('up', flush=True); import time; time.sleep(60)"),
            (f"{MINE}/m-1", STUBBORN),
            (f"{MINE}x/m-2", STUBBORN),
        )
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_servers_are_found_by_installation(started: list[subprocess.Popen[str]]) -> None:
    """Only processes of the same installation are ours; two of one match are one server."""
    assert {process.pid for process in servers.find(MINE)} == {started[0].pid, started[1].pid}
    assert servers.matches(MINE) == {"m-1"}


def test_servers_are_ended_even_if_they_would_not(
    started: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of ours are gone afterwards, also who ignores SIGTERM; the other installation's runs on."""
    monkeypatch.setattr(servers, "STOP_S", 0.3)
    monkeypatch.setattr(servers, "KILL_S", 60.0)  # to be gone takes CPU time too
    assert servers.stop_all(MINE) == 2
    assert servers.find(MINE) == []
    assert started[2].poll() is None
    assert servers.stop_all(MINE) == 0
