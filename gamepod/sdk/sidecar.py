"""The sidecar of one match: what it tells of it, and its two ports on loopback."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

from core.errors import Misconfigured
from core.gameenv import roster_text, settings_text, traceparent
from core.ids import is_id
from core.model import Connection, HealthSpec, Match
from gamepod.sdk.grpc_port import GrpcPort
from gamepod.sdk.metadata import Metadata
from gamepod.sdk.rest import LIMITS, WATCH, SidecarRest
from gamepod.sdk.sdk import Identity, Sdk
from gamepod.sdk.server import ServerLife
from gamepod.sdk.state import HealthRules
from gamepod.sdk.tallies import Tallies
from gamepod.sdk.watch_socket import WatchSockets
from gamepod.transport.http import serve_http
from gamepod.transport.http_types import Handler

HOST: Final = "127.0.0.1"  # the game shares our network, and nobody else is to speak for it
ROSTER: Final = "muster.dev/roster"
SETTINGS: Final = "muster.dev/settings"
TRACEPARENT: Final = "muster.dev/traceparent"


class SdkPorts(NamedTuple):
    """Where the sidecar listens. gRPC is 0 where it is not offered."""

    rest: int
    grpc: int


def match_life(match: Match) -> ServerLife:
    """The life of a server of `match`, which begins now."""
    return ServerLife(time.monotonic(), health_rules(match.server.health), match=not is_id("standby", match.id))


def health_rules(spec: HealthSpec) -> HealthRules:
    """The rules that a game is registered with."""
    return HealthRules(spec.period_s, spec.failure_threshold, spec.initial_delay_s, spec.disabled)


def match_sdk(match: Match, life: ServerLife, uid: str, connection: Callable[[], Connection]) -> Sdk:
    """The SDK of a match's server. The built-in arena speaks for itself: there it only tells."""
    server = match.server
    waits = is_id("standby", match.id)
    told = {} if waits else _annotations(match)
    own = {"game": match.game, "version": str(match.game_version)} | ({} if waits else {"match": match.id})
    labels = {f"muster.dev/{name}": value for name, value in own.items()}
    return Sdk(
        Identity(match.id, match.game, uid or match.id, match.created_ms // 1000),
        life,
        Metadata(labels, told),
        Tallies(server.counters, server.lists, len(match.players)),
        connection,
        commands=server.arena is None,
    )


def _annotations(match: Match) -> dict[str, str]:
    return {ROSTER: roster_text(match), SETTINGS: settings_text(match), TRACEPARENT: traceparent(match)}


def allocate(sdk: Sdk, match: Match) -> None:
    """A server that waited for a match has it: its game is told by watch, for an environment cannot change."""
    sdk.metadata.tell_label("muster.dev/match", match.id)
    for name, value in _annotations(match).items():
        sdk.metadata.tell(name, value)
    sdk.tallies.players.capacity = max(sdk.tallies.players.capacity, len(match.players))
    sdk.life.allocated()


@asynccontextmanager
async def open_sidecar(sdk: Sdk, ours: Handler, rest_port: int, grpc_port: int) -> AsyncIterator[SdkPorts]:
    """Listen while inside; 0 takes a free port. Raises Misconfigured where a port is taken."""
    sockets, grpc = WatchSockets(sdk), GrpcPort(sdk)
    async with AsyncExitStack() as closers:
        # gRPC first: whoever waits for REST to listen may speak either then.
        if sdk.commands:
            closers.push_async_callback(grpc.close)
            try:
                await grpc.start(HOST, grpc_port)
            except OSError as error:
                raise _taken(grpc_port, error, "MUSTER_SDK_GRPC_PORT") from None
        closers.push_async_callback(sockets.close)
        try:
            rest = await serve_http(SidecarRest(sdk, ours), HOST, rest_port, upgrades={WATCH: sockets}, limits=LIMITS)
        except OSError as error:
            raise _taken(rest_port, error, "MUSTER_SDK_PORT") from None
        closers.push_async_callback(rest.close)
        yield SdkPorts(rest.port, grpc.port)


def _taken(port: int, error: OSError, setting: str) -> Misconfigured:
    return Misconfigured(f"port {port} on {HOST} cannot be opened: {error}", setting=setting)
