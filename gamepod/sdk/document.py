"""The server as GET /gameserver tells it: Agones' message in proto3 JSON. PURE.

Names are snake_case, unset fields are present, 64-bit whole numbers are strings, 32-bit ones numbers.
"""

from __future__ import annotations

from typing import Any

from core.lifecycle import ServerState
from core.model import Connection
from gamepod.sdk.metadata import Metadata
from gamepod.sdk.state import HealthRules
from gamepod.sdk.tallies import Counter, Tallies, ValueList


def game_server(
    *,
    name: str,
    namespace: str,
    uid: str,
    created_s: int,
    state: ServerState,
    connection: Connection,
    metadata: Metadata,
    tallies: Tallies,
    health: HealthRules,
    health_watched: bool,
    revision: int,
) -> dict[str, Any]:
    """The whole document. `created_s` is in UTC seconds; `revision` grows with every change."""
    return {
        "object_meta": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "resource_version": str(revision),
            "generation": str(revision),
            "creation_timestamp": str(created_s),
            "deletion_timestamp": "0",
            "annotations": dict(metadata.annotations),
            "labels": dict(metadata.labels),
        },
        "spec": {
            "health": {
                "disabled": not health_watched,
                "period_seconds": round(health.period_s),
                "failure_threshold": health.failure_threshold,
                "initial_delay_seconds": round(health.initial_delay_s),
            }
        },
        "status": {
            "state": str(state),
            "address": connection.address,
            "addresses": [{"type": "InternalIP", "address": connection.address}],
            "ports": [{"name": port.name, "port": port.port} for port in connection.ports],
            "players": {
                "count": str(len(tallies.players.ids)),
                "capacity": str(tallies.players.capacity),
                "ids": list(tallies.players.ids),
            },
            "counters": {name: counter_status(it) for name, it in tallies.counters.items()},
            "lists": {name: list_status(it) for name, it in tallies.lists.items()},
        },
    }


def counter_status(counter: Counter) -> dict[str, Any]:
    """A counter without its name."""
    return {"count": str(counter.count), "capacity": str(counter.capacity)}


def list_status(found: ValueList) -> dict[str, Any]:
    """A list without its name."""
    return {"capacity": str(found.capacity), "values": list(found.values)}
