"""Which of the node's ports a new server takes. PURE: use and chance are arguments.

A port is free or not on each node by itself, and the scheduler knows which: it puts a pod only where all its ports are
free. So the choice need not be unique in the cluster. It is the least used of the range, at random among equals:
unique while the range is larger than what runs, so that a pod fits every node, and even beyond that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

from core.model import GivenPort, Port

Kind: TypeAlias = Literal["UDP", "TCP"]
Use: TypeAlias = Counter[tuple[Kind, int]]

# Of a sidecar that shares the node's network with others: REST, gRPC.
SDK: Final = (Port("sdk", "tcp"), Port("sdk-grpc", "tcp"))


class Held:
    """Ports of nodes that servers hold, by match: what `choose` takes for use."""

    def __init__(self) -> None:
        self.use: Use = Counter()
        self._of: dict[str, list[tuple[Kind, int]]] = {}

    def hold(self, match: str, ports: list[tuple[Kind, int]]) -> None:
        """These, and no others any more."""
        if self._of.get(match) == ports:
            return
        self.release(match)
        self._of[match] = ports
        self.use.update(ports)

    def release(self, match: str) -> None:
        """None any more."""
        for port in self._of.pop(match, ()):
            self.use[port] -= 1
            if self.use[port] <= 0:
                del self.use[port]


def kind_of(port: Port | GivenPort) -> Kind:
    """The transport protocol as Kubernetes names it."""
    return "UDP" if port.protocol == "udp" else "TCP"


def choose(
    wanted: Sequence[Port], first: int, last: int, used: Use, chance: Callable[[int], int], *, same: bool
) -> list[GivenPort] | None:
    """Ports of the node for each that is wanted, or None where the range has too few.

    `chance(n)` gives a number below n. A port that the game fixes is listened on as it is. `same` takes it on the node
    as well (the pod has the node's own network), so that the range has no part in it.
    """
    taken: set[tuple[Kind, int]] = set()
    chosen = []
    for port in wanted:
        kind = kind_of(port)
        if same and port.port:
            public: int | None = port.port
        else:
            public = _least_used(kind, first, last, used, taken, chance)
        if public is None:
            return None
        taken.add((kind, public))
        chosen.append(GivenPort(port.name, port.protocol, public, port.port or public))
    return chosen


def inside(wanted: Sequence[Port], first: int) -> list[GivenPort]:
    """Ports of a pod that players reach by its own address: the fixed ones, and others from `first` on."""
    fixed = {port.port for port in wanted}
    free = (number for number in range(first, 65_536) if number not in fixed)
    numbers = [port.port or next(free) for port in wanted]
    return [GivenPort(p.name, p.protocol, number, number) for p, number in zip(wanted, numbers, strict=True)]


def _least_used(
    kind: Kind, first: int, last: int, used: Use, taken: set[tuple[Kind, int]], chance: Callable[[int], int]
) -> int | None:
    size = last - first + 1
    # Where most of the range is free, a few draws find a free one; only a crowded range is gone through.
    for _ in range(8):
        number = first + chance(size)
        if not used[kind, number] and (kind, number) not in taken:
            return number
    left = [number for number in range(first, last + 1) if (kind, number) not in taken]
    if not left:
        return None
    least = min(used[kind, number] for number in left)
    equals = [number for number in left if used[kind, number] == least]
    return equals[chance(len(equals))]
