"""Settings of Agones as a source of servers. Read from the environment once; unit and reason stand beside defaults."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import Misconfigured
from core.settings import setting


@dataclass(frozen=True, slots=True)
class AgonesSettings:
    """Where fleets are. docs/agones.md."""

    # Keeps the installations that share fleets apart; '' derives it from the secret and the Redis URL.
    installation: str = setting("MUSTER_INSTALLATION", "")
    kubeconfig: str = setting("MUSTER_KUBE_CONFIG", "")  # a file; '' is the service account of the matchmaker's pod
    # Namespaces whose fleets games may name, comma-separated; the first is that of who names none. '' is our own.
    namespaces: str = setting("MUSTER_AGONES_NAMESPACES", "")
    max_servers: int = setting("MUSTER_AGONES_MAX_SERVERS", 5_000)  # allocated at once, in all games
    writes: int = setting("MUSTER_AGONES_WRITES", 32)  # allocations and deletes at once: more only queue up there
    call_s: float = setting("MUSTER_AGONES_CALL_S", 5.0)  # Agones gathers allocations for half a second

    def __post_init__(self) -> None:
        for number, variable in (
            (self.max_servers, "MUSTER_AGONES_MAX_SERVERS"),
            (self.writes, "MUSTER_AGONES_WRITES"),
        ):
            if number < 1:
                raise Misconfigured(f"{number} is less than 1", setting=variable)
        if self.call_s <= 0:
            raise Misconfigured(f"{self.call_s} is not more than 0", setting="MUSTER_AGONES_CALL_S")

    @property
    def named(self) -> list[str]:
        """The namespaces, in order; none where it is our own."""
        return [name.strip() for name in self.namespaces.split(",") if name.strip()]
