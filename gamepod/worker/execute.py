"""Executing packs against a state. PURE, but for what a game's functions do.

A pack is executed whole or not at all: where a command fails, the state stays as it was after the pack before. A
function is given the state, the arguments, the command's time (ms) and the balance; it changes the state in place and
returns nothing, or returns the new state. ValueError is its refusal; anything else that it raises is a defect of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from core.packs import DETAIL_MOST, STATE_BYTES, StoredPack, read_pack

Function = Callable[[dict[str, Any], dict[str, Any], int, Mapping[str, Any]], Any]


class Failed(Struct, frozen=True, array_like=True):
    """What failed: which command of the first pack that was not executed."""

    index: int
    command: str
    code: str
    detail: str


class Job(Struct, frozen=True, array_like=True):
    """A player's packs. `last`: packs from this one on are not executed, because of `failed`."""

    game: str
    module: str
    state: str
    packs: list[str]
    last: int = -1
    failed: Failed | None = None


class Done(Struct, frozen=True, array_like=True):
    """What came of a job: so many packs executed, with so many commands, the last one at `last_ms`.

    `state` is b"" where none was executed. Packs that are neither executed nor failed were left for later. `trouble`
    is nobody's error: the job could not be done at all.
    """

    ran: int
    commands: int
    last_ms: int
    state: bytes
    failed: Failed | None = None
    trouble: str = ""


class Batch(Struct, frozen=True, array_like=True):
    """Jobs for the child. `balances`: of these games all documents by version, from now on."""

    jobs: list[Job]
    balances: dict[str, dict[int, str]]


_read: Final = msgspec.json.Decoder(dict[str, Any]).decode
_write: Final = msgspec.json.Encoder().encode


def execute(
    job: Job,
    functions: Mapping[str, Function],
    balances: Mapping[int, Mapping[str, Any]],
    at: Callable[[int, int], None],
    more: Callable[[], bool],
) -> Done:
    """Execute a job's packs in order. `at` hears of pack and command before each; `more` ends it between packs."""
    state = _read(job.state)
    done = Done(0, 0, 0, b"")
    for number, raw in enumerate(job.packs):
        if number and not more():
            break
        if number == job.last:
            return msgspec.structs.replace(done, failed=job.failed)
        pack = read_pack(raw)
        text, failed = b"", _missing(pack, balances)
        if failed is None:
            state, failed = _run(state, pack, functions, balances[pack.balance], lambda j, i=number: at(i, j))  # type: ignore[misc]
        if failed is None:
            text, failed = _written(state, pack)
        if failed is not None:
            return msgspec.structs.replace(done, failed=failed)
        count = done.commands + len(pack.commands)
        done = Done(done.ran + 1, count, pack.commands[-1][1], text)
    return done


def _missing(pack: StoredPack, balances: Mapping[int, Mapping[str, Any]]) -> Failed | None:
    if pack.balance in balances:
        return None
    return Failed(0, pack.commands[0][0], "balance-gone", f"version {pack.balance} of the balance is not kept any more")


def _run(
    state: dict[str, Any],
    pack: StoredPack,
    functions: Mapping[str, Function],
    balance: Mapping[str, Any],
    at: Callable[[int], None],
) -> tuple[dict[str, Any], Failed | None]:
    """One pack against a state, which is spoilt where a command fails."""
    for index, (name, at_ms, args) in enumerate(pack.commands):
        at(index)
        function = functions.get(name)
        if function is None:
            return state, Failed(index, name, "unknown-command", "its handler does not know it")
        try:
            made = function(state, args, at_ms, balance)
        except ValueError as error:
            return state, Failed(index, name, "refused", str(error)[:DETAIL_MOST])
        except BaseException as error:  # a game's function may raise what it likes, SystemExit too
            said = f"{type(error).__name__}: {error}"
            return state, Failed(index, name, "handler-failed", said[:DETAIL_MOST])
        if made is not None:
            if not isinstance(made, dict):
                return state, Failed(index, name, "bad-state", f"its function returned a {type(made).__name__}")
            state = made
    return state, None


def _written(state: dict[str, Any], pack: StoredPack) -> tuple[bytes, Failed | None]:
    index, name = len(pack.commands) - 1, pack.commands[-1][0]
    try:
        text = _write(state)
    except Exception as error:  # what JSON has no form for: sets of objects, loops, keys that are none
        return b"", Failed(index, name, "bad-state", f"the state is no JSON: {error}"[:DETAIL_MOST])
    if len(text) > STATE_BYTES:
        return b"", Failed(index, name, "state-too-large", f"the state has {len(text)} bytes, more than {STATE_BYTES}")
    return text, None
