"""The copy of the pods against an API server that is played here: nothing is missed, whatever befalls the watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from matchmaker.launch import kube_watch
from matchmaker.launch.kube_errors import KubeAway, KubeRefused
from matchmaker.launch.kube_objects import OPENED
from matchmaker.launch.kube_watch import KubeWatch
from matchmaker.launch.node_addresses import Node
from matchmaker.launch.pod import Document
from matchmaker.launch.pod_state import Metadata, Pod, Status
from tests.support import eventually


def a_pod(name: str, version: int, phase: str = "Running") -> Pod:
    """A pod in a state."""
    return Pod(Metadata(name=name, resource_version=str(version)), status=Status(phase=phase))


@dataclass
class Played:
    """An API server: what a list answers, and what each watch tells, in turn, before it ends or raises."""

    pods: dict[str, Pod] = field(default_factory=dict)
    version: int = 1
    watches: list[list[tuple[str, Pod] | Exception]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    lists: int = 0
    away: int = 0  # lists that fail first

    async def list(self) -> tuple[list[Pod], str]:
        self.lists += 1
        if self.lists <= self.away:
            raise KubeAway("away")
        return list(self.pods.values()), str(self.version)

    async def watch(self, version: str) -> AsyncIterator[tuple[str, Pod]]:
        self.asked.append(version)
        yield OPENED, Pod(Metadata())
        if not self.watches:
            await asyncio.Event().wait()
        for event in self.watches.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event

    async def create(self, document: Document) -> Pod:
        raise NotImplementedError

    async def read(self, name: str) -> Pod:
        raise NotImplementedError

    async def node(self, name: str) -> Node:
        raise NotImplementedError

    async def delete(self, name: str, grace_s: int, uid: str) -> None:
        raise NotImplementedError

    async def logs(self, name: str, container: str, *, last_lines: int = 0, first_bytes: int = 0) -> str:
        raise NotImplementedError


@contextmanager
def watching(api: Played) -> Iterator[tuple[KubeWatch, list[str]]]:
    """A watch that runs, and the names that it marked dirty."""
    dirty: list[str] = []
    watch = KubeWatch(api, dirty.append)
    task = asyncio.create_task(watch.run())
    try:
        yield watch, dirty
    finally:
        task.cancel()


async def watched(api: Played, times: int) -> None:
    """Wait until so many watches were begun."""

    async def begun() -> bool:
        return len(api.asked) >= times

    await eventually(begun)


async def test_list_then_watch() -> None:
    """The list is the beginning, each event brings the copy up to date and marks its name."""
    api = Played({"a": a_pod("a", 1)}, 5, [[("ADDED", a_pod("b", 6)), ("MODIFIED", a_pod("a", 7, "Failed"))]])
    with watching(api) as (watch, dirty):
        await watched(api, 2)
        assert {name: pod.status.phase for name, pod in watch.objects.items()} == {"a": "Failed", "b": "Running"}
        assert dirty == ["a", "b", "a"]


async def test_an_ended_watch_is_resumed() -> None:
    """The next one begins where the last one, or its last bookmark, was; nothing is listed again."""
    api = Played({}, 5, [[("ADDED", a_pod("a", 6))], [("BOOKMARK", a_pod("", 40))], [KubeAway("cut")]])
    with watching(api) as (_, dirty):
        await watched(api, 4)
        assert api.asked == ["5", "6", "40", "40"]
        assert (api.lists, dirty) == (1, ["a"])


async def test_too_old_lists_again() -> None:
    """After 410 the copy is listed again: what went meanwhile is dirty and told as gone, once."""
    api = Played({"a": a_pod("a", 1), "b": a_pod("b", 2)}, 5, [[KubeRefused(410, "Expired", "too old")]])
    with watching(api) as (watch, dirty):
        await watched(api, 1)
        del api.pods["a"]
        api.version = 90
        await watched(api, 2)
        assert api.asked == ["5", "90"]
        assert sorted(watch.objects) == ["b"]
        assert dirty[2:] == ["a", "b"]
        assert watch.take_gone("a") is not None
        assert watch.take_gone("a") is None


async def test_a_deleted_pod_is_kept_as_it_was() -> None:
    """How a pod was when it went is told once."""
    api = Played({"a": a_pod("a", 1)}, 5, [[("DELETED", a_pod("a", 6, "Failed"))]])
    with watching(api) as (watch, dirty):
        await watched(api, 2)
        assert "a" not in watch.objects
        last = watch.take_gone("a")
        assert last is not None
        assert last.status.phase == "Failed"
        assert dirty == ["a", "a"]


async def test_our_own_answers_do_not_overrule_the_watch() -> None:
    """The answer to a create is taken in, unless the watch has told more by then."""
    api = Played({"a": a_pod("a", 7, "Failed")}, 8)
    with watching(api) as (watch, _):
        await watched(api, 1)
        watch.put(a_pod("a", 6))
        watch.put(a_pod("b", 9))
        assert {name: pod.status.phase for name, pod in watch.objects.items()} == {"a": "Failed", "b": "Running"}


async def test_an_api_server_that_is_away() -> None:
    """It is asked again until it answers; until then the copy is known to be incomplete."""
    api = Played({"a": a_pod("a", 1)}, 5, away=2)
    with watching(api) as (watch, _):
        assert not watch.listed.is_set()
        await watched(api, 1)
        assert (api.lists, list(watch.objects)) == (3, ["a"])


async def test_when_it_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server that is away is known to be so until a watch is open again; one that refuses a watch is there."""
    monkeypatch.setattr(kube_watch, "LONGEST_S", 0.05)
    api = Played({}, 5, [[KubeAway("cut")], [KubeRefused(429, "TooManyRequests", "later")]])
    seen: list[tuple[bool, bool]] = []

    class Seeing(KubeWatch):
        async def _follow(self) -> None:
            seen.append((self.away, bool(self.trouble)))
            await super()._follow()

    watch = Seeing(api, lambda _: None)
    task = asyncio.create_task(watch.run())
    await watched(api, 3)
    task.cancel()
    assert seen == [(False, False), (True, True), (False, True)]
    assert (watch.away, watch.trouble) == (False, "")
    assert watch.back_at <= time.monotonic()


async def test_a_refusal_is_a_sign_of_life() -> None:
    """A server that comes back and refuses at first, as for kinds it has not loaded yet, is back."""
    api = Played()
    api.away = 1
    refusals = [KubeRefused(404, "NotFound", "not yet")]

    async def refusing() -> tuple[list[Pod], str]:
        api.lists += 1
        if api.lists <= api.away:
            raise KubeAway("away")
        if refusals:
            raise refusals.pop()
        return [], "1"

    api.list = refusing  # type: ignore[method-assign]
    watch = KubeWatch(api, lambda _: None)
    task = asyncio.create_task(watch.run())
    try:
        await eventually(lambda: _true(not refusals))
        assert watch.back_at > float("-inf")
        assert not watch.away
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _true(found: bool) -> bool:
    return found
