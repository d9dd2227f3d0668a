"""What a user name and a password may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from webapi.names import NAME_BYTES_MOST, NAME_MOST, check_password, fold, shown


@pytest.mark.parametrize("name", ["Ada", "ada lovelace", "Zoë", "李小龍", "3 µs", "x_X-99", "Ｗｉｄｅ"])
def test_proper_names_are_taken(name: str) -> None:
    """Letters of any script, digits, signs and single spaces are fine."""
    assert shown(name)


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "x" * 33,
        " abc",
        "abc ",
        "a  b",
        "a\tb",
        "a\nb",
        "a\x00bc",
        "a\u200bbc",
        "a\u202ebc",
        "\ue000abc",
        "---",
        "ﷺ" * 3,
    ],
)
def test_improper_names_are_refused(name: str) -> None:
    """Too short, too long, odd spaces, invisible or private characters, no letter, or long once normalised."""
    with pytest.raises(Invalid) as caught:
        shown(name)
    assert caught.value.pointer == "/name"


@pytest.mark.parametrize(
    ("one", "other"), [("ALICE", "alice"), ("Ａlice", "alice"), ("straße", "STRASSE"), ("ﬁx", "fix")]
)
def test_names_that_look_the_same_are_one(one: str, other: str) -> None:
    """Case, width and ligatures make no difference."""
    assert fold(one) == fold(other)


@given(st.text(max_size=40))
def test_a_name_taken_is_taken_again(name: str) -> None:
    """What is accepted is accepted as shown, folds as it did, and fits a key."""
    try:
        text = shown(name)
    except Invalid:
        return
    assert shown(text) == text
    assert fold(text) == fold(name) == fold(fold(text))
    assert len(text) <= NAME_MOST
    assert len(fold(text).encode()) <= NAME_BYTES_MOST


@pytest.mark.parametrize("password", ["1234567", "x" * 129, "ADA LOVELACE"])
def test_poor_passwords_are_refused(password: str) -> None:
    """Too short, too long, or the name itself."""
    with pytest.raises(Invalid) as caught:
        check_password(password, "ada lovelace")
    assert caught.value.pointer == "/password"
