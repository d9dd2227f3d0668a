"""Join tokens: a signed, personal, short-lived right to enter one match.

A JSON Web Token, HS256, under a key of its own per match: HMAC-SHA256(secret, "join:" + match id), or
the id of its server where that was started before there was a match. The game server
is given that key and no other secret, so a server can neither forge a token for another match nor an access token.
Only the exact header below is accepted, which leaves `alg` nothing to decide. Written on the standard library
because a game server pays for PyJWT's imports (11 MB, 50 ms) once per match; tests compare it with PyJWT.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Final

from msgspec import Struct

from core.errors import Unauthorized

LIFETIME_S: Final = 300  # read the ticket again for a fresh one
MAX_TOKEN_BYTES: Final = 2048
AUDIENCE: Final = "muster:join"


class JoinClaims(Struct, frozen=True):
    """Who may join what, until when (UTC seconds)."""

    player: str
    match: str
    name: str
    team: str
    expires_s: int


def match_key(secret: str, match: str) -> str:
    """The key that signs the join tokens of one match, as hex."""
    return hmac.digest(secret.encode(), f"join:{match}".encode(), hashlib.sha256).hex()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_HEADER: Final = _b64(b'{"alg":"HS256","typ":"JWT"}')


def _sign(key: str, text: str) -> str:
    return _b64(hmac.digest(key.encode(), text.encode(), hashlib.sha256))


def mint(key: str, claims: JoinClaims) -> str:
    """The token for `claims`."""
    body = {
        "aud": AUDIENCE,
        "sub": claims.player,
        "match": claims.match,
        "name": claims.name,
        "team": claims.team,
        "exp": claims.expires_s,
    }
    text = f"{_HEADER}.{_b64(json.dumps(body, separators=(',', ':')).encode())}"
    return f"{text}.{_sign(key, text)}"


def verify(key: str, token: str, match: str, now_s: float) -> JoinClaims:
    """The claims of a token for `match`. Raises Unauthorized with code join-forged, join-foreign or join-expired."""
    if len(token) > MAX_TOKEN_BYTES or token.count(".") != 2 or not token.isascii():
        raise Unauthorized("this is not a join token", code="join-forged")
    text, _, signature = token.rpartition(".")
    header, _, payload = text.partition(".")
    if header != _HEADER or not hmac.compare_digest(signature, _sign(key, text)):
        raise Unauthorized("the join token is not signed by this match", code="join-forged")
    try:
        body = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        claims = JoinClaims(body["sub"], body["match"], body["name"], body["team"], body["exp"])
        audience = body["aud"]
    except (ValueError, KeyError, TypeError):
        raise Unauthorized("the join token has no proper claims", code="join-forged") from None
    if audience != AUDIENCE or claims.match != match:
        raise Unauthorized("the join token is for another match", code="join-foreign")
    if claims.expires_s <= now_s:
        raise Unauthorized("the join token has expired: read the ticket again for a fresh one", code="join-expired")
    return claims
