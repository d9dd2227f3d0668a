"""Settings of one game server, from its environment; `docs/architecture.md` says who sets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.errors import Misconfigured
from core.settings import setting

SDK_PORT: Final = 9358  # Agones' sidecar ports: what its client libraries are fixed to
SDK_GRPC_PORT: Final = 9357


@dataclass(frozen=True, slots=True)
class Settings:
    """What the launcher gives, and the bounds of writing behind."""

    game: str = setting("MUSTER_GAME", "")  # id of the game
    match: str = setting("MUSTER_MATCH", "")  # id of the match
    # Verifies join tokens of this match and of no other; several, separated by commas, while a secret is changed.
    join_key: str = setting("MUSTER_JOIN_KEY", "", secret=True)
    # Public keys (JSON Web Key Set) that the game may verify join tokens with by itself; '' where it needs none.
    join_jwks: str = setting("MUSTER_JOIN_JWKS", "")
    # W3C trace id that this server's log lines carry; '' takes the one of its name.
    trace: str = setting("MUSTER_TRACE", "")
    redis_url: str = setting("REDIS_URL", "redis://127.0.0.1:6379/0", secret=True)  # where the truth is
    address: str = setting("MUSTER_ADDRESS", "127.0.0.1")  # that players reach this host by
    # Name of this host in a cluster: what players reach it by is asked of Redis before Ready. '' takes MUSTER_ADDRESS.
    node: str = setting("MUSTER_NODE", "")
    bind: str = setting("MUSTER_BIND", "127.0.0.1")  # that game ports listen on
    server: str = setting("MUSTER_SERVER", "")  # <installation>/<match>: how a launcher recognises its servers
    # Ports that the launcher chose, as JSON of core.model.GivenPort; '' leaves the choice to us.
    ports: str = setting("MUSTER_PORTS", "")
    # The game is another container of this pod: it is not started, only watched, and who sees the pod tells its end.
    sidecar: bool = setting("MUSTER_SIDECAR", False)
    # Told to stop in the middle of a match, say nothing of it: the launcher sees why (an eviction) and tells the match.
    launcher_tells: bool = setting("MUSTER_LAUNCHER_TELLS", False)
    # Id of this server; '' makes one. A container that is started again goes on as the one it was (a pod's uid).
    server_id: str = setting("MUSTER_SERVER_ID", "")
    run_dir: str = setting("MUSTER_RUN_DIR", ".")  # lock file and a child's log
    sdk_port: int = setting("MUSTER_SDK_PORT", SDK_PORT)  # of REST; 0 takes a free one
    sdk_grpc_port: int = setting("MUSTER_SDK_GRPC_PORT", SDK_GRPC_PORT)  # 0 takes a free one
    metrics_port: int = setting("MUSTER_METRICS_PORT", 8001)  # 0 takes a free one
    metrics_bind: str = setting("MUSTER_METRICS_BIND", "127.0.0.1")  # in a pod 0.0.0.0: the scraper is elsewhere
    log_level: str = setting("MUSTER_LOG_LEVEL", "info")  # debug, info, warning or error
    log_format: str = setting("MUSTER_LOG_FORMAT", "json")  # json, or text for people

    # A crash of this process loses what happened since the last flush; with the work and the way that is 50 ms.
    flush_s: float = setting("MUSTER_FLUSH_S", 0.03)
    # Views are read by people: once a second is live to them, and half the cost of twice.
    views_s: float = setting("MUSTER_VIEWS_S", 1.0)
    # Counts of the activity board: a crash of this process leaves those of a second to `muster rebuild`.
    boards_s: float = setting("MUSTER_BOARDS_S", 1.0)
    # While Redis is away: a minute of 100 players at 60 Hz, an hour of a duel.
    buffer_interactions: int = setting("MUSTER_BUFFER_INTERACTIONS", 500_000)
    # The same bound in memory; whichever is reached first.
    buffer_bytes: int = setting("MUSTER_BUFFER_BYTES", 16 * 1024 * 1024)
    # How long the end of a match waits for Redis to take the last interactions and the result.
    final_flush_s: float = setting("MUSTER_FINAL_FLUSH_S", 60.0)
    # Batches kept in a shard's log (16 shards a game): half an hour of a match at full beat, 10 MB of a duel.
    log_batches: int = setting("MUSTER_LOG_BATCHES", 50_000)

    def __post_init__(self) -> None:
        for name, value in (
            ("MUSTER_GAME", self.game),
            ("MUSTER_MATCH", self.match),
            ("MUSTER_JOIN_KEY", self.join_key),
        ):
            if not value:
                raise Misconfigured("a game server is started by the matchmaker, which sets this", setting=name)
        for name, number in (
            ("MUSTER_FLUSH_S", self.flush_s),
            ("MUSTER_VIEWS_S", self.views_s),
            ("MUSTER_BOARDS_S", self.boards_s),
        ):
            if not 0.005 <= number <= 10:
                raise Misconfigured(f"{number} s is not between 0.005 and 10", setting=name)
        for name, number in (
            ("MUSTER_LOG_BATCHES", self.log_batches),
            ("MUSTER_BUFFER_INTERACTIONS", self.buffer_interactions),
            ("MUSTER_BUFFER_BYTES", self.buffer_bytes),
        ):
            if number < 1:
                raise Misconfigured(f"{number} keeps nothing: at least 1", setting=name)
