"""Matchmakers die under load; no pod outlives its match, no match has two, nobody waits for ever."""

from __future__ import annotations

import pytest

from tests.kube.ground import Ground
from tests.kube.unrest import Unrest, endure

pytestmark = pytest.mark.slow


async def test_kill_9_under_load_leaves_no_orphan(ground: Ground) -> None:
    """After six kills at random moments every pod has its live match, every match one pod, every ticket its match."""
    ground.matchmakers.env["MUSTER_BEAT_TIMEOUT_S"] = "60"  # the servers are this process, and late together
    verdict = await endure(ground, Unrest(kills=6, seed=7, settle_s=180.0, early=True))
    assert not verdict.faults
    assert verdict.tickets > 50
    assert verdict.alive
