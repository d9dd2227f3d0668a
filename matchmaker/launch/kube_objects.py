"""Objects of one kind in one namespace, by their labels: read, listed, watched, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct, field

from matchmaker.launch.kube_errors import KubeAway
from matchmaker.launch.kube_way import Way, refused_by
from matchmaker.launch.pod import Document
from matchmaker.launch.pod_state import Metadata

PAGE: Final = 500  # objects in one answer of a list
WATCH_S: Final = 240  # the server ends it after; both sides forget what they hold
OPENED: Final = "OPENED"  # of a watch: our own word, the API has none


class Named(Protocol):
    """What every object has."""

    metadata: Metadata


T = TypeVar("T", bound=Named)


class _ListMetadata(Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = field(default="", name="continue")


class _List(Struct):
    metadata: _ListMetadata = field(default_factory=_ListMetadata)
    items: list[msgspec.Raw] = []


class _Event(Struct):
    """One line of a watch. `object` is one of the kind, or for ERROR a status; it is decoded by its type."""

    type: str
    object: msgspec.Raw


_list: Final = msgspec.json.Decoder(_List)
_event: Final = msgspec.json.Decoder(_Event)


class _Marked(Struct):
    metadata: Metadata = field(default_factory=Metadata)


_bookmark: Final = msgspec.json.Decoder(_Marked)


class Objects(Generic[T]):
    """See the module. Every method raises KubeRefused, KubeAway."""

    def __init__(self, way: Way, path: str, labels: Mapping[str, str], call_s: float, kind: type[T]) -> None:
        self._way, self.path, self._call_s = way, path, call_s
        self._made: Callable[..., T] = kind
        self._labels = selected(labels)
        self._decoder = msgspec.json.Decoder(kind)

    def decoded(self, text: bytes | msgspec.Raw) -> T:
        """One of them."""
        return self._decoder.decode(text)

    async def read(self, name: str) -> T:
        return self.decoded(await self._way.call("GET", f"{self.path}/{name}", call_s=self._call_s))

    async def delete(self, name: str, grace_s: int, uid: str) -> None:
        body: Document = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": grace_s}
        if uid:  # never another one that has the name by now
            body["preconditions"] = {"uid": uid}
        await self._way.call("DELETE", f"{self.path}/{name}", body=body, call_s=self._call_s)

    async def list(self, labels: Mapping[str, str] | None = None) -> tuple[list[T], str]:
        """All with our labels, or these; and the version of the whole to watch from."""
        found: list[T] = []
        query = [("labelSelector", self._labels if labels is None else selected(labels)), ("limit", str(PAGE))]
        more: list[tuple[str, str]] = []
        while True:
            page = _list.decode(await self._way.call("GET", self.path, query + more, call_s=self._call_s))
            found += [self.decoded(item) for item in page.items]
            if not page.metadata.continue_:
                return found, page.metadata.resource_version
            more = [("continue", page.metadata.continue_)]

    async def watch(self, version: str) -> AsyncIterator[tuple[str, T]]:
        """OPENED, then events (ADDED, MODIFIED, DELETED, BOOKMARK) after `version`, until the server ends it.

        Raises KubeRefused, 410 among them where `version` is too old.
        """
        query = [
            ("labelSelector", self._labels),
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(WATCH_S)),
        ]
        async for line in self._way.lines(self.path, query):
            yield self._told(line) if line else (OPENED, self._made(metadata=Metadata()))

    def _told(self, line: bytes) -> tuple[str, T]:
        try:
            event = _event.decode(line)
            if event.type == "BOOKMARK":
                return event.type, self._made(metadata=_bookmark.decode(event.object).metadata)
            if event.type != "ERROR":
                return event.type, self.decoded(event.object)
        except ValueError as error:
            raise KubeAway(f"the API server's answer cannot be read: {error}") from None
        raise refused_by(event.object)


def selected(labels: Mapping[str, str]) -> str:
    """A label selector."""
    return ",".join(f"{name}={value}" for name, value in labels.items())
