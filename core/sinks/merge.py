"""Entries of many streams in the order in which Redis took them in. PURE.

A stream's entries carry the moment of Redis' clock at which they were added. Once that moment has passed, nothing is
added before it any more, so entries up to it can be put in order across streams: a session is told of before who joined
it, though both come from different streams. A page that was full may have left more: then nothing later than its last
entry is let through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from core.redis.logreader import Entry, entry_ms

SETTLED_MS: Final = 100  # so far behind Redis' clock nothing comes any more; nodes of a cluster run NTP


def in_order(pages: Mapping[str, Sequence[Entry]], *, now_ms: int, full: Callable[[str], int]) -> list[Entry]:
    """The entries of `pages` (by stream, each in its order) that may go out, oldest first.

    `now_ms` is Redis' clock before they were read; a page of `full(stream)` entries may have more behind it.
    """
    until = now_ms - SETTLED_MS
    for stream, entries in pages.items():
        if len(entries) >= full(stream):
            until = min(until, entry_ms(entries[-1].id))
    found = [entry for entries in pages.values() for entry in entries if entry_ms(entry.id) <= until]
    return sorted(found, key=_place)


def first(entries: Sequence[Entry], room: int) -> list[Entry]:
    """As many of `entries` as hold `room` interactions and facts, at least one entry."""
    for count, entry in enumerate(entries):
        room -= max(1, entry.size)
        if room < 0:
            return list(entries[: max(1, count)])
    return list(entries)


def by_stream(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries by the stream they are of."""
    pages: dict[str, list[Entry]] = {}
    for entry in entries:
        pages.setdefault(entry.shard, []).append(entry)
    return pages


def _place(entry: Entry) -> tuple[int, int]:
    # Of one moment: what opens a session, what happened in it, what closes it.
    return entry_ms(entry.id), 1 if entry.batch else 2 * entry.size
