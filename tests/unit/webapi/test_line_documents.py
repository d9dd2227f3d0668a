"""Whatever is sent as a line is a request, or refused; nothing else comes of it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Refused
from webapi.line_documents import LINE_BYTES, Id, Request, done, number, read

FIELDS = st.dictionaries(
    st.sampled_from(["type", "id", "name", "password", "role", "refresh_token", "access_token", "x"]),
    st.one_of(
        st.sampled_from(["register", "login", "refresh", "logout"]),
        st.text(max_size=140),
        st.integers(),
        st.none(),
        st.lists(st.integers(), max_size=3),
    ),
)


@given(st.one_of(st.binary(max_size=200), FIELDS.map(msgspec.json.encode), st.text().map(str.encode)))
def test_a_line_is_a_request_or_refused(line: bytes) -> None:
    """No other error, and its id is looked for without one."""
    numbered = number(line)
    try:
        request = read(line)
    except Refused:
        return
    assert isinstance(request, Request)
    assert request.id == numbered


@pytest.mark.parametrize("line", [b"[" * LINE_BYTES, b'{"x":' + b"[" * 8000, b'{"id":' + b"{" * 8000])
def test_brackets_without_end_are_refused(line: bytes) -> None:
    """However deep."""
    assert number(line) is None
    with pytest.raises(Refused):
        read(line)


def test_the_longest_request_fits_a_line() -> None:
    """A name, a password and an id of the most characters, each written as an escaped pair."""
    pair = "\\ud83d\\ude00"
    line = f'{{"type":"register","name":"{pair * 128}","password":"{pair * 128}","role":"player","id":"{pair * 64}"}}'
    assert len(line) <= LINE_BYTES
    assert len(read(line.encode()).id) == 64  # type: ignore[arg-type]


@pytest.mark.parametrize(("numbered", "line"), [(None, b'{"ok":true}\n'), (0, b'{"ok":true,"id":0}\n')])
def test_an_id_comes_back_as_it_was(numbered: Id, line: bytes) -> None:
    """Zero is one."""
    assert done(None, numbered) == line
