"""The opening handshake (RFC 6455, section 4) with a game's server, whose client we are. PURE."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Final

from core.errors import Unavailable

MAGIC: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_BYTES: Final = 8192  # of a server's answer
KEY_BYTES: Final = 16


def accepts(key: str) -> str:
    """What a server answers to this `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(f"{key}{MAGIC}".encode(), usedforsecurity=False).digest()).decode()


def request(
    address: str, port: int, path: str, key: str, *, origin: str, protocols: Sequence[str], forwarded: str
) -> bytes:
    """The request to a server. `key` in base 64; `origin` and `forwarded` are left out where they are ''."""
    host = f"[{address}]" if ":" in address else address
    lines = [
        f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
    ]  # fmt: skip
    # No extensions are offered: what is compressed could be neither measured nor left as it is by both sides.
    if protocols:
        lines.append(f"Sec-WebSocket-Protocol: {', '.join(protocols)}")
    if origin:
        lines.append(f"Origin: {origin}")
    if forwarded:
        lines.append(f"X-Forwarded-For: {forwarded}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chosen(head: bytes, key: str, protocols: Sequence[str]) -> str:
    """The subprotocol that the server took, '' for none. Raises Unavailable where it is no answer to our request."""
    status, *lines = head.decode("latin-1").split("\r\n")
    if status.split(" ", 2)[:2] != ["HTTP/1.1", "101"]:
        raise _refused(f"it answered {status[:80]!r}")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("upgrade", "").lower() != "websocket" or headers.get("sec-websocket-accept") != accepts(key):
        raise _refused("its handshake is wrong")
    if headers.get("sec-websocket-extensions"):
        raise _refused("it uses an extension that was not offered")
    found = headers.get("sec-websocket-protocol", "")
    if found and found not in protocols:
        raise _refused("it speaks a subprotocol that was not offered")
    return found


def answer(client_key: str, protocol: str) -> bytes:
    """Our answer to the client."""
    lines = [
        "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accepts(client_key)}", "Server: muster",
    ]  # fmt: skip
    if protocol:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _refused(why: str) -> Unavailable:
    return Unavailable(f"the game's server takes no WebSocket here: {why}", code="server-refused")
