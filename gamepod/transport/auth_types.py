"""What the gateway needs to know about join tokens: not how they are signed, only what they claim."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from core.errors import Refused


class PlayerClaims(Struct, frozen=True):
    """What a valid join token says."""

    player: str
    match: str
    name: str  # shown to others
    team: str  # "" where everyone plays alone
    expires_at_ms: int  # UTC


class JoinRefused(Refused):
    """The join is not granted; `code` tells the client what to do, `detail` tells a person."""

    status = 403
    code = "join-refused"

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail, code=code)


Authenticate = Callable[[str], PlayerClaims]
"""Checks a token's signature and shape. Raises `JoinRefused`; must not block: it runs on the game loop."""
