"""Snapshots as bytes, made once per tick and shared by all clients.

The part that is the same for everybody is encoded once; only a short head differs per client. Over UDP the
rows are packed into datagrams of a bounded size, each a complete message: a row means the same alone, so
nothing needs to be put together again and a lost datagram spoils no other.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gamepod.arena.delta import Frame
from gamepod.arena.session import Personal

HEAD_RESERVE_BYTES = 330  # the longest head: every number at its widest

_SECTIONS = (b"changed", b"removed", b"players", b"events")
_encode = msgspec.json.Encoder().encode


def head(tick: int, personal: Personal, *, you: bool, full: bool = False) -> bytes:
    """The start of one client's snapshot; a body from `FrameBytes` completes it."""
    text = f'{{"type":"snapshot","tick":{tick},"ack":{personal.ack},"accepted":{personal.accepted}'
    if full:
        text += ',"full":true'
    if you:
        text += (
            f',"you":{{"mana":{personal.mana:.1f},"stamina":{personal.stamina:.1f},'
            f'"speed":{personal.speed_mps:.2f},"cooldown_ms":{personal.cooldown_ms},'
            f'"respawn_ms":{personal.respawn_ms},"lat":{personal.lat:.7f},"lon":{personal.lon:.7f},'
            f'"refused":{personal.refused},"last_refusal":"{personal.last_refusal}"}}'
        )
    return text.encode()


class FrameBytes:
    """One frame's shared bytes, each form made when first asked for."""

    __slots__ = ("_datagrams", "_frame", "_room", "_stream")

    def __init__(self, frame: Frame, max_datagram_bytes: int) -> None:
        self._frame = frame
        self._room = max_datagram_bytes - HEAD_RESERVE_BYTES
        self._stream: bytes | None = None
        self._datagrams: list[bytes] | None = None

    @property
    def stream(self) -> bytes:
        """The whole frame as one body."""
        if self._stream is None:
            lists = (self._frame.changed, self._frame.removed, self._frame.players, self._frame.events)
            parts = [b',"%b":%b' % (name, _encode(rows)) for name, rows in zip(_SECTIONS, lists, strict=True) if rows]
            self._stream = b"".join(parts) + b"}"
        return self._stream

    @property
    def datagrams(self) -> list[bytes]:
        """The frame as bodies that fit a datagram with any head; at least one, also of an empty frame."""
        if self._datagrams is None:
            if len(self.stream) <= self._room:
                self._datagrams = [self.stream]
            else:
                self._datagrams = self._pack()
        return self._datagrams

    def _pack(self) -> list[bytes]:
        """Fill one body after the other. A row that is longer than a body still gets one of its own."""
        bodies: list[bytes] = []
        open_sections: dict[bytes, list[bytes]] = {}
        size = 0
        for name, piece in self._pieces():
            cost = len(piece) + 1 + (0 if name in open_sections else len(name) + 5)
            if open_sections and size + cost > self._room:
                bodies.append(_body(open_sections))
                open_sections, size = {}, 0
                cost = len(piece) + len(name) + 6
            open_sections.setdefault(name, []).append(piece)
            size += cost
        bodies.append(_body(open_sections))
        return bodies

    def _pieces(self) -> list[tuple[bytes, bytes]]:
        frame = self._frame
        lists: tuple[list[Any], ...] = (frame.changed, frame.removed, frame.players, frame.events)
        return [(name, _encode(row)) for name, rows in zip(_SECTIONS, lists, strict=True) for row in rows]


def _body(sections: dict[bytes, list[bytes]]) -> bytes:
    return b"".join(b',"%b":[%b]' % (name, b",".join(pieces)) for name, pieces in sections.items()) + b"}"
