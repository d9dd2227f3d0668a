"""The keys that sign tokens, derived from the installation's signing secrets.

The first secret signs; all of them are accepted, so that a secret is changed without logging anybody out
(docs/accounts.md has the steps). From each come a key for HS256, which whoever verifies must hold, and an Ed25519 pair,
whose public half is told to everybody. Nothing is stored: every replica derives the same keys, and who reads Redis
learns none. `cryptography` is loaded at the first use of a pair; a game server, which has none, is spared its 9 MB.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from core.jointoken import match_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SECRETS_MOST: Final = 4  # the old, the new, and two mistakes


class SigningKey:
    """What is derived from one secret."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    @cached_property
    def private(self) -> Ed25519PrivateKey:
        """Signs EdDSA."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        seed = hmac.digest(self.secret.encode(), b"signing:ed25519", hashlib.sha256)
        return Ed25519PrivateKey.from_private_bytes(seed)

    @cached_property
    def public(self) -> Ed25519PublicKey:
        """Verifies EdDSA."""
        return self.private.public_key()

    @cached_property
    def x(self) -> str:
        """The public key as a JSON Web Key has it (RFC 8037)."""
        return base64.urlsafe_b64encode(self.public.public_bytes_raw()).rstrip(b"=").decode()

    @cached_property
    def kid(self) -> str:
        """Names the key in a token's header: its thumbprint (RFC 7638)."""
        members = f'{{"crv":"Ed25519","kty":"OKP","x":"{self.x}"}}'
        return base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()

    @property
    def jwk(self) -> dict[str, str]:
        """The public half as a JSON Web Key."""
        return {"kty": "OKP", "crv": "Ed25519", "x": self.x, "kid": self.kid, "alg": "EdDSA", "use": "sig"}


class Keyring:
    """See the module."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """`secrets`: the one that signs, then others that are accepted; at least one."""
        self.keys = [SigningKey(secret) for secret in secrets]

    @property
    def first(self) -> SigningKey:
        """The one that signs."""
        return self.keys[0]

    def named(self, kid: str | None) -> list[SigningKey]:
        """Keys that a token may be signed with: the one it names, or, where it names none, all."""
        return [key for key in self.keys if kid is None or key.kid == kid]

    def match_keys(self, match: str) -> str:
        """Keys of one match's join tokens, as `core.jointoken.verify` takes them."""
        return ",".join(match_key(key.secret, match) for key in self.keys)

    @property
    def marks(self) -> str:
        """Names which secrets these are, in whatever order; tells nothing of them."""
        return ",".join(
            sorted(hmac.digest(key.secret.encode(), b"mark", hashlib.sha256).hex()[:16] for key in self.keys)
        )

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """All public keys, as a JSON Web Key Set (RFC 7517)."""
        return {"keys": [key.jwk for key in self.keys]}
