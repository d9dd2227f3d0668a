"""The wire protocol: typed both ways, deaf to garbage."""

from __future__ import annotations

import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamepod.arena import MoveCommand, ShootCommand
from gamepod.arena.delta import Frame
from gamepod.arena.session import Personal
from gamepod.transport.encoding import HEAD_RESERVE_BYTES, FrameBytes, head
from gamepod.transport.protocol import (
    MAX_SEQ,
    BadMessage,
    Challenge,
    Error,
    Input,
    Join,
    Leave,
    Ping,
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
    {"type": st.sampled_from(["join", "input", "ping", "leave", "snapshot", "no"])},
    optional={
        "token": json_values,
        "cookie": json_values,
        "seq": json_values,
        "t": json_values,
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


@pytest.mark.parametrize("message", [Join("t", "c"), Leave(), Ping(1.5), Input(1, [])])
def test_client_messages_survive_the_wire(message: Join | Leave | Ping | Input) -> None:
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
    assert len(head(MAX_SEQ, WIDEST, you=True, full=True)) <= HEAD_RESERVE_BYTES


rows = st.tuples(*(st.integers(0, 500_000) for _ in range(6)))
player_rows = st.tuples(
    st.integers(0, 2000), st.text(max_size=20), st.text(max_size=20), st.text(max_size=10), *[st.integers(0, 99)] * 3
)
event_rows = st.tuples(st.just("destroyed"), st.integers(0, 99), st.integers(0, 99))
frames = st.builds(
    Frame,
    tick=st.integers(1, 10**9),
    changed=st.lists(rows, max_size=120),
    removed=st.lists(st.integers(0, 2000), max_size=50),
    players=st.lists(player_rows, max_size=20),
    events=st.lists(event_rows, max_size=20),
)


@given(frame=frames, size=st.sampled_from([600, 1200, 1400]))
def test_datagrams_are_small_whole_messages(frame: Frame, size: int) -> None:
    """Packed into datagrams or in one piece, a frame decodes to the same rows, and each datagram fits."""
    shared = FrameBytes(frame, size)
    start = head(frame.tick, WIDEST, you=True, full=True)
    decoder = msgspec.json.Decoder(Snapshot)
    whole = decoder.decode(start + shared.stream)
    parts = []
    for body in shared.datagrams:
        assert len(start + body) <= size
        parts.append(decoder.decode(start + body))
    for section in ("changed", "removed", "players", "events"):
        expected = getattr(frame, section)
        assert getattr(whole, section) == expected
        assert [row for part in parts for row in getattr(part, section)] == expected
    assert (whole.tick, whole.full, whole.ack) == (frame.tick, True, MAX_SEQ)
    assert whole.you is not None
    assert whole.you.last_refusal == "not-enough-stamina"
