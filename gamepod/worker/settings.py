"""Settings of a worker, beside those every service has (`core.settings.Common`)."""

from __future__ import annotations

from dataclasses import dataclass

from core.addresses import Network, networks
from core.commandspec import modules
from core.errors import Misconfigured
from core.settings import setting


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Read once at the start."""

    # Python modules that execute commands, comma-separated: what they do is done as this user. webapi needs it too.
    command_modules: str = setting("MUSTER_COMMAND_MODULES", "")
    # Networks that handlers' URLs may lead into beside the public Internet, comma-separated.
    handler_networks: str = setting("MUSTER_HANDLER_NETWORKS", "")
    handler_s: float = setting("MUSTER_HANDLER_S", 5.0)  # for a URL to answer
    pack_s: float = setting("MUSTER_PACK_S", 3.0)  # for Python functions to execute one pack; then it has failed
    handler_memory_mib: int = setting("MUSTER_HANDLER_MEMORY_MIB", 1024)  # of the process they run in
    # A dead worker's players are taken over after; an answer of a handler and a pack fit into it.
    lease_s: float = setting("MUSTER_PACK_LEASE_S", 8.0)
    # Players taken at once from one shard: more share round trips, and wait for each other.
    players: int = setting("MUSTER_WORKER_PLAYERS", 32)
    # Batches at once: while one is executed, another is on its way to or from Redis.
    lanes: int = setting("MUSTER_WORKER_LANES", 2)
    poll_s: float = setting("MUSTER_WORKER_POLL_S", 1.0)  # a lost ring costs at most so long
    metrics_host: str = setting("MUSTER_WORKER_METRICS_HOST", "127.0.0.1")  # in a pod 0.0.0.0
    metrics_port: int = setting("MUSTER_WORKER_METRICS_PORT", 8003)  # at /metrics; 0 takes a free one

    def __post_init__(self) -> None:
        for name, variable, least, most in (
            ("handler_s", "MUSTER_HANDLER_S", 0.1, 30),
            ("pack_s", "MUSTER_PACK_S", 0.1, 30),
            ("handler_memory_mib", "MUSTER_HANDLER_MEMORY_MIB", 128, 262_144),
            ("lease_s", "MUSTER_PACK_LEASE_S", 0.5, 120),
            ("players", "MUSTER_WORKER_PLAYERS", 1, 256),
            ("lanes", "MUSTER_WORKER_LANES", 1, 16),
            ("poll_s", "MUSTER_WORKER_POLL_S", 0.05, 10),
            ("metrics_port", "MUSTER_WORKER_METRICS_PORT", 0, 65_535),
        ):
            if not least <= getattr(self, name) <= most:
                raise Misconfigured(f"{getattr(self, name)} is not within {least:g} and {most:g}", setting=variable)
        self.networks  # noqa: B018 - a wrong network is told now

    @property
    def modules(self) -> frozenset[str]:
        """Modules that this worker runs."""
        return modules(self.command_modules)

    @property
    def networks(self) -> tuple[Network, ...]:
        return networks(self.handler_networks, "MUSTER_HANDLER_NETWORKS")
