"""A seat that is left is filled while the match goes on, through the public API."""

from __future__ import annotations

import asyncio

from core.cli.wires import open_wire
from tests.seat import Seat, settle
from tests.stack import Visit
from tests.support import eventually

TIME_LIMIT_S = 25  # of the match: the third is to be in it before its end, on a busy machine too


async def test_a_third_player_takes_the_seat_of_one_who_left(here: Visit, game_id: str) -> None:
    """Two play, one leaves, and who queues then lands in the same match, plays, and is in its result."""
    await here.register(
        {
            "id": game_id,
            "players_per_match": 2,
            "server": {"arena": {"backfill": True, "time_limit_s": TIME_LIMIT_S, "score_limit": 0}},
        }
    )
    stays, leaves = [await here.post(await here.guest(), game_id) for _ in range(2)]
    seat = Seat(here, stays)
    tasks = [asyncio.create_task(seat.play())]
    try:
        found = await here.wait(leaves)
        match = found["match"]
        port = next(port["port"] for port in found["connection"]["ports"] if port["protocol"] == "tcp")
        gone = asyncio.Event()
        wire = await open_wire(
            "tcp", found["connection"]["address"], port, found["join_token"], lambda _: None, lambda _: gone.set()
        )
        await seat.playing.wait()
        wire.send(b'{"type": "leave"}')
        await gone.wait()
        await wire.close()

        async def asks() -> bool:
            seen = await here.call("GET", f"/v1/matches/{game_id}/{match}", token=stays.player.token)
            return "backfill_since" in seen

        await eventually(asks)
        third = await here.post(await here.guest(), game_id)
        late = Seat(here, third)
        tasks.append(asyncio.create_task(late.play()))
        assert (await here.wait(third))["match"] == match
    except BaseException:
        tasks[0].cancel()
        raise
    assert await settle(tasks) == [match, match]
    seen = await here.call("GET", f"/v1/matches/{game_id}/{match}", token=third.player.token)
    assert (seen["state"], seen["reason"]) == ("ENDED", "finished")
    assert [p["id"] for team in seen["teams"] for p in team["players"]] == [stays.player.id, third.player.id]
    scored = {row["player"]: row["interactions"] for row in seen["result"]["players"]}
    assert set(scored) == {stays.player.id, leaves.player.id, third.player.id}
    assert scored[third.player.id] == late.accepted[match] > 0
