"""Packing, coalescing and splitting of interactions."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import keys
from core.errors import Invalid
from core.interactions import (
    MAX_VIEWS,
    Action,
    Attack,
    Interaction,
    Move,
    Views,
    count,
    pack,
    state_fields,
    unpack,
    view_calls,
)

NAMES = st.text(min_size=1, max_size=12)
IDS = st.one_of(NAMES, st.integers(0, 10**18).map(lambda n: f"m-1-{n}"), st.integers(0, 99).map(lambda n: f"m-1-0{n}"))
TIMES = st.integers(0, 2**45)
# What a packed coordinate can say: whole 1e-7 degrees.
LATS = st.integers(-900_000_000, 900_000_000).map(lambda n: n / 1e7)
LONS = st.integers(-1_800_000_000, 1_800_000_000).map(lambda n: n / 1e7)
ONE: st.SearchStrategy[Interaction] = st.one_of(
    st.builds(Move, IDS, TIMES, NAMES, LATS, LONS),
    st.builds(Attack, IDS, TIMES, NAMES, NAMES, st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(Action, IDS, TIMES, NAMES, NAMES),
)


@given(st.lists(ONE, min_size=1, max_size=30))
def test_unpack_returns_what_was_packed(interactions: list[Interaction]) -> None:
    """A batch comes back with its values, ids and order, whatever its ids look like."""
    assert unpack(pack(interactions)) == interactions


def test_the_packed_form_is_compact_and_versioned() -> None:
    """The document is the one that the module describes, byte for byte."""
    batch: list[Interaction] = [
        Move("m-1-7", 1000, "p-a", 48.8584, 2.2945),
        Attack("m-1-8", 1017, "p-a", "p-b", 12.5),
        Action("other", 1020, "p-b", "emote"),
    ]
    packed = '[1,"m-1",1000,["p-a","p-b","emote"],[[0,7,0,0,488584000,22945000],[1,8,17,0,1,12.5],[2,"other",20,1,2]]]'
    assert pack(batch).decode() == packed


def test_an_empty_batch_is_refused() -> None:
    """There is nothing to append, and a number must not be used up for it."""
    with pytest.raises(ValueError):
        pack([])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"[1]",
        b'[1,"m",0,[],[[0,1,0,0,1,1]]]',
        b'[1,"m",0,["a"],[[9,1,0,0]]]',
        b'[1,"m",0,["a"],[[0]]]',
    ],
)
def test_what_is_no_batch_is_invalid(payload: bytes) -> None:
    """Malformed batches are refused with one error, not with a traceback of the decoder."""
    with pytest.raises(Invalid) as caught:
        unpack(payload)
    assert caught.value.code == "batch-malformed"


def test_a_newer_version_is_named() -> None:
    """A batch of a later Muster is refused by its version, not misread."""
    with pytest.raises(Invalid) as caught:
        unpack(orjson.dumps([2, "m", 0, [], []]))
    assert caught.value.code == "batch-version"


def test_counts_are_by_slot_and_by_who_acted() -> None:
    """An attack counts for the attacker only, in the ten seconds of its time."""
    batch: list[Interaction] = [
        Move("1", 599_999, "a", 0, 0),
        Attack("2", 600_000, "a", "b", 1.0),
        Move("3", 600_001, "a", 0, 0),
    ]
    assert count(batch) == {(590, "a"): 1, (600, "a"): 2}


def test_views_keep_the_latest_and_newer_ones_win_over_put_back() -> None:
    """Later interactions replace earlier ones; views that could not be written come back under newer ones."""
    older, newer = Views(), Views()
    older.add([Move("1", 1, "a", 0, 0), Move("2", 2, "a", 1, 1), Attack("3", 3, "a", "b", 1.0)])
    assert older.moves["a"].id == "2"
    older.states["a"] = {"hit_points": "1"}
    newer.add([Move("4", 4, "a", 2, 2), Attack("5", 5, "b", "a", 2.0)])
    newer.put_back(older)
    assert newer.moves["a"].id == "4"
    assert set(newer.attacks) == {("a", "b"), ("b", "a")}
    assert newer.states == {"a": {"hit_points": "1"}}
    assert len(newer) == 4


def test_a_state_is_text_with_its_match_and_time() -> None:
    """Numbers are shortened, lists are JSON, and the hash says from which match it is."""
    state = {"hit_points": 80.00000001, "target": "", "last_actions": ["move", "attack:b"], "kills": 2}
    assert state_fields(state, "m-1", 0) == {
        "hit_points": "80.0",
        "target": "",
        "last_actions": '["move","attack:b"]',
        "kills": "2",
        "match": "m-1",
        "at": "1970-01-01T00:00:00.000Z",
    }


def test_view_calls_go_to_the_shard_of_who_acted_in_bounded_chunks() -> None:
    """Every key is written once, to its player's shard, and no call writes more than MAX_VIEWS."""
    views = Views()
    players = [f"p-{i}" for i in range(3 * MAX_VIEWS)]
    views.add([Move(f"m-{i}", 0, player, 1.0, 2.0) for i, player in enumerate(players)])
    views.add([Attack("x", 0, players[0], players[1], 3.0)])
    views.states[players[0]] = {"kills": "1"}
    written = 0
    for base, args in view_calls("tanks", views, move_ttl_s=30):
        assert args[0] == 30
        attacks, moves, states = (int(n) for n in args[2:5])
        written += attacks + moves + states
        assert attacks + moves + states <= MAX_VIEWS
        movers = args[5 + 5 * attacks : 5 + 5 * (attacks + moves) : 5]
        assert {keys.shard("tanks", str(player)) for player in movers} <= {base}
    assert written == len(views)
