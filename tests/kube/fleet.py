"""Settings of a launcher whose pods land on fake nodes, where nothing runs and nothing is short."""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.fake_nodes import LABEL, TAINT


def fleet_settings() -> dict[str, Any]:
    """Changes to the settings of a test's launcher."""
    return {
        "node_selector": json.dumps({LABEL: "true"}),
        "tolerations": json.dumps([TAINT]),
        "pending_most": 10_000,
        "max_servers": 10_000,
    }
