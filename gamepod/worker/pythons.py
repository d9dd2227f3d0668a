"""The parent's end of `child`: sends jobs, watches over the time they take, and names what hangs or dies."""

from __future__ import annotations

import asyncio
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

import msgspec

from core.log import get
from gamepod.worker.child import LENGTH, LOADING, MESSAGE_MOST, PLACE
from gamepod.worker.execute import Batch, Done, Failed, Job

log = get("worker.pythons")

LOOK_S: Final = 0.1  # how often the place in the page is looked at
LOAD_S: Final = 10.0  # for a module to be imported, and for the process to start
DEATHS: Final = 3  # of the child in one player's job; then it is tried again later
SECRETS: Final = ("REDIS_URL", "MUSTER_SECRET")  # which a game's functions have no need of


class Died(Exception):
    """The child is gone in the midst of a batch: where it was, and why."""

    def __init__(self, job: int, pack: int, command: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.job, self.pack, self.command, self.code, self.detail = job, pack, command, code, detail


class Pythons:
    """One child at a time, started when it is needed. Jobs of several callers go one after another."""

    def __init__(self, pack_s: float, memory_mib: int) -> None:
        self._pack_s, self._memory_mib = pack_s, memory_mib
        self._lock = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._page: mmap.mmap | None = None
        self._file: IO[bytes] | None = None
        self._known: dict[str, Mapping[int, str]] = {}
        self._decode = msgspec.msgpack.Decoder(list[Done]).decode
        self.deaths = 0

    async def run(self, jobs: Sequence[Job], balances: Mapping[str, Mapping[int, str]]) -> list[Done]:
        """What came of each job. `balances`: the documents of the jobs' games by version.

        Where the child hangs or dies, the job that it was at has failed there, and the others are left undone.
        """
        async with self._lock:
            try:
                return await self._send(jobs, balances)
            except Died as died:
                answers = [Done(0, 0, 0, b"") for _ in jobs]
                at = min(died.job, len(jobs) - 1)
                answers[at] = await self._alone(jobs[at], balances, died)
                return answers

    async def _alone(self, job: Job, balances: Mapping[str, Mapping[int, str]], died: Died) -> Done:
        """The job once more, up to the pack that it died in."""
        for _ in range(DEATHS):
            if died.pack == LOADING or died.pack >= len(job.packs):
                return Done(0, 0, 0, b"", None, f"the module {job.module} {died.detail} while it was loaded")
            name = _name(job.packs[died.pack], died.command)
            job = msgspec.structs.replace(
                job, last=died.pack, failed=Failed(died.command, name, died.code, f"its function {died.detail}")
            )
            log.error("a handler ended its process", module=job.module, command=name, how=died.detail)
            try:
                return (await self._send([job], balances))[0]
            except Died as again:
                died = again
        return Done(0, 0, 0, b"", None, f"the module {job.module} ended its process again and again")

    async def _send(self, jobs: Sequence[Job], balances: Mapping[str, Mapping[int, str]]) -> list[Done]:
        child = await self._running()
        news = {game: dict(known) for game, known in balances.items() if self._known.get(game) != known}
        self._known.update(news)
        data = msgspec.msgpack.encode(Batch(list(jobs), news))
        assert child.stdin is not None
        assert child.stdout is not None
        assert self._page is not None
        PLACE.pack_into(self._page, 0, 0, LOADING, 0)
        answer = asyncio.ensure_future(self._exchange(child.stdin, child.stdout, data))
        try:
            await self._watch(answer)
            return self._decode(answer.result())
        except (OSError, asyncio.IncompleteReadError, msgspec.DecodeError):
            raise await self._died("handler-died", "ended the process") from None
        finally:
            if not answer.done():
                answer.cancel()
                await asyncio.gather(answer, return_exceptions=True)
                await self.close()  # it may be in the midst of an answer

    async def _exchange(self, to: asyncio.StreamWriter, back: asyncio.StreamReader, data: bytes) -> bytes:
        to.write(LENGTH.pack(len(data)) + data)
        await to.drain()
        size = LENGTH.unpack(await back.readexactly(LENGTH.size))[0]
        if size > MESSAGE_MOST:
            raise msgspec.DecodeError("the answer is too large")
        return await back.readexactly(size)

    async def _watch(self, answer: asyncio.Future[bytes]) -> None:
        """Until the answer is there. Raises Died where one pack takes too long."""
        assert self._page is not None
        place, since = None, time.monotonic()
        while not (await asyncio.wait({answer}, timeout=LOOK_S))[0]:
            job, pack, _ = now = PLACE.unpack_from(self._page, 0)
            if place != (job, pack):
                place, since = (job, pack), time.monotonic()
            bound = LOAD_S if now[1] == LOADING else self._pack_s
            if time.monotonic() - since > bound:
                raise await self._died("handler-too-slow", f"took longer than {bound:g} s")

    async def _died(self, code: str, detail: str) -> Died:
        assert self._page is not None
        where: tuple[int, int, int] = PLACE.unpack_from(self._page, 0)
        self.deaths += 1
        await self.close()
        return Died(*where, code, detail)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._child is not None and self._child.returncode is None:
            return self._child
        await self.close()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._file.truncate(mmap.PAGESIZE)
        self._page = mmap.mmap(self._file.fileno(), mmap.PAGESIZE)
        self._known = {}
        env = {name: value for name, value in os.environ.items() if name not in SECRETS}
        command = [sys.executable, "-m", "gamepod.worker.child", str(self._file.fileno()), str(self._memory_mib)]
        pipe = asyncio.subprocess.PIPE
        options: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "env": env, "pass_fds": [self._file.fileno()]}
        self._child = await asyncio.create_subprocess_exec(*command, **options)
        return self._child

    async def close(self) -> None:
        """End the child, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            if child.returncode is None:
                child.kill()
            await child.wait()
            if child.stdin is not None:
                child.stdin.close()
        if self._page is not None:
            self._page.close()
            self._page = None
        if self._file is not None:
            self._file.close()
            self._file = None


def _name(pack: str, command: int) -> str:
    commands = msgspec.json.decode(pack)[2]
    return str(commands[min(command, len(commands) - 1)][0])
