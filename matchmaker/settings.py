"""Settings of the matchmaker. Read from the environment once; unit and reason stand beside each default."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import Misconfigured
from core.settings import setting

LAUNCHERS = ("process", "docker", "kubernetes", "instant")


@dataclass(frozen=True, slots=True)
class Settings:
    """How queues are worked and matches watched."""

    # process, docker, kubernetes; instant: no servers at all, for benches
    launcher: str = setting("MUSTER_LAUNCHER", "process")
    # Games may name fleets of Agones, beside whatever the launcher starts. docs/agones.md
    agones: bool = setting("MUSTER_AGONES", False)
    # In a pod 0.0.0.0: the scraper is elsewhere.
    metrics_host: str = setting("MUSTER_MATCHMAKER_METRICS_HOST", "127.0.0.1")
    metrics_port: int = setting("MUSTER_MATCHMAKER_METRICS_PORT", 8002)  # Prometheus' format, at /metrics
    # How long a crashed owner's game waits for a new one; renewed each third of it, so two renewals may be late.
    lease_s: float = setting("MUSTER_LEASE_S", 3.0)
    # A lost ring costs at most so long.
    poll_s: float = setting("MUSTER_POLL_S", 1.0)
    # Waiting tickets of one game in memory, oldest first: 100,000 take 200 MB, and a pass over them 0.4 s.
    pool_tickets: int = setting("MUSTER_POOL_TICKETS", 100_000)
    # Matches claimed in one round trip: 64 of ten players hold Redis for 5 ms.
    claims: int = setting("MUSTER_CLAIMS", 64)
    # Servers at once of one developer, in all games; 0 is without bound. Other games are counted once a second.
    developer_servers: int = setting("MUSTER_DEVELOPER_SERVERS", 0)
    # A server beats each 2 s: five are lost before it counts as gone.
    beat_timeout_s: float = setting("MUSTER_BEAT_TIMEOUT_S", 10.0)
    # An open stream or long poll gives a sign of life at least each 15 s: four are lost before its player is gone.
    vanished_s: float = setting("MUSTER_VANISHED_S", 60.0)
    # A player of whom nobody heard for so long is offline; the same as webapi's.
    presence_timeout_s: float = setting("MUSTER_PRESENCE_TIMEOUT_S", 180.0)
    # Webhooks may go to private addresses, and without TLS: only where all developers are trusted with the network.
    webhook_private: bool = setting("MUSTER_WEBHOOK_PRIVATE", False)
    # Servers of a game's warm pool that start at the same time: more than the hosts start together are all late.
    pool_starts: int = setting("MUSTER_POOL_STARTS", 8)
    # At a clean stop, end the servers too (a laptop). Otherwise they play on, and the next matchmaker knows them.
    stop_servers: bool = setting("MUSTER_STOP_SERVERS", False)
    # Leave the data in its form after an upgrade, so that one can go back to the release before. docs/upgrading.md
    schema_hold: bool = setting("MUSTER_SCHEMA_HOLD", False)

    def __post_init__(self) -> None:
        if self.launcher not in LAUNCHERS:
            raise Misconfigured(
                f"there is no launcher {self.launcher!r}, only {', '.join(LAUNCHERS)}", setting="MUSTER_LAUNCHER"
            )
        for name, variable, least in (
            ("lease_s", "MUSTER_LEASE_S", 0.5),
            ("poll_s", "MUSTER_POLL_S", 0.01),
            ("pool_tickets", "MUSTER_POOL_TICKETS", 1),
            ("claims", "MUSTER_CLAIMS", 1),
            ("developer_servers", "MUSTER_DEVELOPER_SERVERS", 0),
            ("pool_starts", "MUSTER_POOL_STARTS", 1),
            ("beat_timeout_s", "MUSTER_BEAT_TIMEOUT_S", 0.1),
            ("vanished_s", "MUSTER_VANISHED_S", 0.1),
            ("presence_timeout_s", "MUSTER_PRESENCE_TIMEOUT_S", 0.3),
        ):
            if getattr(self, name) < least:
                raise Misconfigured(f"{getattr(self, name)} is less than {least}", setting=variable)


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How the process launcher starts servers on this host."""

    # Keeps the installations on one host apart; '' derives it from the secret and the Redis URL.
    installation: str = setting("MUSTER_INSTALLATION", "")
    # Logs and lock files of servers. The same for all matchmakers of a host.
    run_dir: str = setting("MUSTER_RUN_DIR", ".data/run")
    # What a server is started with, split as a shell would; '' is this Python's `-m gamepod`.
    server_command: str = setting("MUSTER_SERVER_COMMAND", "")
    address: str = setting("MUSTER_ADDRESS", "127.0.0.1")  # players reach this host by
    bind: str = setting("MUSTER_BIND", "127.0.0.1")  # servers listen on
    max_servers: int = setting("MUSTER_MAX_SERVERS", 256)  # on this host; 30 MB each make 8 GB
    # Servers that start at the same time: more than the cores hold only makes each of them late.
    starts: int = setting("MUSTER_STARTS", 8)
    # On a full host Redis and the services go first: a server that is late writes fuller batches, a Redis that is late
    # makes everybody late. 5 gives a server a third of what they get of a core, where they want it; 0 as much as they.
    nice: int = setting("MUSTER_SERVER_NICE", 5)
    log_bytes: int = setting("MUSTER_SERVER_LOG_BYTES", 1_000_000)  # of one server; its older half is cut off
    logs_kept: int = setting("MUSTER_SERVER_LOGS_KEPT", 500)  # of servers that are over
    # Commands are strangers' programs run as this user: only where all developers are trusted.
    allow_commands: bool = setting("MUSTER_ALLOW_COMMANDS", False)

    def __post_init__(self) -> None:
        if self.max_servers < 1:
            raise Misconfigured(f"{self.max_servers} is less than 1", setting="MUSTER_MAX_SERVERS")
        if self.starts < 1:
            raise Misconfigured(f"{self.starts} is less than 1", setting="MUSTER_STARTS")
        if not 0 <= self.nice <= 19:
            raise Misconfigured(f"{self.nice} is not between 0 and 19", setting="MUSTER_SERVER_NICE")
        if self.log_bytes < 4096:
            raise Misconfigured(f"{self.log_bytes} is less than 4096", setting="MUSTER_SERVER_LOG_BYTES")
