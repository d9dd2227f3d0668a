"""The beginning of a WebSocket, whose request the HTTP server has read. Loads `websockets`: to be imported late."""

from __future__ import annotations

from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol

from gamepod.transport.http_types import Request


def shake_hands(request: Request, *, max_bytes: int) -> ServerProtocol:
    """The connection after its handshake; the answer, a refusal too, is in `data_to_send`. `max_bytes`: of a message.

    The library reads the request again, since its checks of a handshake are the complete ones.
    """
    # No compression: messages are small and many, and a deflate context per client costs 300 KB.
    protocol = ServerProtocol(extensions=None, max_size=max_bytes)
    lines = [f"GET {request.target} HTTP/1.1"]
    lines.extend(f"{name}: {value}" for name, value in request.headers.items())
    protocol.receive_data(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    for event in protocol.events_received():
        if isinstance(event, Handshake):
            protocol.send_response(protocol.accept(event))
    return protocol
