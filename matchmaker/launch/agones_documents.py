"""What Agones is asked and what it says: allocations and game servers. PURE.

An allocated game server carries its match in labels and annotations: whose it is can be read from it alone, by any
matchmaker after any crash, and its game reads there (through Agones' SDK) who plays and how to know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from core.gameenv import traceparent
from core.model import Connection, Match, OpenPort, Protocol
from matchmaker.launch.base import Seen
from matchmaker.launch.pod import MATCH, OF_GAME, Document
from matchmaker.launch.pod_state import Metadata

SERVERS: Final = "/apis/agones.dev/v1/namespaces/{}/gameservers"
ALLOCATIONS: Final = "/apis/allocation.agones.dev/v1/namespaces/{}/gameserverallocations"
FLEET: Final = "agones.dev/fleet"
INSTALLATION: Final = "muster.dev/installation"
ROSTER: Final = "muster.dev/roster"
SETTINGS: Final = "muster.dev/settings"
TRACEPARENT: Final = "muster.dev/traceparent"
JOIN_KEY: Final = "muster.dev/join-key"

ALLOCATED, UNALLOCATED, CONTENTION = "Allocated", "UnAllocated", "Contention"
OVER: Final = ("Shutdown", "Unhealthy", "Error")


class Port(Struct):
    name: str = ""
    port: int = 0
    protocol: str = "UDP"  # of a spec; Agones' default


class Status(Struct, rename="camel"):
    state: str = ""
    address: str = ""
    ports: list[Port] = []


class Spec(Struct):
    ports: list[Port] = []


class GameServer(Struct):
    """The parts of a game server that Muster reads."""

    metadata: Metadata
    spec: Spec = field(default_factory=Spec)
    status: Status = field(default_factory=Status)

    @property
    def match(self) -> str:
        """The match that it was allocated for."""
        return self.metadata.labels.get(MATCH, "")

    @property
    def game(self) -> str:
        return self.metadata.labels.get(OF_GAME, "")

    @property
    def over(self) -> bool:
        """Whether nobody plays on it any more."""
        return self.status.state in OVER or self.metadata.deletion_timestamp is not None


class Answer(Struct, rename="camel"):
    """The status of an allocation."""

    state: str = ""
    game_server_name: str = ""
    address: str = ""
    ports: list[Port] = []


class Allocation(Struct):
    """What an allocation is answered with."""

    status: Answer = field(default_factory=Answer)


def labels(match: Match, installation: str) -> dict[str, str]:
    """What an allocated game server is known by."""
    return {INSTALLATION: installation, MATCH: match.id, OF_GAME: match.game}


def allocation(match: Match, installation: str, join_key: str) -> Document:
    """The request for a server of the match's fleet.

    The server must be labelled with the game already, by the template of its fleet: so whoever has the right to make
    fleets says which game may take from them, and no developer can name somebody else's.
    """
    agones = match.server.agones
    assert agones is not None
    wanted = {**agones.selector, FLEET: agones.fleet, OF_GAME: match.game}
    annotations = {
        ROSTER: _json([{"player": seat.id, "name": seat.name, "team": seat.team} for seat in match.players]),
        SETTINGS: _json(match.server.env),
        JOIN_KEY: join_key,
        TRACEPARENT: traceparent(match),
    }
    return {
        "apiVersion": "allocation.agones.dev/v1",
        "kind": "GameServerAllocation",
        "spec": {
            "selectors": [{"matchLabels": wanted, "gameServerState": "Ready"}],
            "scheduling": "Packed",
            "metadata": {"labels": labels(match, installation), "annotations": annotations},
        },
    }


def allocated(answer: Answer, match: Match, installation: str) -> GameServer:
    """The game server of an answer, as it is known before it is seen."""
    metadata = Metadata(name=answer.game_server_name, labels=labels(match, installation))
    return GameServer(metadata, status=Status(ALLOCATED, answer.address, answer.ports))


def connection(server: GameServer, match: Match) -> Connection:
    """Where it is played. A port's protocol is the registration's by its name, else Agones' own."""
    registered: Mapping[str, Protocol] = {port.name: port.protocol for port in match.server.ports}
    specified: Mapping[str, Protocol] = {
        port.name: "tcp" if port.protocol.upper() == "TCP" else "udp" for port in server.spec.ports
    }
    ports = [
        OpenPort(port.name, registered.get(port.name) or specified.get(port.name, "udp"), port.port)
        for port in server.status.ports
    ]
    return Connection(server.status.address, ports)


def seen(server: GameServer, *, gone: bool = False) -> Seen:
    """What it says of its match. `gone`: it was deleted, and this is how it was at last."""
    state, meta = server.status.state, server.metadata
    code = {"Shutdown": 0, "Unhealthy": 1, "Error": 1}.get(
        state
    )  # otherwise somebody ended it: nobody knows how it went
    detail = f"Agones says {state}" if code else "its game server was deleted" if (gone or server.over) else ""
    return Seen(
        match=server.match,
        game=server.game,
        pid=0,
        since_ms=int(meta.creation_timestamp.timestamp() * 1000) if meta.creation_timestamp else 0,
        stopping=meta.deletion_timestamp is not None,
        ended=gone or server.over,
        exit_code=code,
        tells=False,
        detail="" if code == 0 else detail,
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
