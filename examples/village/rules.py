"""The rules of the village, for the server and for the client alike: who plays by them is never told to reload.

A worker of Muster runs these functions (`COMMANDS`), and the client runs the same ones at once, without waiting for
anybody. Each is given the state, the arguments, the command's time (ms) and the balance; it changes the state, or
raises ValueError where the rules forbid it. They look at nothing else: no clock, no chance.
"""

from __future__ import annotations

from typing import Any

CELLS = 16  # of the map


def build(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    """Begin a building: it costs coins, and is ready after its time."""
    kind, cell = args["what"], args["cell"]
    if kind not in balance["buildings"]:
        raise ValueError(f"there is no building {kind!r}")
    if not 0 <= cell < CELLS or str(cell) in state["map"]:
        raise ValueError(f"cell {cell} is not free")
    _pay(state, balance["buildings"][kind]["coins"])
    ready_ms = at_ms + balance["buildings"][kind]["seconds"] * 1000
    state["map"][str(cell)] = {"what": kind, "ready_ms": ready_ms, "since_ms": ready_ms}


def collect(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    """Take the coins that a building has made since the last time."""
    house = _house(state, args["cell"])
    if at_ms < house["ready_ms"]:
        raise ValueError("it is not ready yet")
    made = balance["buildings"][house["what"]]
    seconds = (at_ms - house["since_ms"]) // 1000
    state["coins"] += min(seconds * made["coins_per_s"], made["holds"])
    house["since_ms"] += seconds * 1000


def hurry(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    """Have a building ready at once, for gems."""
    house = _house(state, args["cell"])
    if at_ms >= house["ready_ms"]:
        raise ValueError("it is ready already")
    if state["gems"] < balance["hurry_gems"]:
        raise ValueError("not enough gems")
    state["gems"] -= balance["hurry_gems"]
    house["ready_ms"] = house["since_ms"] = at_ms


def buy_gems(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    """A purchase. A real game would check the receipt with the shop before it sends the command."""
    offer = balance["offers"].get(args["offer"])
    if offer is None:
        raise ValueError(f"there is no offer {args['offer']!r}")
    if args["receipt"] in state["receipts"]:
        raise ValueError("this receipt was used before")
    state["receipts"] = [*state["receipts"], args["receipt"]][-50:]
    state["gems"] += offer


def _pay(state: dict[str, Any], coins: int) -> None:
    if state["coins"] < coins:
        raise ValueError(f"{coins} coins are needed, and {state['coins']} are there")
    state["coins"] -= coins


def _house(state: dict[str, Any], cell: int) -> dict[str, Any]:
    if str(cell) not in state["map"]:
        raise ValueError(f"nothing stands on cell {cell}")
    return state["map"][str(cell)]


COMMANDS = {"build": build, "collect": collect, "hurry": hurry, "buy_gems": buy_gems}
