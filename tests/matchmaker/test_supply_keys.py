"""The installation's secret is changed while servers wait for their matches: whoever is given one gets in."""

from __future__ import annotations

import secrets
import time

import msgspec
import pytest

from core.jointoken import JoinClaims, match_key, mint
from core.model import Match
from core.redis.client import Database
from tests.gamepod.stage import TcpPlayer
from tests.matchmaker.pools import GAMEPOD, duel, pool, so_many
from tests.matchmaker.support import Matchmakers, register

pytestmark = pytest.mark.slow


async def test_servers_that_wait_know_the_new_secret_before_it_signs(db: Database, stack: Matchmakers) -> None:
    """One that was started with the old secret alone is replaced when both are known; it would turn players away later.

    The same two in the other order are the same, so it stays; and its match is joined with tokens of either secret.
    """
    old, new = stack.env["MUSTER_SECRET"], secrets.token_hex(32)
    await register(db, "duel", pool(1))
    first = stack.start(**GAMEPOD)
    [before] = await so_many(db, "duel", "Ready", 1)
    first.terminate()
    first.wait()
    second = stack.start(**GAMEPOD, MUSTER_SIGNING_SECRETS=f"{old},{new}")
    [(gone, fields)] = (await so_many(db, "duel", "Shutdown", 1)).items()
    assert (gone, fields["reason"]) == (before, "old_keys")
    [after] = await so_many(db, "duel", "Ready", 1)
    second.terminate()
    second.wait()
    stack.start(**GAMEPOD, MUSTER_SIGNING_SECRETS=f"{new},{old}")
    name, found = await duel(db)
    assert found["standby"] == after
    match = msgspec.json.decode(found["doc"], type=Match)
    for seat, secret in zip(match.players, (old, new), strict=True):
        claims = JoinClaims(seat.id, name, seat.name, seat.team, int(time.time()) + 60)
        player = await TcpPlayer.join(match, found, mint(match_key(secret, after), claims))
        assert not player.errors
        await player.close()
