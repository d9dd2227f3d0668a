"""Players in a match count as online without a heartbeat of their own."""

from __future__ import annotations

from core import keys
from core.model import Server
from core.presence import member
from tests.gamepod.stage import GAME, Stage, TcpPlayer
from tests.support import eventually


async def test_who_is_connected_is_online(stage: Stage) -> None:
    """Whoever joined, and not who only has a seat."""
    match = await stage.match(Server(arena={}))
    stage.start(match)
    found = await stage.reached(match, "RUNNING")
    player = await TcpPlayer.join(match, found, stage.token(match, 1))
    bases = [keys.presence(keys.presence_number(seat.id)) for seat in match.players]

    async def online() -> list[bool]:
        rows = [
            await stage.db.do("ZSCORE", f"{base}:heard", member(GAME, seat.id))
            for base, seat in zip(bases, match.players, strict=True)
        ]
        return [row is not None for row in rows]

    async def joined() -> bool:
        return (await online())[1]

    await eventually(joined)
    assert await online() == [seat.id == match.players[1].id for seat in match.players]
    await player.close()
