"""Ids sort by birth, are fit for DNS labels, and are recognised by their form."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import PREFIX, RANDOM_BYTES, Kind, is_game_id, is_id, make_id

kinds = st.sampled_from(sorted(PREFIX))
chance = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)
times = st.integers(0, (1 << 48) - 1)


@given(kinds, times, chance)
def test_an_id_is_recognised_as_its_kind_only(kind: Kind, now_ms: int, random: bytes) -> None:
    """An id has the form of its kind, of no other, and of a DNS label."""
    made = make_id(kind, now_ms, random)
    assert [k for k in PREFIX if is_id(k, made)] == [kind]
    assert re.fullmatch(r"[a-z0-9-]{1,63}", made)


@given(times, times, chance, chance)
def test_ids_sort_by_birth(first: int, second: int, one: bytes, other: bytes) -> None:
    """The order of ids is the order of their times, and within a millisecond that of chance."""
    ids = make_id("ticket", first, one), make_id("ticket", second, other)
    assert (ids[0] < ids[1]) == ((first, one) < (second, other))


def test_known_id() -> None:
    """The text of an id is fixed for ever: this is what ULID's own example makes of its time."""
    assert make_id("match", 1_469_918_176_385, bytes(10)) == "m-01aryz6s41" + "0" * 16


def test_wrong_amount_of_chance() -> None:
    """An id takes exactly ten random bytes."""
    with pytest.raises(ValueError, match="10"):
        make_id("match", 0, b"short")


@pytest.mark.parametrize("text", ["", "m-", "m-" + "i" * 26, "M-" + "0" * 26, "m-" + "0" * 25, "m-" + "0" * 26 + "\n"])
def test_not_ids(text: str) -> None:
    """Other lengths, letters that Crockford leaves out, and trailing line feeds are no ids."""
    assert not is_id("match", text)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("tanks", True),
        ("a", True),
        ("a" * 40, True),
        ("a" * 41, False),
        ("tanks-2", True),
        ("-tanks", False),
        ("tanks-", False),
        ("Tanks", False),
        ("tanks.boards", False),
        ("", False),
        ("tanks\n", False),
    ],
)
def test_game_ids(text: str, good: bool) -> None:
    """A game id is a DNS label, so it can be a part of keys and host names without escaping."""
    assert is_game_id(text) is good
