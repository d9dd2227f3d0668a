"""What the relay decides without I/O: frames, ports, handshakes, paces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from core.errors import Conflict, Invalid, NotFound, Unavailable
from core.model import Connection, OpenPort
from webapi.relay import handshake
from webapi.relay.choice import answered, choose, offered
from webapi.relay.frames import Broken, Scanner, close_frame
from webapi.relay.pace import Bucket

SIZES = st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000])
FRAMES = st.lists(st.tuples(SIZES, st.sampled_from([Opcode.TEXT, Opcode.BINARY])), min_size=1, max_size=5)


def wire(frames: list[tuple[int, Opcode]], *, masked: bool) -> bytes:
    """These frames as the `websockets` library writes them."""
    return b"".join(Frame(opcode, b"x" * size).serialize(mask=masked, extensions=[]) for size, opcode in frames)


@given(FRAMES, st.booleans(), st.lists(st.integers(1, 5000), max_size=8))
def test_frames_are_followed_however_they_are_cut(
    frames: list[tuple[int, Opcode]], masked: bool, cuts: list[int]
) -> None:
    """As many frames are counted as were written, and the end of the bytes is the end of a frame."""
    data = wire(frames, masked=masked)
    scanner, found = Scanner(masked=masked, most=10**6), 0
    for cut in [*cuts, len(data)]:
        piece, data = data[:cut], data[cut:]
        found += scanner.feed(memoryview(piece))
    assert found == len(frames)
    assert scanner.between
    scanner.feed(wire([(5, Opcode.TEXT)], masked=masked)[:-1])
    assert not scanner.between


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xc1\x80....", 1002),  # compressed, which was not agreed on
        (b"\x83\x80....", 1002),  # no such kind
        (b"\x81\x02hi", 1002),  # not masked
        (b"\x09\x80....", 1002),  # half a ping
        (b"\x89\xfe\x00\x7e....", 1002),  # a ping of 126 bytes
        (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff....", 1009),  # a message of 2^63 bytes
        (b"\x02\xe4...." + b"x" * 100 + b"\x80\x81....x", 1009),  # 101 bytes in two pieces
    ],
)
def test_what_breaks_the_protocol_is_named(data: bytes, code: int) -> None:
    """With the code that the connection is closed with."""
    with pytest.raises(Broken) as caught:
        Scanner(masked=True, most=100).feed(data)
    assert caught.value.code == code


def test_a_close_frame_is_seen_and_made() -> None:
    """After it nothing of ours may follow; a long reason is cut."""
    scanner = Scanner(masked=False, most=100)
    scanner.feed(close_frame(1012, "service restart"))
    assert scanner.ended
    assert close_frame(1012, "service restart") == b"\x88\x11\x03\xf4service restart"
    assert len(close_frame(1000, "x" * 1000)) == 2 + 2 + 123


def connection(*ports: tuple[str, str]) -> Connection:
    """A server with these ports."""
    return Connection("10.0.0.1", [OpenPort(name, protocol, 7000 + n) for n, (name, protocol) in enumerate(ports)])  # type: ignore[arg-type]


def test_the_port_is_the_one_named_or_the_first_that_fits() -> None:
    """The first WebSocket port goes before a TCP port, wherever it stands."""
    found = connection(("game", "udp"), ("control", "tcp"), ("web", "ws"))
    assert choose(found, None).name == "web"
    assert choose(found, "control").protocol == "tcp"
    assert choose(connection(("game", "udp"), ("control", "tcp")), None).name == "control"
    with pytest.raises(NotFound, match="its ports: game, control, web"):
        choose(found, "admin")
    with pytest.raises(Conflict):
        choose(found, "game")
    with pytest.raises(Conflict):
        choose(connection(("game", "udp")), None)


def test_a_token_is_taken_out_of_the_subprotocols() -> None:
    """What is left is the game's; ours is answered where the game has chosen none."""
    assert offered("") == ("", [])
    assert offered("muster.v1, muster.token.a.b.c,duel.v2, duel.v1") == ("a.b.c", ["duel.v2", "duel.v1"])
    assert (answered("muster.v1, x", "x"), answered("muster.v1, x", ""), answered("", "")) == ("x", "muster.v1", "")
    with pytest.raises(Invalid):
        offered("muster.token.a.b.c")


def test_the_handshake_is_that_of_the_standard() -> None:
    """RFC 6455's own example of a key; what a server may not answer is refused."""
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    assert handshake.accepts(key) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    asked = handshake.request("::1", 80, "/ws", key, origin="", protocols=["a", "b"], forwarded="")
    assert asked.startswith(b"GET /ws HTTP/1.1\r\nHost: [::1]:80\r\n")
    assert b"Sec-WebSocket-Protocol: a, b\r\n\r\n" in asked
    fine = "HTTP/1.1 101 Yes\r\nUpgrade: WebSocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert handshake.chosen(fine.encode(), key, ["a"]) == ""
    assert handshake.chosen(f"{fine}\r\nSec-WebSocket-Protocol: a".encode(), key, ["a"]) == "a"
    for wrong in (
        "",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 101 Yes",
        f"{fine}\r\nSec-WebSocket-Protocol: b",
        f"{fine}\r\nSec-WebSocket-Extensions: permessage-deflate",
    ):
        with pytest.raises(Unavailable):
            handshake.chosen(wrong.encode(), key, ["a"])


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 500)), max_size=50))
def test_no_more_passes_than_the_rate(steps: list[tuple[float, int]]) -> None:
    """Whoever waits as told takes at most a second's worth more than the rate times the time."""
    bucket, now_s, taken = Bucket(100, 0.0), 0.0, 0
    for rest_s, amount in steps:
        now_s += rest_s
        taken += amount
        wait_s = bucket.take(amount, now_s)
        assert wait_s >= 0
        now_s += wait_s
        assert taken <= 100 * (now_s + 1) + 1e-6
