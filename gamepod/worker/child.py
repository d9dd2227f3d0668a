"""`python -m gamepod.worker.child`: executes jobs with the functions of the games' own modules, batch after batch.

Batches come on standard input and go back on standard output, each a length of four bytes and MessagePack. Which
command is at work stands in a shared page, so that the parent knows what to name when this process hangs or dies. A
batch is cut short after `SLICE_S`: what is left over stays in Redis. What games print goes to standard error.
"""

from __future__ import annotations

import importlib
import mmap
import os
import resource
import struct
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

import msgspec

from gamepod.worker.execute import Batch, Done, Function, Job, execute

SLICE_S: Final = 1.0  # of one batch; the lease lasts longer than that and one pack more
PLACE: Final = struct.Struct("<III")  # job, pack, command
LOADING: Final = 0xFFFFFFFF  # instead of a pack: the module is being imported
PARENT_S: Final = 1.0  # how often it is looked whether the parent lives
LENGTH: Final = struct.Struct("<I")
MESSAGE_MOST: Final = 64 * 1024 * 1024


class Games:
    """Modules and balances, as they are known by now."""

    def __init__(self) -> None:
        self._functions: dict[str, Mapping[str, Function] | str] = {}
        self.balances: dict[str, dict[int, Mapping[str, Any]]] = {}

    def learn(self, balances: Mapping[str, Mapping[int, str]]) -> None:
        for game, versions in balances.items():
            self.balances[game] = {number: msgspec.json.decode(text) for number, text in versions.items()}

    def functions(self, module: str) -> Mapping[str, Function] | str:
        """What a module has in `COMMANDS`, or why it cannot be used."""
        if module not in self._functions:
            self._functions[module] = _load(module)
        return self._functions[module]


def _load(module: str) -> Mapping[str, Function] | str:
    try:
        found = importlib.import_module(module).COMMANDS
    except BaseException as error:  # whatever a module does when it is imported
        traceback.print_exc()
        return f"the module {module} cannot be loaded: {type(error).__name__}: {error}"[:300]
    if not isinstance(found, dict) or not all(isinstance(n, str) and callable(f) for n, f in found.items()):
        return f"{module}.COMMANDS is to be a dict of functions by the name of their command"
    return found


def run(batch: Batch, games: Games, page: mmap.mmap) -> list[Done]:
    """Execute a batch. Jobs for which no time is left come back with nothing done."""
    games.learn(batch.balances)
    until = time.monotonic() + SLICE_S
    done = []
    for number, job in enumerate(batch.jobs):
        if number and time.monotonic() > until:
            done.append(Done(0, 0, 0, b""))
            continue
        done.append(_job(number, job, games, page, until))
    return done


def _job(number: int, job: Job, games: Games, page: mmap.mmap, until: float) -> Done:
    PLACE.pack_into(page, 0, number, LOADING, 0)
    functions = games.functions(job.module)
    if isinstance(functions, str):
        return Done(0, 0, 0, b"", None, functions)

    def at(pack: int, command: int) -> None:
        PLACE.pack_into(page, 0, number, pack, command)

    done = execute(job, functions, games.balances.get(job.game, {}), at, lambda: time.monotonic() < until)
    if done.failed is not None and done.failed.code == "handler-failed":
        print(f"{job.module}: {done.failed.command}: {done.failed.detail}", file=sys.stderr, flush=True)
    return done


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        sys.exit(0)  # the parent is gone
    return data


def _follow_parent(parent: int) -> None:
    # A function may be in an endless loop when the parent is killed: nobody else would end it.
    while os.getppid() == parent:
        time.sleep(PARENT_S)
    os._exit(1)


def main() -> None:
    """Serve until standard input ends. Arguments: descriptor of the page, memory in MiB."""
    page = mmap.mmap(int(sys.argv[1]), mmap.PAGESIZE)
    bound = int(sys.argv[2]) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    decode, encode, games = msgspec.msgpack.Decoder(Batch).decode, msgspec.msgpack.Encoder().encode, Games()
    while True:
        size = LENGTH.unpack(_exactly(sys.stdin.buffer, LENGTH.size))[0]
        answer = encode(run(decode(_exactly(sys.stdin.buffer, size)), games, page))
        out.write(LENGTH.pack(len(answer)) + answer)
        out.flush()


if __name__ == "__main__":
    main()
