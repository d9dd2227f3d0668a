"""The overview that pages watch: computed at most once a second for all of them, and only while somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from core.clock import now_ms
from core.errors import MusterError, Unavailable
from core.log import get
from webapi.documents import encode
from webapi.metrics import Metrics
from webapi.overview_documents import Overview
from webapi.store.overview import OverviewReader
from webapi.waking import Waker

log = get("overview")

EVERY_S: Final = 1.0


class OverviewWatch:
    """See the module. `run` is its loop."""

    def __init__(self, reader: OverviewReader, most: int, metrics: Metrics) -> None:
        self._reader = reader
        self._most = most
        self._open = metrics.streams.labels("overview")
        self._viewers: set[Waker] = set()
        self._first = asyncio.Event()  # somebody looks
        self._reading = asyncio.Lock()
        self._read_at_ms = 0
        self._latest: Overview | None = None
        self.data = b""  # JSON of the latest overview
        self.seq = 0  # counts the changes of `data`
        self.closing = False

    @contextmanager
    def view(self) -> Iterator[Waker]:
        """A viewer for the length of the block, woken when `data` is new. Raises Unavailable at the bound."""
        if self.closing or len(self._viewers) >= self._most:
            raise Unavailable("this replica has no room for another stream", code="busy")
        viewer = Waker()
        self._viewers.add(viewer)
        self._first.set()
        self._open.inc()
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
            self._open.dec()
            if not self._viewers:
                self._first.clear()
                self.data = b""  # old by the time somebody looks again

    async def latest(self) -> Overview:
        """An overview that is at most a second old. Raises Unavailable."""
        async with self._reading:  # a thousand askers are one question
            now = now_ms()
            if self._latest is None or now - self._read_at_ms >= EVERY_S * 1000:
                self._latest = await self._reader.read(now)
                self._read_at_ms = now
            return self._latest

    async def run(self) -> None:
        """Read and tell for ever, while somebody looks."""
        while True:
            await self._first.wait()
            try:
                await self.refresh()
            except MusterError as error:
                log.warning("no overview", error=error.detail)
            await asyncio.sleep(EVERY_S)

    async def refresh(self) -> None:
        """Read once; wake the viewers where something changed. Raises Unavailable."""
        data = encode(await self.latest())
        if data != self.data:
            self.data = data
            self.seq += 1
            self._wake()

    def close(self) -> None:
        """Wake everybody to say goodbye; nobody new is let in."""
        self.closing = True
        self._wake()

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.wake()
