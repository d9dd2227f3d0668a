"""Settings of a launcher whose pods land on fake nodes, where nothing runs and nothing is short."""

from __future__ import annotations

import json
from typing import Any

from core.model import GameSpec, Limits, Server, Timers
from tests.cluster.fake_nodes import LABEL, TAINT
from tests.kube.ground import SMALL

SELECTOR = json.dumps({LABEL: "true"})
TOLERATIONS = json.dumps([TAINT])


def fleet_settings() -> dict[str, Any]:
    """Changes to the settings of a test's launcher."""
    return {"node_selector": SELECTOR, "tolerations": TOLERATIONS, "pending_most": 10_000, "max_servers": 10_000}


def fleet_env() -> dict[str, str]:
    """The part of it that a matchmaker process needs: its bounds stay as they are."""
    return {"MUSTER_KUBE_NODE_SELECTOR": SELECTOR, "MUSTER_KUBE_TOLERATIONS": TOLERATIONS}


def fleet_game(servers: int) -> GameSpec:
    """A duel of which so many may be played at once."""
    timers = Timers(start_s=180, drain_s=1)
    return GameSpec(Server(arena={}, resources=SMALL), players_per_match=2, timers=timers, limits=Limits(servers))
