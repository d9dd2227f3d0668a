"""A game's module for tests: handlers that work, refuse, crash, hang, die and return rubbish."""

from __future__ import annotations

import os
import time
from typing import Any


def add(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    state["sum"] = state.get("sum", 0) + args["n"] * balance.get("worth", 1)
    state["log"] = [*state.get("log", [])[-9:], args["n"]]


def buy(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> dict[str, Any]:
    return {**state, "bought": state.get("bought", 0) + 1, "at_ms": at_ms}


def cheat(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    state["sum"] = 10**9  # spoilt before it fails: nothing of it may be written
    raise ValueError("there is no such treasure")


def crash(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    raise KeyError("a defect")


def leave(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    raise SystemExit(3)


def hang(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    while True:
        time.sleep(0.01)


def die(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    os.kill(os.getpid(), 9)


def rubbish(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> Any:
    return 42


def unwritable(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    state["me"] = object()


def huge(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    state["fat"] = "x" * 300_000


def slow(state: dict[str, Any], args: dict[str, Any], at_ms: int, balance: dict[str, Any]) -> None:
    time.sleep(args["n"] / 1000)


COMMANDS = {
    function.__name__: function
    for function in (add, buy, cheat, crash, leave, hang, die, rubbish, unwritable, huge, slow)
}
