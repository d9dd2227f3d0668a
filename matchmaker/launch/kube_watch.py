"""Keeps a copy of pods, or of other objects, up to date: list once, then watch from there.

Level-triggered. An event brings the copy up to date and marks its name dirty, nothing more; whoever looks at a
dirty name looks at the copy, so events that are lost, late or twice change nothing. A watch that ends is resumed from
the last version seen (bookmarks keep it young where nothing happens); only 410 (too old) makes for a new list. After
a new list everyone that is there, and every one that is not any more, is dirty.

One task. While the API server is away it is asked again, with a pause that grows to `LONGEST_S` and is never the
same for two replicas.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Generic, Protocol

from core import log
from matchmaker.launch.kube_errors import KubeAway, KubeRefused
from matchmaker.launch.kube_objects import OPENED, T

FIRST_S: Final = 0.1
LONGEST_S: Final = 5.0
GONE: Final = 410
STEADY_S: Final = 1.0  # a watch that lived for so long was none that fails at once


class Source(Protocol[T]):
    """Where they are listed and watched."""

    async def list(self) -> tuple[list[T], str]: ...

    def watch(self, version: str) -> AsyncIterator[tuple[str, T]]: ...


class KubeWatch(Generic[T]):
    """See the module. `dirty` is called with a name whenever its object changed, came or went; it must not wait."""

    def __init__(self, api: Source[T], dirty: Callable[[str], None]) -> None:
        self._api, self._dirty = api, dirty
        self._log = log.get("matchmaker.kube_watch")
        self._objects: dict[str, T] = {}
        self._last: dict[str, T] = {}  # as they were when they went; taken by `take_gone`
        self._version = ""
        self.listed = asyncio.Event()  # once the copy is complete
        self.lists = 0
        self.trouble: str = ""  # why there is no watch now
        self.away = False  # ... because nobody answers
        self.back_at = float("-inf")  # when somebody answered after that; of time.monotonic

    @property
    def objects(self) -> Mapping[str, T]:
        """The copy: all by name."""
        return self._objects

    def put(self, pod: T) -> None:
        """Take in one from an answer to a call of our own, unless the watch already knows better."""
        if pod.metadata.name not in self._objects:
            self._objects[pod.metadata.name] = pod

    def take_gone(self, name: str) -> T | None:
        """It as it was when it went, once; None where it is there or never was."""
        return self._last.pop(name, None)

    async def run(self) -> None:
        """Keep the copy. Ends by cancellation only."""
        failures = 0
        while True:
            start = time.monotonic()
            try:
                if not self._version:
                    await self._list()
                await self._follow()
            except KubeRefused as error:
                if error.status == GONE:
                    self._version = ""
                    self._log.info("the watch is too old to resume; listing again")
                self._answered(str(error))
            except KubeAway as error:
                self.trouble, self.away = str(error), True
            except Exception:
                self.trouble, self.away = "a defect; the log has the trace", False
                self._version = ""  # whatever it was, begin from what is known to be whole
                self._log.exception("the watch failed")
            failures = 0 if time.monotonic() - start > STEADY_S else failures + 1
            if failures == 1 and self.trouble:
                self._log.warning("no watch of the objects", error=self.trouble)
            await asyncio.sleep(_pause_s(failures))

    def _answered(self, trouble: str) -> None:
        """Somebody is there, whatever the answer was."""
        if self.away:
            self.back_at = time.monotonic()
        self.trouble, self.away = trouble, False

    async def _list(self) -> None:
        before = set(self._objects)  # one made during the listing may be in it or not
        pods, version = await self._api.list()
        found = {pod.metadata.name: pod for pod in pods}
        for name in before - found.keys():
            self._last[name] = self._objects.pop(name)
            self._dirty(name)
        self._objects.update(found)
        for name in found:
            self._dirty(name)
        self._version = version
        self.lists += 1
        self.listed.set()

    async def _follow(self) -> None:
        async for kind, pod in self._api.watch(self._version):
            if kind == OPENED:
                self._answered("")
                continue
            self._version = pod.metadata.resource_version
            name = pod.metadata.name
            if kind == "BOOKMARK":
                continue
            if kind == "DELETED":
                self._objects.pop(name, None)
                self._last[name] = pod
            else:
                self._objects[name] = pod
                self._last.pop(name, None)
            self._dirty(name)


def _pause_s(failures: int) -> float:
    """Before the next try, after so many failures in a row."""
    longest: float = min(LONGEST_S, FIRST_S * 2.0 ** min(failures, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
