"""Who is asking: access tokens and refresh tokens.

An access token is a JSON Web Token, HS256 under MUSTER_SECRET, short-lived; whether its session was revoked is asked
of Redis at each request. A refresh token names its session, carries 256 random bits and a seal, so that garbage is
told from a token we once gave before any session is touched; Redis keeps only a digest of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, cast

import jwt

from core.errors import Unauthorized
from core.ids import is_id
from core.model import Role

ISSUER: Final = "muster"
AUDIENCE: Final = "muster:api"
ALGORITHM: Final = "HS256"
MAX_TOKEN_BYTES: Final = 4096
VERIFIED_KEPT: Final = 20_000  # verified tokens remembered: a signature costs more than a whole request
ROLES: Final = frozenset({"player", "developer", "admin", "server"})
REFRESH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the token says. `expires_s` is UTC seconds."""

    player: str
    name: str
    role: Role
    session: str
    expires_s: int


class Tokens:
    """Signs and verifies access tokens."""

    def __init__(self, secret: str, access_s: int) -> None:
        self._secret = secret
        self._access_s = access_s
        self._verified: dict[str, Caller] = {}

    def mint(self, player: str, name: str, role: Role, session: str, now_s: int) -> str:
        """An access token for `access_s` seconds from now."""
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": player, "name": name, "role": role, "sid": session,
            "iat": now_s, "exp": now_s + self._access_s,
        }  # fmt: skip
        token = jwt.encode(claims, self._secret, ALGORITHM)
        # Most players come back to the replica that they logged in at, which need not verify what it signed.
        self._remember(token, Caller(player, name, role, session, now_s + self._access_s))
        return token

    def verify(self, token: str, now_s: float) -> Caller:
        """Who the token says it is. Raises Unauthorized; says nothing about revocation."""
        caller = self._verified.get(token)
        if caller is None:
            caller = self._decode(token)
            self._remember(token, caller)
        if caller.expires_s <= now_s:
            self._verified.pop(token, None)
            raise Unauthorized("the access token has expired: refresh it", code="token-expired")
        return caller

    def _remember(self, token: str, caller: Caller) -> None:
        if len(self._verified) >= VERIFIED_KEPT:
            del self._verified[next(iter(self._verified))]
        self._verified[token] = caller

    def _decode(self, token: str) -> Caller:
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized("this is not an access token", code="invalid-token")
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],  # this list, not the token's header, decides: no `none`, no key confusion
                audience=AUDIENCE,
                issuer=ISSUER,
                # `verify` compares exp with the time it is given; PyJWT would read the clock.
                options={"require": ["exp", "iat", "sub", "aud", "iss"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthorized(f"the access token is not valid: {error}", code="invalid-token") from None
        player, name, role, session = (claims.get(key) for key in ("sub", "name", "role", "sid"))
        expires_s = claims["exp"]
        if not (
            isinstance(player, str)
            and isinstance(name, str)
            and isinstance(session, str)
            and isinstance(expires_s, int)
            and role in ROLES
        ):
            raise Unauthorized("the access token lacks claims", code="invalid-token")
        return Caller(player, name, cast(Role, role), session, expires_s)


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token that we gave once. `digest` is what Redis keeps of it."""

    player: str
    session: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def make_refresh(secret: str, player: str, session: str, chance: bytes) -> Refresh:
    """A refresh token of this session from `REFRESH_BYTES` random bytes."""
    head = f"{player}.{session}.{_b64(chance)}"
    return Refresh(player, session, f"{head}.{_seal(secret, head)}")


def read_refresh(secret: str, text: str) -> Refresh:
    """The refresh token in `text`. Raises Unauthorized for anything that we did not give."""
    head, _, seal = text.rpartition(".")
    parts = head.split(".")
    if (
        not text.isascii()
        or not hmac.compare_digest(seal, _seal(secret, head))
        or len(parts) != 3
        or not (is_id("player", parts[0]) and is_id("session", parts[1]))
    ):
        raise Unauthorized("this is not a refresh token", code="invalid-token")
    return Refresh(parts[0], parts[1], text)


def _seal(secret: str, head: str) -> str:
    return _b64(hmac.digest(secret.encode(), f"refresh:{head}".encode(), hashlib.sha256)[:16])


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
