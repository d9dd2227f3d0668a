"""The choice of the node's ports."""

from __future__ import annotations

import random
from collections import Counter

from core.model import GivenPort, Port
from matchmaker.launch.host_ports import Held, Use, choose, inside

CHANCE = random.Random(1)


def some(*wanted: Port, used: Use | None = None, last: int = 20_003, same: bool = False) -> list[GivenPort] | None:
    """Ports out of a range of four."""
    return choose(wanted, 20_000, last, used or Counter(), CHANCE.randrange, same=same)


def test_ports_of_one_server_differ() -> None:
    """Each of a server's ports is another; UDP and TCP of one number do not clash."""
    for _ in range(50):
        chosen = some(*[Port(f"p{i}", "tcp") for i in range(4)], *[Port(f"u{i}", "udp") for i in range(4)])
        assert chosen is not None
        assert len({port.port for port in chosen if port.protocol == "tcp"}) == 4
        assert len({port.port for port in chosen if port.protocol == "udp"}) == 4


def test_the_least_used_is_taken() -> None:
    """A port that is in use somewhere is taken only where all are: on another node it may be free."""
    used: Use = Counter({("TCP", 20_000): 1, ("TCP", 20_001): 1, ("TCP", 20_003): 1, ("UDP", 20_002): 5})
    assert {ports[0].port for _ in range(20) if (ports := some(Port(), used=used))} == {20_002}
    used["TCP", 20_002] = 2
    taken = {ports[0].port for _ in range(200) if (ports := some(Port(), used=used))}
    assert taken == {20_000, 20_001, 20_003}


def test_a_fixed_port_is_listened_on() -> None:
    """A game that fixes its port listens there; players reach it by one of the range, or by the same if shared."""
    (mapped,) = some(Port("game", "udp", 7777)) or []
    assert mapped.listen == 7777
    assert 20_000 <= mapped.port <= 20_003
    assert some(Port("game", "udp", 7777), same=True) == [GivenPort("game", "udp", 7777, 7777)]


def test_a_range_that_is_too_small() -> None:
    """A server that needs more ports than there are gets none."""
    assert some(*[Port(f"p{i}", "tcp") for i in range(5)]) is None


def test_ports_inside_a_pod() -> None:
    """Where players reach the pod itself, ports that are free to choose avoid the fixed ones."""
    assert inside([Port("a", "tcp"), Port("b", "udp", 20_000), Port("c", "ws")], 20_000) == [
        GivenPort("a", "tcp", 20_001, 20_001),
        GivenPort("b", "udp", 20_000, 20_000),
        GivenPort("c", "ws", 20_002, 20_002),
    ]


def test_what_is_held() -> None:
    """A port counts for each server that holds it; one that holds others holds the first no more."""
    held = Held()
    held.hold("m-1", [("TCP", 1), ("UDP", 2)])
    held.hold("m-2", [("TCP", 1)])
    held.hold("m-2", [("TCP", 1)])
    assert held.use == {("TCP", 1): 2, ("UDP", 2): 1}
    held.hold("m-1", [("TCP", 3)])
    held.release("m-2")
    held.release("m-2")
    assert held.use == {("TCP", 3): 1}
