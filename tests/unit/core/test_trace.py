"""Trace ids: W3C's form, read from a header, made of an id, given to a game."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import trace
from core.clock import new_id
from core.ids import RANDOM_BYTES, make_id, number_of

GIVEN = "4bf92f3577b34da6a3ce929d0e0e4736"


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_an_id_is_a_trace_id_in_another_notation(now_ms: int, chance: bytes) -> None:
    """All 128 bits are in it, so two tickets never share one, and time and chance stand where W3C wants chance last."""
    made = trace.of(make_id("ticket", now_ms, chance))
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert made == f"{now_ms:012x}{chance.hex()}" or not (now_ms or any(chance))
    assert made != "0" * 32


def test_what_the_client_brought_wins() -> None:
    """A ticket's trace is the one that is kept with it, where there is one."""
    assert trace.of(new_id("ticket"), GIVEN) == GIVEN


def test_any_name_has_a_trace() -> None:
    """A server that is called otherwise has one too, always the same."""
    assert trace.of("w-1") == trace.of("w-1") != trace.of("w-2")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"00-{GIVEN}-00f067aa0ba902b7-01", GIVEN),
        (f"cc-{GIVEN}-00f067aa0ba902b7-01-what-comes-later", GIVEN),
        (f"00-{GIVEN}-00f067aa0ba902b7-01-more", ""),
        (f"ff-{GIVEN}-00f067aa0ba902b7-01", ""),
        (f"00-{GIVEN.upper()}-00f067aa0ba902b7-01", ""),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"00-{GIVEN}-{'0' * 16}-01", ""),
        (f"00-{GIVEN}-00f067aa0ba902b7-01\n", ""),
        ("0" * 100_000, ""),
        ("", ""),
        (None, ""),
    ],
)
def test_traceparent(header: str | None, found: str) -> None:
    """As W3C Trace Context reads it: what is not well-formed counts as not there, and later versions may have more."""
    assert trace.given(header) == found


def test_a_game_is_a_child_of_its_match() -> None:
    """What a game is given is well-formed, has the match's trace, and names the match as its parent."""
    match = new_id("match")
    parent = trace.parent(GIVEN, match)
    assert trace.given(parent) == GIVEN
    assert parent.split("-")[2] == f"{number_of(match):032x}"[16:]


def test_links_are_the_other_traces() -> None:
    """Each once, in order, and never the match's own."""
    assert trace.others("a", ["a", "b", "c", "b"]) == ["b", "c"]
