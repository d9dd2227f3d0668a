"""Random lives of packs, workers and their deaths come to what a simple sequential model comes to."""

from __future__ import annotations

from core.redis.client import Database
from tests.commands.model import live

STEPS = 2500


async def test_random_lives_are_as_the_model_after_every_step(db: Database) -> None:
    """Packs, cheats, repeats, profiles, workers that die and haunt: no step leaves anything but what the model has."""
    lives = await live(db, STEPS, seed=7)
    assert lives.steps == STEPS
    assert len(lives.counts) == 9
    assert sum(player.epoch for player in lives.players.values()) > 20
    assert sum(list(player.outcomes.values()).count("executed") for player in lives.players.values()) > 300
