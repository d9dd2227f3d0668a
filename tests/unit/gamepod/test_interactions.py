"""Packing, coalescing and splitting of interactions."""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import keys
from core.errors import Invalid
from core.interactions import (
    Action,
    Attack,
    Columns,
    Happening,
    Interaction,
    Move,
    States,
    count,
    numbered,
    pack,
    read_batch,
    unpack,
)
from core.views import MAX_VIEWS, Views, decimals, make_states, state_fields, view_calls

NAMES = st.text(min_size=1, max_size=12)
IDS = st.one_of(NAMES, st.integers(0, 10**18).map(lambda n: f"m-1-{n}"), st.integers(0, 99).map(lambda n: f"m-1-0{n}"))
TIMES = st.integers(0, 2**45)
LATS = st.floats(-90, 90)
LONS = st.floats(-180, 180)
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
        Action("m-1-9", 1017, "p-b", "emote"),
    ]
    packed = (
        '{"v":3,"ttl":10,"kinds":"mac","id":["m-1",7],"at":[[1000,1],[1017,2]],"names":["p-a","p-b","emote"],'
        '"m":["AAA=","dnEbDeBtSEA=","QmDl0CJbAkA="],"a":["AAA=","AQA=","AAAAAAAAKUA="],"c":["AQA=","AgA="],'
        '"states":[[1020,["hp"],[["p-a","90"]]]],"events":[["tank_shot",1,1017,"p-a",{"target":"p-b"}]]}'
    )
    states = [States(1020, ("hp",), [("p-a", "90")])]
    events = [Happening("tank_shot", 1, 1017, "p-a", {"target": "p-b"})]
    payload = pack(batch, states, move_ttl_s=10, events=events)
    assert payload.decode() == packed
    assert read_batch(payload) == (batch, states, 10, events)


def test_ids_of_one_writer_take_no_room() -> None:
    """A thousand moves of a hundred players take about 25 bytes each."""
    batch: list[Interaction] = [
        Move(f"m-1-{n}", 1000 + n // 100, f"p-{n % 100:026}", n / 7, n / 3) for n in range(1000)
    ]
    assert len(pack(batch)) < 30 * 1000


def test_ids_count_up_over_every_thousand() -> None:
    """Ids that are counted up are packed as where they begin, wherever that is; one that is amiss is not."""
    ids = list(islice(numbered("m-1"), 3_100))
    assert ids == [f"m-1-{n}" for n in range(1, 3_101)]
    rows: list[Interaction] = [Action(id_, 5, "a", "x") for id_ in ids]
    for start, end in ((0, 5), (990, 1_010), (998, 999), (999, 3_001)):
        some = rows[start:end]
        assert orjson.loads(pack(some))["id"] == ["m-1", start + 1]
        assert unpack(pack(some)) == some
        amiss = [*some, Action("m-1-0", 5, "a", "x")]
        assert len(orjson.loads(pack(amiss))["id"]) == len(amiss)
        assert unpack(pack(amiss)) == amiss


def test_an_empty_batch_is_refused() -> None:
    """There is nothing to append, and a number must not be used up for it."""
    with pytest.raises(ValueError):
        pack([])


GOOD = orjson.loads(pack([Move("m-1", 5, "a", 1.0, 2.0), Action("m-2", 5, "a", "x")]))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"v":3}',
        *(orjson.dumps({**GOOD, **wrong}) for wrong in (
            {"kinds": "m"}, {"kinds": "mz"}, {"kinds": 5}, {"id": ["m", "n", "o"]}, {"at": [[5, 1]]}, {"at": [5]},
            {"names": []}, {"c": ["AAA", "AQA="]}, {"c": ["AAAB", "AQA="]},
            {"m": []}, {"m": ["", "", ""]}, {"c": ["AAA=", "CQA="]}, {"c": ["AAA="]}, {"states": [5]},
        )),
    ],
)  # fmt: skip
def test_what_is_no_batch_is_invalid(payload: bytes) -> None:
    """Malformed batches are refused with one error, not with a traceback of the decoder."""
    with pytest.raises(Invalid) as caught:
        unpack(payload)
    assert caught.value.code == "batch-malformed"


@pytest.mark.parametrize("batch", [[1, "m", 0, [], []], {"v": 2}])
def test_another_version_is_named(batch: Any) -> None:
    """A batch of another Muster is refused by its version, not misread."""
    with pytest.raises(Invalid) as caught:
        unpack(orjson.dumps(batch))
    assert caught.value.code == "batch-version"


def test_counts_are_by_slot_and_by_who_acted() -> None:
    """An attack counts for the attacker only, in the ten seconds of its time."""
    batch: list[Interaction] = [
        Move("1", 599_999, "a", 0, 0),
        Attack("2", 600_000, "a", "b", 1.0),
        Move("3", 600_001, "a", 0, 0),
    ]
    assert count(batch) == {(590, "a"): 1, (600, "a"): 2}


def folded(*interactions: Interaction) -> Views:
    views = Views()
    views.add(Columns(interactions))
    return views


