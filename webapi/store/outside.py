"""Players whom an outside issuer names: which issuer a game trusts, and which of our players its subject is.

A subject is known by a digest of game, issuer and its own name, which leads to the player (`muster:outside:{...}`); the
player's account says the game, and the digest, so that both go together when the player is erased. A player of one
game's issuer is another player in the next game, and good for the one alone.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import jwt
import msgspec

from core import keys
from core.clock import new_id
from core.errors import Invalid, NotFound, Unauthorized
from core.redis.batch import Batch
from webapi.account_documents import Issuer
from webapi.names import GUEST_LEAST, shown
from webapi.outside_keys import OutsideKeys, check_url, read_keys
from webapi.store.accounts import AccountRecord, Accounts

LEEWAY_S: Final = 30  # clocks differ
SUBJECT_MOST: Final = 255  # OpenID Connect's own bound
TRIED_MOST: Final = 4  # keys of a token that names none


class Outside:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch, accounts: Accounts, outside_keys: OutsideKeys, *, private: bool) -> None:
        self._batch = batch
        self._accounts = accounts
        self._keys = outside_keys
        self._private = private

    async def trust(self, game: str, issuer: Issuer) -> None:
        """Let an issuer say who the players of a game are. Raises Invalid."""
        if (issuer.jwks is None) == (issuer.jwks_url is None):
            raise Invalid("give either jwks or jwks_url", pointer="/jwks")
        if issuer.jwks is not None:
            read_keys(issuer.jwks)
        else:
            check_url(str(issuer.jwks_url), private=self._private)
        await self._batch.do("SET", keys.issuer(game), msgspec.json.encode(issuer))

    async def trusted(self, game: str) -> Issuer:
        """The issuer of a game. Raises NotFound."""
        found = await self._batch.do("GET", keys.issuer(game))
        if found is None:
            raise NotFound(f"the game {game!r} has no issuer of its own", code="no-issuer")
        return msgspec.json.decode(found, type=Issuer)

    async def trust_nobody(self, game: str) -> None:
        """Let nobody from outside in any more. Raises NotFound."""
        if not await self._batch.do("DEL", keys.issuer(game)):
            raise NotFound(f"the game {game!r} has no issuer of its own", code="no-issuer")

    async def claims(self, game: str, token: str) -> tuple[Issuer, dict[str, Any]]:
        """What the game's issuer says in a token. Raises NotFound, Unauthorized."""
        issuer = await self.trusted(game)
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in issuer.algorithms:
                raise jwt.InvalidAlgorithmError(f"the algorithm is not one of {', '.join(issuer.algorithms)}")
            if "crit" in header:
                raise jwt.InvalidTokenError("it asks for extensions that nobody here knows")
            known = read_keys(issuer.jwks) if issuer.jwks else await self._keys.of(str(issuer.jwks_url), kid)
            fitting = [it for it in known if it.fits(algorithm) and (kid is None or it.kid == kid)][:TRIED_MOST]
            wrong: jwt.PyJWTError = jwt.InvalidTokenError("it names a key that its issuer has not")
            for one in fitting:
                try:
                    claims = jwt.decode(
                        token,
                        one.key,
                        algorithms=[algorithm],
                        audience=issuer.audience,
                        issuer=issuer.issuer,
                        leeway=LEEWAY_S,
                        options={"require": ["exp", "iss", "aud", "sub"]},
                    )
                except jwt.InvalidSignatureError as error:
                    wrong = error
                    continue
                if not 0 < len(claims["sub"]) <= SUBJECT_MOST:
                    raise jwt.InvalidTokenError(f"its subject has 1 to {SUBJECT_MOST} characters")
                return issuer, claims
            raise wrong
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the issuer's token is not valid: {error}", code="invalid-token") from None

    async def known(self, game: str, claims: dict[str, Any]) -> str | None:
        """The player whom the claims are about, if he was here before."""
        found = await self._batch.do("GET", keys.outside(_digest(game, claims)))
        return None if found is None else str(found)

    async def account(self, game: str, issuer: Issuer, claims: dict[str, Any], now_ms: int) -> AccountRecord:
        """The account of the player whom the claims are about; made the first time, not yet written."""
        digest = _digest(game, claims)
        key = keys.outside(digest)
        _, player = await self._batch.do_many([("SET", key, new_id("player"), "NX"), ("GET", key)])
        try:
            created_ms = (await self._accounts.read(player)).created_ms
        except NotFound:
            created_ms = now_ms
        name = claims.get(issuer.name_claim)
        try:
            name = shown(name[:128], GUEST_LEAST) if isinstance(name, str) else ""
        except Invalid:
            name = ""  # nobody is kept out for what another service calls him
        return AccountRecord(player, name or f"Player-{player[-5:]}", "player", created_ms, game=game, outside=digest)


def _digest(game: str, claims: dict[str, Any]) -> str:
    text = msgspec.json.encode([game, claims["iss"], claims["sub"]])
    return hashlib.sha256(text).hexdigest()[:40]
