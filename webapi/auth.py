"""Who is asking: access tokens and refresh tokens.

An access token is a JSON Web Token, short-lived: HS256 where only Muster verifies it, EdDSA where others shall too
(`/.well-known/jwks.json`). Either is taken, each under its own key of the ring (`core.signing`); whether its session
was revoked is asked of Redis at each request. A refresh token names its session, carries 256 bits and a seal, so that
garbage is told from a token we once gave before any session is touched; Redis keeps only a digest of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import jwt

from core.errors import Unauthorized
from core.ids import is_id
from core.model import Role
from core.signing import Keyring, SigningKey

ISSUER: Final = "muster"
AUDIENCE: Final = "muster:api"
Algorithm = Literal["HS256", "EdDSA"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("HS256", "EdDSA")
MAX_TOKEN_BYTES: Final = 4096
VERIFIED_KEPT: Final = 60_000  # verified tokens remembered, 0.5 KB each: a signature costs as much as all else here
HEADS_KEPT: Final = 64  # forms of a token's first part; ours have one for each key and algorithm
ROLES: Final = frozenset({"player", "developer", "admin", "server"})
REFRESH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the token says. `expires_s` is UTC seconds.

    `game`: the one game that a login from outside is good for, '' for all; `scopes`: what an API key may, None for all.
    """

    player: str
    name: str
    role: Role
    session: str
    expires_s: int
    game: str = ""
    scopes: frozenset[str] | None = None


class Tokens:
    """Signs and verifies access tokens."""

    def __init__(self, keys: Keyring | str, access_s: int, algorithm: Algorithm = "HS256") -> None:
        """`keys`: a ring, or one secret; `algorithm` signs, both verify."""
        self._keys = Keyring([keys]) if isinstance(keys, str) else keys
        self._access_s = access_s
        self._algorithm = algorithm
        # By digest. Those used lately, and those used before them, which go when there are as many new ones.
        self._verified: dict[bytes, Caller] = {}
        self._verified_before: dict[bytes, Caller] = {}
        self._heads: dict[str, tuple[Algorithm, list[SigningKey]]] = {}

    def mint(self, player: str, name: str, role: Role, session: str, now_s: int, game: str = "") -> str:
        """An access token for `access_s` seconds from now."""
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": player, "name": name, "role": role, "sid": session,
            "iat": now_s, "exp": now_s + self._access_s,
        } | ({"game": game} if game else {})  # fmt: skip
        key = self._keys.first
        signing: Any = key.secret if self._algorithm == "HS256" else key.private
        token = jwt.encode(claims, signing, self._algorithm, headers={"kid": key.kid})
        # Most players come back to the replica that they logged in at, which need not verify what it signed.
        self._remember(_digest(token), Caller(player, name, role, session, now_s + self._access_s, game))
        return token

    def verify(self, token: str, now_s: float) -> Caller:
        """Who the token says it is. Raises Unauthorized; says nothing about revocation."""
        digest = _digest(token)
        caller = self._verified.get(digest)
        if caller is None:
            caller = self._verified_before.pop(digest, None) or self._caller(self._decode(token))
            self._remember(digest, caller)
        if caller.expires_s <= now_s:
            self._verified.pop(digest, None)
            raise Unauthorized("the access token has expired: refresh it", code="token-expired")
        return caller

    def _remember(self, digest: bytes, caller: Caller) -> None:
        if len(self._verified) >= VERIFIED_KEPT // 2:
            self._verified_before, self._verified = self._verified, {}
        self._verified[digest] = caller

    def _decode(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized("this is not an access token", code="invalid-token")
        try:
            algorithm, keys = self._head(token)
            wrong: jwt.InvalidTokenError | None = None
            for key in keys:
                try:
                    return self._decoded(token, key.secret if algorithm == "HS256" else key.public, algorithm)
                except jwt.InvalidSignatureError as error:
                    wrong = error
            assert wrong is not None
            raise wrong
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the access token is not valid: {error}", code="invalid-token") from None

    def _head(self, token: str) -> tuple[Algorithm, list[SigningKey]]:
        """What a token says it is signed with, and the keys that may be; a key's tokens all have the same head."""
        head = token.partition(".")[0]
        if (known := self._heads.get(head)) is not None:
            return known
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError("the algorithm is not one of ours")
        keys = self._keys.named(header.get("kid"))
        if not keys:
            raise jwt.InvalidTokenError("it names a key that is not ours")
        if len(self._heads) >= HEADS_KEPT:
            self._heads.clear()
        self._heads[head] = algorithm, keys
        return algorithm, keys

    @staticmethod
    def _decoded(token: str, key: Any, algorithm: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],  # and the key is of that algorithm: no `none`, no public key taken for a secret
            audience=AUDIENCE,
            issuer=ISSUER,
            # `verify` compares exp with the time it is given; PyJWT would read the clock.
            options={"require": ["exp", "iat", "sub", "aud", "iss"], "verify_exp": False, "verify_iat": False},
        )

    @staticmethod
    def _caller(claims: dict[str, Any]) -> Caller:
        player, name, role, session = (claims.get(key) for key in ("sub", "name", "role", "sid"))
        expires_s, game = claims["exp"], claims.get("game", "")
        if not (
            isinstance(player, str)
            and isinstance(name, str)
            and isinstance(session, str)
            and isinstance(game, str)
            and isinstance(expires_s, int)
            and role in ROLES
        ):
            raise Unauthorized("the access token lacks claims", code="invalid-token")
        return Caller(player, name, cast(Role, role), session, expires_s, game)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


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


def next_refresh(secret: str, old: Refresh) -> Refresh:
    """The one token that comes after `old`: asked again for a lost answer, the same is given again."""
    chance = hmac.digest(secret.encode(), b"next:" + old.text.encode(), hashlib.sha256)
    return make_refresh(secret, old.player, old.session, chance)


def read_refresh(secrets: Sequence[str], text: str) -> Refresh:
    """The refresh token in `text`, sealed with one of `secrets`. Raises Unauthorized for what we did not give."""
    head, _, seal = text.rpartition(".")
    parts = head.split(".")
    if (
        not text.isascii()
        or not any(hmac.compare_digest(seal, _seal(secret, head)) for secret in secrets)
        or len(parts) != 3
        or not (is_id("player", parts[0]) and is_id("session", parts[1]))
    ):
        raise Unauthorized("this is not a refresh token", code="invalid-token")
    return Refresh(parts[0], parts[1], text)


def _seal(secret: str, head: str) -> str:
    return _b64(hmac.digest(secret.encode(), f"refresh:{head}".encode(), hashlib.sha256)[:16])


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
