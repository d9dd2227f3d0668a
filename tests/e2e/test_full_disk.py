"""The disk of the append-only file is full: one clear error for whoever writes, and all is well when it passes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli.demo import logged_by_player
from tests.seat import Seat, settle
from tests.stack import Refused, Stack, Visit, running_stack
from tests.support import eventually

DISK_BYTES = 8_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, where Redis keeps its file."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "data" / "redis"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def own(tmp_path: Path, disk: Path) -> Iterator[Stack]:
    """A stack whose Redis writes to the small disk."""
    with running_stack(tmp_path) as stack:
        yield stack


def fill(disk: Path) -> Path:
    """Write until nothing more fits."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(65_536)):
                pass
        except OSError:
            pass
    return filler


async def refusal(here: Visit) -> Refused | None:
    """How a write is refused now, or None where it is not."""
    try:
        await here.once("POST", "/v1/guests", {"name": "ann"})
    except Refused as refused:
        return refused
    return None


async def test_full_disk_is_a_503_that_names_it_and_passes(own: Stack, disk: Path) -> None:
    """Writes get 503 and the reason, reads go on, a match in play loses nothing, and recovery is by itself."""
    async with own.visit() as here:
        arena = {"arena": {"time_limit_s": 6, "score_limit": 0}}
        await here.register({"id": "solo", "players_per_match": 1, "server": arena})
        seat = Seat(here, await here.post(await here.guest(), "solo"))
        playing = asyncio.create_task(seat.play())
        await seat.playing.wait()
        filler = fill(disk)

        async def refused() -> Refused | None:
            found = await refusal(here)  # at first it may be that Redis took too long
            return found if found is not None and "disk" in str(found.document) else None

        problem = (await eventually(refused)).document
        assert problem["status"] == 503
        assert problem["type"].endswith("storage-unavailable")
        assert "disk" in problem["detail"]
        assert problem["retry_after_s"] >= 1
        assert await here.call("GET", "/status") == "Server is running !"
        assert (await here.call("GET", "/v1/games/solo"))["id"] == "solo"

        filler.unlink()

        async def accepted() -> bool:
            return await refusal(here) is None

        await eventually(accepted)
        (match,) = await settle([playing])
        logged = await logged_by_player(here.db, "solo", [match])
        assert logged == {seat.ticket.player.id: seat.accepted[match]}
        assert "ended with" not in own.said(), "no service crashed over it"
