"""The primary behind Sentinel dies in the middle of a match: it plays on, and the replica gets everything once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis import Redis

from tests.gamepod.stage import Stage
from tests.gamepod.test_redis_away import one_player, written
from tests.redis.sentinels import SETTLED_S, Watched, watched
from tests.support import eventually, patient_database

pytestmark = pytest.mark.slow


async def failed_over(pair: Watched) -> None:
    async def over() -> bool:
        return pair.failed_over()

    await eventually(over, within_s=SETTLED_S)


def cut_off(pair: Watched) -> None:
    """From now on the replica hears nothing: it asks where nobody is, and the primary answers writers all the same."""
    with Redis(port=pair.replica.port) as replica:
        replica.execute_command("REPLICAOF", "127.0.0.1", 1)


@pytest.mark.parametrize("lag", [False, True], ids=["replicated", "replica-behind"])
async def test_a_match_goes_on_with_the_new_primary(tmp_path: Path, lag: bool) -> None:
    """Every interaction is in log and board once, even those that the old primary acknowledged and never passed on."""
    with watched(tmp_path) as pair:
        async with patient_database(pair.url) as db:
            stage = Stage(db, pair.url, tmp_path)
            try:
                match, pod, player = await one_player(stage)
                driving = asyncio.create_task(player.drive_for(300))
                await asyncio.sleep(0.5)
                pair.wait_replicated()
                if lag:
                    cut_off(pair)
                    await asyncio.sleep(0.5)
                pair.primary.kill()
                await failed_over(pair)
                await driving
                await written(stage, match, await player.settled())
                again = any(line["event"].startswith("Redis has lost") for line in pod.lines())
                assert again or not lag
                pod.process.terminate()
                assert (await stage.reached(match, "ENDED"))["reason"] == "stopped"
                assert await pod.ended() == 0
                await player.close()
            finally:
                stage.close()
