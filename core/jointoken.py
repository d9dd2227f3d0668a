"""Join tokens: a signed, personal, short-lived right to enter one match.

A JSON Web Token in one of two forms. The built-in arena's is HS256 under a key of its own per match:
HMAC-SHA256(secret, "join:" + match id), or the id of its server where that was there before the match. The game server
is given that key and no other secret, so a server can neither forge a token for another match nor an access token. Any
other game's is EdDSA under the installation's key (`core.signing`), so that the game verifies it with a public key
alone, in any language; a claim `mac` repeats the proof under the match's own key.

So gamepod verifies both forms with the standard library: cryptography and PyJWT are 18 MB and 150 ms, once per match.
Only the exact headers below are accepted, which leaves `alg` nothing to decide; tests compare with PyJWT.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any, Final

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
_SIGNED: Final = re.compile(rb'\{"alg":"EdDSA","kid":"[A-Za-z0-9_-]{1,64}","typ":"JWT"\}')


def _sign(key: str, text: str) -> str:
    return _b64(hmac.digest(key.encode(), text.encode(), hashlib.sha256))


def mint(key: str, claims: JoinClaims) -> str:
    """The token for `claims` under the match's key."""
    text = f"{_HEADER}.{_payload(_body(claims))}"
    return f"{text}.{_sign(key, text)}"


def mint_signed(key: str, claims: JoinClaims, kid: str, sign: Callable[[bytes], bytes]) -> str:
    """The token for `claims` that a public key verifies: `sign` is Ed25519 with the private key that `kid` names."""
    header = _b64(f'{{"alg":"EdDSA","kid":"{kid}","typ":"JWT"}}'.encode())
    body = _body(claims)
    mac = _sign(key, f"{header}.{_payload(body)}")
    text = f"{header}.{_payload(body | {'mac': mac})}"
    return f"{text}.{_b64(sign(text.encode()))}"


def verify(keys: str, token: str, match: str, now_s: float) -> JoinClaims:
    """The claims of a token for `match`. `keys`: the match's key, or several, separated by commas.

    Raises Unauthorized with code join-forged, join-foreign or join-expired.
    """
    if len(token) > MAX_TOKEN_BYTES or token.count(".") != 2 or not token.isascii():
        raise Unauthorized("this is not a join token", code="join-forged")
    text, _, signature = token.rpartition(".")
    header, _, payload = text.partition(".")
    try:
        body = json.loads(_bytes(payload))
        if _SIGNED.fullmatch(_bytes(header)):
            signature = body.pop("mac")
            text = f"{header}.{_payload(body)}"
        elif header != _HEADER:
            raise Unauthorized("the join token is not signed by this match", code="join-forged")
        if not any(hmac.compare_digest(signature, _sign(key, text)) for key in keys.split(",")):
            raise Unauthorized("the join token is not signed by this match", code="join-forged")
        claims = JoinClaims(body["sub"], body["match"], body["name"], body["team"], body["exp"])
        audience = body["aud"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unauthorized("the join token has no proper claims", code="join-forged") from None
    if audience != AUDIENCE or claims.match != match:
        raise Unauthorized("the join token is for another match", code="join-foreign")
    if claims.expires_s <= now_s:
        raise Unauthorized("the join token has expired: read the ticket again for a fresh one", code="join-expired")
    return claims


def _body(claims: JoinClaims) -> dict[str, Any]:
    return {
        "aud": AUDIENCE,
        "sub": claims.player,
        "match": claims.match,
        "name": claims.name,
        "team": claims.team,
        "exp": claims.expires_s,
    }


def _payload(body: dict[str, Any]) -> str:
    return _b64(json.dumps(body, separators=(",", ":")).encode())


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
