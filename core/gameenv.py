"""What a game's program is told of its ports: in its command line and in its environment. PURE.

The same words wherever it runs: as a child of gamepod, or in a container that a launcher started.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from core import trace
from core.errors import Invalid
from core.ids import is_id
from core.model import Match

ROSTER_BYTES: Final = 65_536  # of one variable: a system takes 128 KiB, and 200 players are 10 KB as a rule
_PORT: Final = re.compile(r"\{port(?::([^{}]*))?\}")


def fill(words: Sequence[str], ports: Mapping[str, int], pointer: str) -> list[str]:
    """The command line with `{port}` (the first port) and `{port:name}` replaced.

    `ports` are the ones to listen on by name. Raises Invalid, with `pointer`, for a name that is none of theirs.
    """

    def number(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return str(next(iter(ports.values())))
        if name not in ports:
            raise Invalid(
                f"the command line asks for {found.group(0)}, but the ports are {', '.join(ports)}", pointer=pointer
            )
        return str(ports[name])

    return [_PORT.sub(number, word) for word in words]


def told(ports: Mapping[str, int], *, sdk_ports: tuple[int, int], match: str, server: str) -> dict[str, str]:
    """The variables that Muster sets for a game, over what it registered. `sdk_ports`: REST and gRPC."""
    rest, grpc = sdk_ports
    return {
        "PORT": str(next(iter(ports.values()))),
        **{f"MUSTER_PORT_{_upper(name)}": str(port) for name, port in ports.items()},
        "AGONES_SDK_HTTP_PORT": str(rest),
        "AGONES_SDK_GRPC_PORT": str(grpc),
        # One that starts before its match is told of it later: an environment cannot change.
        **({} if is_id("standby", match) else {"MUSTER_MATCH": match}),
        "MUSTER_SERVER": server,
    }


def of_match(match: Match) -> dict[str, str]:
    """The variables that tell a game its match, where it starts for one. A roster beyond `ROSTER_BYTES` is left out."""
    if not match.players:
        return {}  # it starts before its match, and is told of that by its sidecar
    roster = roster_text(match)
    return {
        "MUSTER_GAME": match.game,
        "MUSTER_GAME_VERSION": str(match.game_version),
        "MUSTER_SETTINGS": settings_text(match),
        trace.ENVIRONMENT: traceparent(match),
        **({"MUSTER_ROSTER": roster} if len(roster) <= ROSTER_BYTES else {}),
    }


def roster_text(match: Match) -> str:
    """The seats: JSON of id and team."""
    return msgspec.json.encode([{"id": seat.id, "team": seat.team} for seat in match.players]).decode()


def settings_text(match: Match) -> str:
    """What the match is played by: JSON of region, rating mode and timers in seconds."""
    told = {"region": match.region, "rating_mode": match.rating_mode, "timers": msgspec.to_builtins(match.timers)}
    return msgspec.json.encode(told).decode()


def traceparent(match: Match) -> str:
    """What makes spans of a game's own part of the match's trace."""
    return trace.parent(trace.of(match.id, match.trace), match.id)


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
