"""Public keys of outside issuers: read from where a developer says they are, kept for a while, and never trusted far.

The address is a stranger's word. So: https alone; no redirect; connections to public addresses alone, whatever the name
resolves to (`core.outbound`); a bounded answer in a bounded time; few at once. A set is used for
`FRESH_S`, and for `STALE_S` while its issuer does not answer. A key that is not in it is looked for again, `AGAIN_S`
after the last look at the soonest: so keys rotate, and made-up names of keys cost nobody a fetch each.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import jwt
import msgspec

from core.addresses import ANYWHERE, may_name
from core.errors import Invalid, Unavailable
from core.log import get
from core.outbound import open_session

log = get("issuers")

FETCH_S: Final = 5.0
BODY_BYTES: Final = 65_536
KEYS_MOST: Final = 32  # of one set
FETCHES: Final = 8  # at once, of this replica
WAITING: Final = 64  # logins that wait for keys; a further one is refused
SETS_MOST: Final = 256  # kept; the one that was used longest ago goes
FRESH_S: Final = 600.0
STALE_S: Final = 86_400.0
AGAIN_S: Final = 30.0
RSA_BITS: Final = (2048, 8192)
CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519"}


@dataclass(frozen=True, slots=True)
class OutsideKey:
    """A public key of an issuer."""

    kid: str | None
    kind: str  # RSA, or the name of a curve
    algorithm: str | None  # the only one that it is for, where its issuer says so
    key: Any

    def fits(self, algorithm: str) -> bool:
        """Whether a token of this algorithm may be verified with it: never a secret, never another kind's."""
        wanted = "RSA" if algorithm[:2] in ("RS", "PS") else CURVES.get(algorithm, "")
        return self.kind == wanted and self.algorithm in (None, algorithm)


def read_keys(document: object) -> list[OutsideKey]:
    """The usable keys of a JSON Web Key Set. Raises Invalid where it is none, or has a secret in it."""
    rows = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(rows, list) or not 0 < len(rows) <= KEYS_MOST or not all(isinstance(it, dict) for it in rows):
        raise Invalid(f"a key set is an object with 1 to {KEYS_MOST} `keys`", pointer="/jwks/keys")
    found = []
    for i, row in enumerate(rows):
        if "d" in row or row.get("kty") == "oct":
            raise Invalid("this is a secret: publish public keys alone", pointer=f"/jwks/keys/{i}")
        key = _key(row)
        if key is not None:
            found.append(key)
    if not found:
        raise Invalid("none of the keys is of use: Ed25519, P-256, P-384, or RSA of 2048 bits", pointer="/jwks/keys")
    return found


def _key(row: dict[str, Any]) -> OutsideKey | None:
    kid, algorithm = row.get("kid"), row.get("alg")
    if row.get("use", "sig") != "sig" or not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        return None
    try:
        key = jwt.PyJWK(row).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if row.get("kty") == "RSA":
        bits = getattr(key, "key_size", 0)
        return OutsideKey(kid, "RSA", algorithm, key) if RSA_BITS[0] <= bits <= RSA_BITS[1] else None
    return OutsideKey(kid, str(row.get("crv")), algorithm, key)


def check_url(url: str, *, private: bool) -> None:
    """Raise Invalid where keys may not be read from `url`. `private` allows http and addresses of one's own network."""
    wrong = Invalid("jwks_url is https://host/path, without user and fragment", pointer="/jwks_url")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    schemes = ("https", "http") if private else ("https",)
    if parts.scheme not in schemes or not host or parts.username is not None or parts.fragment or not url.isascii():
        raise wrong
    if not private and not may_name(host):
        raise Invalid("jwks_url is not of a public address", pointer="/jwks_url")


@dataclass(slots=True)
class _Set:
    keys: Sequence[OutsideKey] = ()
    read_s: float = -STALE_S
    tried_s: float = -STALE_S
    wrong: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class OutsideKeys:
    """See the module. Make one with `open_outside_keys`."""

    def __init__(self, session: aiohttp.ClientSession, *, private: bool) -> None:
        self._session = session
        self._private = private
        self._sets: OrderedDict[str, _Set] = OrderedDict()
        self._slots = asyncio.Semaphore(FETCHES)
        self._waiting = 0

    async def of(self, url: str, kid: str | None) -> Sequence[OutsideKey]:
        """The keys at `url`, read anew where they are old or have no `kid`. Raises Unavailable."""
        kept = self._sets.get(url)
        if kept is None:
            if len(self._sets) >= SETS_MOST:
                self._sets.popitem(last=False)
            kept = self._sets[url] = _Set()
        self._sets.move_to_end(url)
        if not self._is_enough(kept, kid):
            if self._waiting >= WAITING:
                raise Unavailable("too many logins wait for their issuer's keys", code="busy")
            self._waiting += 1
            try:
                async with kept.lock:
                    if not self._is_enough(kept, kid):
                        await self._read(url, kept)
            finally:
                self._waiting -= 1
        if time.monotonic() - kept.read_s >= STALE_S:
            raise Unavailable(
                f"the issuer's keys cannot be read: {kept.wrong}", retry_after_s=int(AGAIN_S), code="issuer-unavailable"
            )
        return kept.keys

    @staticmethod
    def _is_enough(kept: _Set, kid: str | None) -> bool:
        now = time.monotonic()
        if now - kept.tried_s < AGAIN_S:
            return True
        return now - kept.read_s < FRESH_S and (kid is None or any(key.kid == kid for key in kept.keys))

    async def _read(self, url: str, kept: _Set) -> None:
        async with self._slots:
            try:
                kept.keys = read_keys(msgspec.json.decode(await self._fetch(url)))
                kept.read_s, kept.wrong = time.monotonic(), ""
            except (aiohttp.ClientError, OSError, ValueError, Invalid, msgspec.DecodeError) as error:
                kept.wrong = error.detail if isinstance(error, Invalid) else (str(error) or type(error).__name__)[:200]
                log.warning("an issuer's keys cannot be read", url=url, error=kept.wrong)
            kept.tried_s = time.monotonic()

    async def _fetch(self, url: str) -> bytes:
        check_url(url, private=self._private)
        headers = {"Accept": "application/json"}
        async with asyncio.timeout(FETCH_S), self._session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status != 200:
                raise ValueError(f"it answers {answer.status}")
            body = b""
            while chunk := await answer.content.read(BODY_BYTES + 1 - len(body)):
                body += chunk
                if len(body) > BODY_BYTES:
                    raise ValueError(f"it is longer than {BODY_BYTES} bytes")
            return body


@asynccontextmanager
async def open_outside_keys(*, private: bool) -> AsyncIterator[OutsideKeys]:
    """Keys for the length of the block. `private`: issuers may be in one's own network, and speak plain HTTP."""
    async with open_session(ANYWHERE if private else (), most=FETCHES, keep=False) as session:
        yield OutsideKeys(session, private=private)
