"""The example social game through a whole stack: an honest client, one that cheats, and a worker that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.stack import ROOT, Stack, running_stack
from tests.support import eventually

CLIENT = ROOT / "examples" / "village" / "client.py"


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that may run the village's rules, with the game registered by its client's first run."""
    folder = tmp_path_factory.mktemp("village")
    settings = {
        "MUSTER_COMMAND_MODULES": "examples.village.rules",
        "MUSTER_PACK_LEASE_S": "2",
        "MUSTER_PACK_S": "30",  # a pack that waits for the processor has not failed
    }
    with running_stack(folder, forgets=True, **settings) as stack:
        assert "worker" not in {program.name for program in stack.state.programs}
        assert "agreed True" in play(stack, "--register")
        yield stack


def play(stack: Stack, *arguments: str) -> str:
    """Run the client; returns what it says."""
    command = [sys.executable, str(CLIENT), "--url", stack.url, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr + stack.logs()
    return ran.stdout


async def test_a_worker_starts_with_the_first_game_that_needs_one(village: Stack) -> None:
    """None ran before the game was registered, one does after."""

    async def told() -> bool:  # once it was started, which those who wait for it may know before
        return "a worker for them runs" in village.said()

    await eventually(told)
    assert village.pid("worker") > 0


def test_an_honest_client_is_believed(village: Stack) -> None:
    """State of client and server are the same after packs, timers and purchases; nothing was reloaded."""
    said = play(village, "--rounds", "30")
    assert "reloads 0, agreed True" in said
    assert "executed" in said  # purchases, at once


def test_a_cheating_client_is_told_to_reload(village: Stack) -> None:
    """Coins from nowhere are found out by the command that spends them; the client goes on with the server's state."""
    said = play(village, "--rounds", "20", "--cheat")
    assert "cheating" in said
    assert "the server did not believe it" in said
    assert "coins are needed" in said


async def test_a_killed_worker_loses_and_repeats_nothing(village: Stack) -> None:
    """The worker dies by SIGKILL in the midst of a client's packs; both have the same state in the end."""
    command = [sys.executable, str(CLIENT), "--url", village.url, "--rounds", "60"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(2):
        before = village.pid("worker")
        os.kill(before, signal.SIGKILL)

        async def again(before: int = before) -> bool:
            names = {program.name: program.pid for program in village.state.programs}
            return names.get("worker", before) != before

        await eventually(again)
    said = client.communicate(timeout=120)[0]
    assert "reloads 0, agreed True" in said, said + village.logs()
