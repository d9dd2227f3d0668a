"""Which port of a server a player is led to, and under what path. PURE.

The address and the ports are those of the match's document, which its server wrote; a client only names one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.errors import Conflict, Invalid, NotFound
from core.model import Connection, OpenPort

MARK: Final = "muster.v1"  # the subprotocol that we speak where the server has none of its own
TOKEN: Final = "muster.token."  # noqa: S105 - the subprotocol that carries a token: this, and the token
PREFERRED: Final = ("ws", "tcp")


def choose(connection: Connection, name: str | None) -> OpenPort:
    """The port of this name, or else the first WebSocket port, or else the first TCP port.

    Raises NotFound where there is none of this name, Conflict where it is one that a WebSocket cannot reach.
    """
    if name is not None:
        found = next((port for port in connection.ports if port.name == name), None)
        if found is None:
            there = ", ".join(port.name for port in connection.ports) or "none"
            raise NotFound(f"the match has no port {name!r}; its ports: {there}", code="no-such-port")
        if found.protocol not in PREFERRED:
            raise Conflict(f"the port {name!r} speaks {found.protocol}, which no browser can", code="not-relayed")
        return found
    for protocol in PREFERRED:
        for port in connection.ports:
            if port.protocol == protocol:
                return port
    raise Conflict("the match has neither a WebSocket nor a TCP port", code="not-relayed")


def offered(header: str) -> tuple[str, list[str]]:
    """From `Sec-WebSocket-Protocol`: the token in it ('' if none), and the subprotocols that are meant for the game.

    Raises Invalid where subprotocols are offered and ours is not: browsers give up unless one of theirs is chosen.
    """
    token, others = "", []
    if header and MARK not in _words(header):
        raise Invalid(f"whoever offers subprotocols here offers {MARK} too", pointer="Sec-WebSocket-Protocol")
    for word in _words(header):
        if word.startswith(TOKEN):
            token = word.removeprefix(TOKEN)
        elif word and word != MARK:
            others.append(word)
    return token, others


def answered(header: str, chosen: str) -> str:
    """The subprotocol to answer a client with: what the game chose, else ours if it was offered, else none."""
    return chosen or (MARK if header else "")


def _words(header: str) -> Sequence[str]:
    return [part.strip() for part in header.split(",")]
