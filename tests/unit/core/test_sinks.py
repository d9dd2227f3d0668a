"""Entries of many streams in one order; what each tells."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.interactions import Exchange, pack
from core.redis.logreader import Entry, entry_ms
from core.sinks.catalogue import KINDS, VERSION
from core.sinks.merge import SETTLED_MS, by_stream, in_order
from core.sinks.reading import messages

MOMENTS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 3), st.sampled_from(["batch", "open", "close"])), max_size=40
)


def entries(moments: list[tuple[int, int, str]]) -> list[Entry]:
    """Entries of four streams, each in the order of its ids."""
    made = []
    for n, (ms, stream, kind) in enumerate(sorted(moments)):
        size = {"batch": 5, "open": 0, "close": 1}[kind]
        made.append(Entry(f"s{stream}", f"{ms}-{n}", "m", int(kind == "batch"), size, ""))
    return made


@given(MOMENTS, st.integers(0, 200), st.integers(1, 12))
def test_rounds_give_all_once_and_in_order(moments: list[tuple[int, int, str]], start: int, page: int) -> None:
    """Whatever the pages, what goes out is ordered by moment over all rounds, and everything goes out once."""
    left, out, now = by_stream(entries(moments)), list[Entry](), start
    for _ in range(200):
        pages = {stream: found[:page] for stream, found in left.items()}
        done = in_order(pages, now_ms=now, full=page)
        out += done
        for one in done:
            left[one.shard].remove(one)
        now += 20
        if not any(left.values()):
            break
    assert not any(left.values())
    assert len(out) == len(moments)
    assert [entry_ms(one.id) for one in out] == sorted(entry_ms(one.id) for one in out)


@given(MOMENTS, st.integers(0, 200))
def test_nothing_that_may_still_be_overtaken_goes_out(moments: list[tuple[int, int, str]], now: int) -> None:
    """What is younger than the clocks may differ stays; of one moment, a session's begin is first and its end last."""
    out = in_order(by_stream(entries(moments)), now_ms=now, full=1000)
    assert all(entry_ms(one.id) <= now - SETTLED_MS for one in out)
    for a, b in itertools.pairwise(out):
        if entry_ms(a.id) == entry_ms(b.id):
            assert not (a.batch == 0 and a.size == 1 and (b.batch or b.size == 0))


def test_an_exchange_is_told() -> None:
    """With both sides, and its id in the audit."""
    row = Exchange("x-1", 5, "a", "b", "audit-1", "shell:3", "sword#1:1")
    [message] = messages("duel", Entry("s", "1-1", "m-1", 1, 1, pack([row]).decode()))
    assert (message.topic, message.key, message.id) == (KINDS["items_exchanged"].topic, "m-1", "x-1")
    assert json.loads(message.body) == {
        "event": "items_exchanged", "id": "x-1", "at_ms": 5, "version": VERSION, "game": "duel", "match": "m-1",
        "player": "a", "other": "b", "exchange": "audit-1", "gave": "shell:3", "got": "sword#1:1",
    }  # fmt: skip


@pytest.mark.parametrize(
    "payload", ["", "[]", "{}", '{"event": "unheard_of", "id": "x"}', '{"event": "session_created"}']
)
def test_a_fact_that_is_none_is_refused(payload: str) -> None:
    """With its place in the stream."""

    def all_of() -> Iterator[object]:
        yield from messages("duel", Entry("s", "7-1", "m-1", 0, 0, payload))

    with pytest.raises(Invalid, match="7-1"):
        list(all_of())
