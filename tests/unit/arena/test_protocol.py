"""The wire protocol: typed both ways, deaf to garbage."""

from __future__ import annotations

import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamepod.arena import MoveCommand, ShootCommand
from gamepod.arena.session import Personal
from gamepod.transport.encoding import HEAD_RESERVE_BYTES, Body, heads
from gamepod.transport.protocol import (
    MAX_SEQ,
    BadMessage,
    Challenge,
    Error,
    Input,
    Join,
    Leave,
    Ping,
    Rate,
    Snapshot,
    decode,
    encode,
)

WIDEST = Personal(
    MAX_SEQ,
    MAX_SEQ,
    MAX_SEQ,
    "not-enough-stamina",
    10_000.0,
    10_000.0,
    -150.0,
    60_000,
    60_000,
    -79.1234567,
    -179.1234567,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)
near_misses = st.fixed_dictionaries(
    {"type": st.sampled_from(["join", "input", "ping", "rate", "leave", "snapshot", "no"])},
    optional={
        "token": json_values,
        "cookie": json_values,
        "seq": json_values,
        "t": json_values,
        "hz": json_values,
        "got": json_values,
        "commands": st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["move", "shoot", "fly"])},
                optional={"throttle": json_values, "aim": json_values, "target": json_values},
            ),
            max_size=4,
        ),
    },
)


def test_an_input_is_read_into_commands() -> None:
    """Several commands of both kinds come out typed, in their order."""
    data = b"""{"type":"input","seq":7,"commands":[
        {"type":"move","throttle":1,"turn":-0.5,"sprint":true},{"type":"shoot","target":3}]}"""
    expected = [MoveCommand(throttle=1.0, turn=-0.5, sprint=True), ShootCommand(target=3)]
    assert decode(data) == Input(7, expected)


@pytest.mark.parametrize("message", [Join("t", "c"), Leave(), Ping(1.5, 7), Rate(20), Input(1, [])])
def test_client_messages_survive_the_wire(message: Join | Leave | Ping | Rate | Input) -> None:
    """What a client encodes is what the server decodes."""
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"type":"jump"}',
        b'{"type":"leave","extra":1}',
        b'{"type":"input","seq":0,"commands":[]}',
        b'{"type":"input","seq":9007199254740992,"commands":[]}',
        b'{"type":"input","seq":1,"commands":[{"type":"move","throttle":1e999}]}',
        b'{"type":"input","seq":1,"commands":[{"type":"move","throttle":NaN}]}',
        b'{"type":"input","seq":1,"commands":[' + b'{"type":"shoot"},' * 32 + b'{"type":"shoot"}]}',
        b'{"type":"join","token":"' + b"x" * 2049 + b'"}',
        b'{"type":"join","token":"\xff\xfe"}',
        b'{"type":"ping","t":1e300}',
        b'{"type":"ping","t":1,"got":-1}',
        b'{"type":"ping","t":1,"got":9007199254740992}',
        b'{"type":"ping","t":1,"got":1.5}',
        b'{"type":"rate"}',
        b'{"type":"rate","hz":0}',
        b'{"type":"rate","hz":121}',
        b'{"type":"rate","hz":-20}',
        b'{"type":"rate","hz":19.5}',
        b'{"type":"rate","hz":NaN}',
        b'{"type":"rate","hz":1e999}',
        b'{"type":"rate","hz":true}',
        b'{"a":' + b"[" * 4000,
        b'{"type":"ping","t":' + b"[" * 4000,
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    """Broken JSON, wrong types, unknown fields, absurd numbers and deep nesting are all `BadMessage`."""
    with pytest.raises(BadMessage):
        decode(data)


@given(data=st.binary(max_size=300))
def test_random_bytes_never_raise_anything_else(data: bytes) -> None:
    """Any bytes are a message or a `BadMessage`."""
    with suppress(BadMessage):
        decode(data)


@given(value=near_misses | json_values)
def test_random_json_never_raises_anything_else(value: object) -> None:
    """Any JSON, also such that looks nearly right, is a message or a `BadMessage`."""
    with suppress(BadMessage):
        decode(json.dumps(value).encode())


def test_small_messages_stay_small() -> None:
    """A challenge is shorter than the shortest join that carries a signed token."""
    assert len(encode(Challenge("0" * 32))) < len(encode(Join("x" * 100)))
    assert encode(Error("bad-message")) == b'{"type":"error","code":"bad-message","detail":""}'


def test_the_head_never_outgrows_its_reserve() -> None:
    """The longest head of a snapshot fits what the packing leaves free for it."""
    assert len(heads(MAX_SEQ, WIDEST, 12, full=True)[0]) <= HEAD_RESERVE_BYTES


words = st.text(max_size=20)
sections = st.fixed_dictionaries(
    {
        "changed": st.lists(st.tuples(*[st.integers(0, 500_000)] * 6), max_size=120),
        "removed": st.lists(st.integers(0, 2000), max_size=50),
        "players": st.lists(
            st.tuples(st.integers(0, 2000), words, words, words, *[st.integers(0, 99)] * 3), max_size=20
        ),
        "events": st.lists(st.tuples(st.just("destroyed"), st.integers(0, 99), st.integers(0, 99)), max_size=20),
        "far": st.lists(st.tuples(*[st.integers(0, 5000)] * 3), max_size=50),
    }
)


@given(rows=sections, size=st.sampled_from([600, 1200, 1400]))
def test_datagrams_are_small_whole_messages(rows: dict[str, list[tuple[object, ...]]], size: int) -> None:
    """Packed into datagrams or in one piece, a snapshot decodes to the same rows, and each datagram fits."""
    encoded = [(name.encode(), [msgspec.json.encode(row) for row in found]) for name, found in rows.items()]
    body = Body(encoded, size - HEAD_RESERVE_BYTES)
    first, more = heads(MAX_SEQ, WIDEST, 12, full=True)
    decoder = msgspec.json.Decoder(Snapshot)
    whole = decoder.decode(first + body.stream)
    datagrams = [(more if number else first) + datagram for number, datagram in enumerate(body.datagrams)]
    assert max(map(len, datagrams)) <= size
    parts = [decoder.decode(datagram) for datagram in datagrams]
    for section, expected in rows.items():
        assert getattr(whole, section) == expected
        assert [row for part in parts for row in getattr(part, section)] == expected
    assert (whole.tick, whole.full, whole.ack, whole.every) == (MAX_SEQ, True, MAX_SEQ, 12)
    assert whole.you is not None
    assert whole.you.last_refusal == "not-enough-stamina"
    assert [part.you for part in parts[1:]] == [None] * (len(parts) - 1)
