"""Snapshots as bytes, put together once per tick for all clients that stand in one cell and are told as often.

A row is encoded once a tick, whoever is told it; the rows of a cell are chosen once for all who see it; only a short
head differs per client. Over UDP the rows are packed into datagrams of a bounded size, each a complete message: a row
means the same alone, so nothing needs to be put together again and a lost datagram spoils no other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from gamepod.arena.delta import EVERYWHERE, Scene
from gamepod.arena.session import Personal

HEAD_RESERVE_BYTES: Final = 345  # the longest head: every number at its widest

PIECE_ROWS: Final = 6  # of tanks in a piece at most: pieces are what datagrams are filled with

# Name of each list, and its rows in pieces: encoded rows with commas between them.
Sections = list[tuple[bytes, list[bytes]]]

_encode = msgspec.json.Encoder().encode


def heads(tick: int, personal: Personal, every: int = 1, *, full: bool = False) -> tuple[bytes, bytes]:
    """The start of one client's snapshot, which a body completes: of the first datagram, and of those after it."""
    text = f'{{"type":"snapshot","tick":{tick},"ack":{personal.ack},"accepted":{personal.accepted}'
    if full:
        text += ',"full":true'
    if every > 1:
        text += f',"every":{every}'
    more = text.encode()
    return more + (
        b',"you":{"mana":%.1f,"stamina":%.1f,"speed":%.2f,"cooldown_ms":%d,"respawn_ms":%d,"lat":%.7f,"lon":%.7f,'
        b'"refused":%d,"last_refusal":"%b"}'
    ) % (
        personal.mana,
        personal.stamina,
        personal.speed_mps,
        personal.cooldown_ms,
        personal.respawn_ms,
        personal.lat,
        personal.lon,
        personal.refused,
        personal.last_refusal.encode(),
    ), more


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
            self._datagrams = self._pack()
        return self._datagrams

    def _pack(self) -> list[bytes]:
        """Fill one body after the other. A piece that is longer than a body still gets one of its own."""
        if sum([sum(map(len, pieces)) + len(pieces) + len(name) + 6 for name, pieces in self._sections]) <= self._room:
            return [self.stream]
        ends = [0]
        end = 0
        for _, pieces in self._sections:
            for piece in pieces:
                end += len(piece) + 1
                ends.append(end)
        room = self._room - sum([len(name) + 6 for name, _ in self._sections])
        bodies: list[bytes] = []
        first = 0
        while first < len(ends) - 1:
            last = max(first + 1, bisect_right(ends, ends[first] + room) - 1)
            bodies.append(_joined(_part(self._sections, first, last)))
            first = last
        return bodies


def _part(sections: Sections, first: int, last: int) -> Sections:
    """Pieces `first` to `last` (excluded), counted through all sections."""
    found, before = [], 0
    for name, pieces in sections:
        part = pieces[max(0, first - before) : max(0, last - before)]
        if part:
            found.append((name, part))
        before += len(pieces)
    return found


def _joined(sections: Sections) -> bytes:
    return b"".join([b',"%b":[%b]' % (name, b",".join(pieces)) for name, pieces in sections]) + b"}"


class TickBytes:
    """One tick of a scene; to be used before the next."""

    __slots__ = ("_bodies", "_cells", "_common", "_every", "_room", "_rows", "_scene", "_shots")

    def __init__(self, scene: Scene, max_datagram_bytes: int) -> None:
        self._scene = scene
        self._room = max_datagram_bytes - HEAD_RESERVE_BYTES
        self._rows: dict[int, bytes] = {}  # by slot
        self._cells: dict[tuple[int, int], dict[int, list[bytes]]] = {}  # (every, stride) -> cell -> pieces, due now
        self._every: dict[tuple[int, int], int] = {}  # by cell and what is asked for
        self._bodies: dict[tuple[int, int, int], Body] = {}  # by cell, what is asked for, and ticks since the last
        self._common: dict[int, Sections] = {}  # by ticks since the last: players, far
        self._shots: dict[int, dict[int, list[bytes]]] = {}  # the same -> cell or EVERYWHERE -> events

    def every(self, cell: int, asked: int) -> int:
        """Ticks between two snapshots of those in a cell who ask for one every `asked` ticks."""
        found = self._every.get((cell, asked))
        if found is None:
            found = self._every[cell, asked] = self._scene.every(cell, asked)
        return found

    def of(self, cell: int, asked: int, ticks: int) -> Body:
        """What is told to those in a cell who ask for one every `asked`, and were told last so many ticks ago."""
        body = self._bodies.get((cell, asked, ticks))
        if body is None:
            body = self._bodies[cell, asked, ticks] = self._compose(cell, asked, ticks)
        return body

    def changes(self, seen: list[int], gone: list[int]) -> Body:
        """What one client is told because its area moved: slots that it sees now, and that it sees no more."""
        return Body([(b"changed", self._pieces(seen)), (b"removed", [b"%d" % slot for slot in gone])], self._room)

    def everything(self, cell: int) -> Body:
        """All that somebody in this cell may know, for one who has just joined."""
        scene = self._scene
        players, far = scene.everybody()
        seen = self._pieces(scene.slots(scene.grid.area(cell).whole))
        return Body([(b"changed", seen), (b"players", _each(players)), (b"far", _each(far))], self._room)

    def _compose(self, cell: int, asked: int, ticks: int) -> Body:
        scene = self._scene
        area, every = scene.grid.area(cell), self.every(cell, asked)
        pieces: list[bytes] = []
        for cells, stride in ((area.near, 1), (area.far, scene.spread(asked))):
            due = self._due(every, stride)
            for one in cells:
                if one in due:
                    pieces += due[one]
        gone = scene.gone(area)
        removed = [b",".join([b"%d" % slot for slot in gone])] if gone else []
        shots, seen = self._events(ticks), area.whole
        events = [row for where, those in shots.items() if where in seen or where == EVERYWHERE for row in those]
        sections = [(b"changed", pieces), (b"removed", removed), (b"events", events), *self._for_all(ticks)]
        return Body(sections, self._room)

    def _due(self, every: int, stride: int) -> dict[int, list[bytes]]:
        due = self._cells.get((every, stride))
        if due is None:
            found = self._scene.due(every, stride)
            due = self._cells[every, stride] = {cell: self._pieces(slots) for cell, slots in found}
        return due

    def _pieces(self, slots: list[int]) -> list[bytes]:
        """The rows of these slots."""
        known, rows, found = self._rows, self._scene.rows, []
        for slot in slots:
            row = known.get(slot)
            if row is None:
                row = known[slot] = _encode(rows[slot])
            found.append(row)
        return [b",".join(found[first : first + PIECE_ROWS]) for first in range(0, len(found), PIECE_ROWS)]

    def _for_all(self, ticks: int) -> Sections:
        common = self._common.get(ticks)
        if common is None:
            players, far = self._scene.players(ticks), self._scene.radar(ticks)
            common = self._common[ticks] = [(b"players", _each(players)), (b"far", _each(far))]
        return common

    def _events(self, ticks: int) -> dict[int, list[bytes]]:
        shots = self._shots.get(ticks)
        if shots is None:
            shots = self._shots[ticks] = {}
            for cell, row in self._scene.events(ticks):
                shots.setdefault(cell, []).append(_encode(row))
        return shots


def _each(rows: Iterable[Any]) -> list[bytes]:
    return [_encode(row) for row in rows]
