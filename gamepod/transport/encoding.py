"""Snapshots as bytes, put together once per tick for all clients that stand in one cell and are told as often.

A row is encoded once a tick, whoever is told it; the rows of a cell are chosen once for all who see it; only a short
head differs per client. Over UDP the rows are packed into datagrams of a bounded size, each a complete message: a row
means the same alone, so nothing needs to be put together again and a lost datagram spoils no other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final

import msgspec

from gamepod.arena.delta import EVERYWHERE, Scene
from gamepod.arena.session import Personal

HEAD_RESERVE_BYTES: Final = 345  # the longest head: every number at its widest

Sections = list[tuple[bytes, list[bytes]]]  # name and encoded rows of each list; none is empty

_encode = msgspec.json.Encoder().encode


def head(tick: int, personal: Personal, every: int = 1, *, you: bool, full: bool = False) -> bytes:
    """The start of one client's snapshot; a body completes it."""
    text = f'{{"type":"snapshot","tick":{tick},"ack":{personal.ack},"accepted":{personal.accepted}'
    if full:
        text += ',"full":true'
    if every > 1:
        text += f',"every":{every}'
    if you:
        text += (
            f',"you":{{"mana":{personal.mana:.1f},"stamina":{personal.stamina:.1f},'
            f'"speed":{personal.speed_mps:.2f},"cooldown_ms":{personal.cooldown_ms},'
            f'"respawn_ms":{personal.respawn_ms},"lat":{personal.lat:.7f},"lon":{personal.lon:.7f},'
            f'"refused":{personal.refused},"last_refusal":"{personal.last_refusal}"}}'
        )
    return text.encode()


class Body:
    """What follows a head, each form made when first asked for."""

    __slots__ = ("_datagrams", "_room", "_sections", "_stream")

    def __init__(self, sections: Sections, room: int) -> None:
        self._sections = [section for section in sections if section[1]]
        self._room = room
        self._stream: bytes | None = None
        self._datagrams: list[bytes] | None = None

    @property
    def stream(self) -> bytes:
        """All of it as one body."""
        if self._stream is None:
            self._stream = _joined(self._sections)
        return self._stream

    @property
    def datagrams(self) -> list[bytes]:
        """As bodies that fit a datagram with any head; at least one, also where there is nothing to tell."""
        if self._datagrams is None:
            self._datagrams = self._pack() or [self.stream]
        return self._datagrams

    def _pack(self) -> list[bytes]:
        """Fill one body after the other. A row that is longer than a body still gets one of its own."""
        rows = [row for _, section in self._sections for row in section]
        ends = list(accumulate(map(len, rows), lambda end, size: end + size + 1, initial=0))
        room = self._room - sum(len(name) + 6 for name, _ in self._sections)
        bodies: list[bytes] = []
        first = 0
        while first < len(rows):
            last = max(first + 1, bisect_right(ends, ends[first] + room) - 1)
            bodies.append(_joined(_part(self._sections, first, last)))
            first = last
        return bodies


def _part(sections: Sections, first: int, last: int) -> Sections:
    """Rows `first` to `last` (excluded), counted through all sections."""
    found, before = [], 0
    for name, rows in sections:
        part = rows[max(0, first - before) : max(0, last - before)]
        if part:
            found.append((name, part))
        before += len(rows)
    return found


def _joined(sections: Sections) -> bytes:
    return b"".join([b',"%b":[%b]' % (name, b",".join(rows)) for name, rows in sections]) + b"}"


class TickBytes:
    """One tick of a scene; to be used before the next."""

    __slots__ = ("_bodies", "_cells", "_common", "_room", "_rows", "_scene", "_shots")

    def __init__(self, scene: Scene, max_datagram_bytes: int) -> None:
        self._scene = scene
        self._room = max_datagram_bytes - HEAD_RESERVE_BYTES
        self._rows: dict[int, bytes] = {}  # by slot
        self._cells: dict[tuple[int, int], dict[int, list[bytes]]] = {}  # (every, stride) -> cell -> rows that are due
        self._bodies: dict[tuple[int, int], Body] = {}  # by cell and every
        self._common: dict[int, Sections] = {}  # by every: players, far
        self._shots: dict[int, dict[int, list[bytes]]] = {}  # every -> cell or EVERYWHERE -> events

    def of(self, cell: int, every: int) -> Body:
        """What is told to those in a cell who are told every so many ticks."""
        body = self._bodies.get((cell, every))
        if body is None:
            body = self._bodies[cell, every] = self._compose(cell, every)
        return body

    def changes(self, seen: Iterable[int], gone: Iterable[int]) -> Body:
        """What one client is told because its area moved: slots that it sees now, and that it sees no more."""
        return Body([(b"changed", self._encoded(seen)), (b"removed", [b"%d" % slot for slot in gone])], self._room)

    def everything(self, cell: int) -> Body:
        """All that somebody in this cell may know, for one who has just joined."""
        scene = self._scene
        players, far = scene.everybody()
        seen = self._encoded(scene.slots(scene.grid.area(cell).whole))
        return Body([(b"changed", seen), (b"players", _each(players)), (b"far", _each(far))], self._room)

    def _compose(self, cell: int, every: int) -> Body:
        scene = self._scene
        area = scene.grid.area(cell)
        near, far = scene.occupied(area.near), scene.occupied(area.far)
        stride, far_stride = scene.strides(near, far, every)
        rows: list[bytes] = []
        for cells, turns in ((near, stride), (far, far_stride)):
            due = self._cells.get((every, turns))
            if due is None:
                due = self._cells[every, turns] = {}
            for one in cells:
                found = due.get(one)
                if found is None:
                    found = due[one] = self._encoded(scene.due(one, every, turns))
                rows += found
        removed = [b"%d" % slot for slot in scene.gone(area)]
        shots = self._events(every)
        events = [row for where, those in shots.items() if where in area.whole or where == EVERYWHERE for row in those]
        return Body(
            [(b"changed", rows), (b"removed", removed), (b"events", events), *self._for_all(every)], self._room
        )

    def _encoded(self, slots: Iterable[int]) -> list[bytes]:
        known, rows, found = self._rows, self._scene.rows, []
        for slot in slots:
            row = known.get(slot)
            if row is None:
                row = known[slot] = _encode(rows[slot])
            found.append(row)
        return found

    def _for_all(self, every: int) -> Sections:
        common = self._common.get(every)
        if common is None:
            players, far = self._scene.players(every), self._scene.radar(every)
            common = self._common[every] = [(b"players", _each(players)), (b"far", _each(far))]
        return common

    def _events(self, every: int) -> dict[int, list[bytes]]:
        shots = self._shots.get(every)
        if shots is None:
            shots = self._shots[every] = {}
            for cell, row in self._scene.events(every):
                shots.setdefault(cell, []).append(_encode(row))
        return shots


def _each(rows: Iterable[Any]) -> list[bytes]:
    return [_encode(row) for row in rows]