def test_views_keep_the_latest_and_newer_ones_win_over_put_back() -> None:
    """Later interactions replace earlier ones; views that could not be written come back under newer ones."""
    older = folded(Move("1", 1, "a", 0, 0), Move("2", 2, "a", 1, 1), Attack("3", 3, "a", "b", 1.0))
    assert older.moves["a"].id == "2"
    older.add_states(States(1, ("hp",), [("a", "1")]), "m")
    newer = folded(Move("4", 4, "a", 2, 2), Attack("5", 5, "b", "a", 2.0))
    newer.put_back(older)
    assert newer.moves["a"].id == "4"
    assert set(newer.attacks) == {("a", "b"), ("b", "a")}
    assert newer.states["a"].values == ("1",)
    assert len(newer) == 4


@given(st.lists(st.lists(ONE, max_size=8), max_size=6), st.randoms(use_true_random=False))
def test_views_do_not_depend_on_the_order_of_batches(batches: list[list[Interaction]], chance: random.Random) -> None:
    """However batches are folded, together or one by one and in any order, the views are the same."""
    whole = folded(*(one for batch in batches for one in batch))
    chance.shuffle(batches)
    pieces = Views()
    for batch in batches:
        pieces.follow(folded(*batch))
    assert {pair: (one.at_ms, one.id) for pair, one in pieces.attacks.items()} == {
        pair: (one.at_ms, one.id) for pair, one in whole.attacks.items()
    }
    assert {who: (one.at_ms, one.id) for who, one in pieces.moves.items()} == {
        who: (one.at_ms, one.id) for who, one in whole.moves.items()
    }


def test_views_are_taken_in_pieces_the_oldest_first() -> None:
    """A beat takes so many of each kind; the others stay, and the first of them is the next."""
    views = folded(*(Move(f"m-{i}", i, f"p-{i}", 0, 0) for i in range(5)))
    views.follow(folded(Move("m-9", 9, "p-3", 0, 0)))
    assert list(views.take(3).moves) == ["p-0", "p-1", "p-2"]
    assert [move.id for move in views.take(3).moves.values()] == ["m-9", "m-4"]
    assert len(views) == 0


def test_a_state_is_text_with_its_match_and_time() -> None:
    """Numbers are shortened, lists are JSON, and the hash says from which match it is."""
    state = {"hit_points": 80.00000001, "target": "", "last_actions": ["move", "attack:b"], "kills": 2}
    views = Views()
    for states in make_states({"a": state, "b": {"hit_points": 5}}, 0):
        views.add_states(states, "m-1")
    assert state_fields(views.states["a"]) == {
        "hit_points": "80.0",
        "target": "",
        "last_actions": '["move","attack:b"]',
        "kills": "2",
        "match": "m-1",
        "at": "1970-01-01T00:00:00.000Z",
    }
    assert state_fields(views.states["b"])["hit_points"] == "5"


@given(st.lists(st.floats() | st.floats(-1e9, 1e9) | st.decimals(-999, 999, places=7).map(float), max_size=9))
def test_a_number_has_seven_decimals_and_its_text_depends_on_it_alone(numbers: list[float]) -> None:
    """Whatever is beside it, as a view that is made again must be the one that was written; NaN and infinity too."""
    texts = decimals(numbers)
    assert texts == [decimals([number])[0] for number in numbers]
    for number, text in zip(numbers, texts, strict=True):
        assert float(text) == pytest.approx(round(number, 7), abs=1.01e-7, rel=0, nan_ok=True)
        assert decimals([float(text)]) == [text]
        assert "." not in text or "e" in text or len(text.partition(".")[2]) <= 7


def test_view_calls_go_to_the_shard_of_who_acted_in_bounded_chunks() -> None:
    """Every key is written once, to its player's shard, and no call writes more than MAX_VIEWS."""
    players = [f"p-{i}" for i in range(30 * MAX_VIEWS)]
    moves: list[Interaction] = [Move(f"m-{i}", 0, player, 1.0, 2.0) for i, player in enumerate(players)]
    views = folded(*moves, Attack("x", 0, players[0], players[1], 3.0))
    views.add_states(States(0, ("kills",), [(players[0], "1")]), "m-1")
    written = 0
    for base, args in view_calls("tanks", views, move_ttl_ms=30_000):
        assert args[0] == 30_000
        attacks, moved, states = (int(n) for n in args[2:5])
        written += attacks + moved + states
        assert attacks + moved + states <= MAX_VIEWS
        movers = args[5 + 5 * attacks : 5 + 5 * (attacks + moved) : 5]
        assert {keys.shard("tanks", str(player)) for player in movers} <= {base}
    assert written == len(views)


def test_an_older_state_never_takes_the_place_of_a_newer_one() -> None:
    """A batch that comes late into the log, from a server whose Redis was away, leaves what another wrote since."""
    newer, older = Views(), Views()
    newer.add_states(States(2_000, ("hp",), [("p", "5")]), "m-1")
    older.add_states(States(1_000, ("hp",), [("p", "9")]), "m-2")
    newer.follow(older)
    assert newer.states["p"].values == ("5",)
    older.put_back(newer)
    assert older.states["p"].values == ("5",)
