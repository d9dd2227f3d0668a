"""The JSON of developers' keys, invitations and outside issuers. PURE. `webapi.documents` has the accounts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from core.model import Role
from webapi.documents import Rfc3339, Text

Label = Annotated[str, Meta(min_length=1, max_length=64)]
Scope = Annotated[str, Meta(min_length=3, max_length=40, pattern="^[a-z]+:(read|write)$")]
GameId = Annotated[str, Meta(max_length=40, pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
Code = Annotated[str, Meta(min_length=1, max_length=256)]
KeyAlgorithm = Literal["EdDSA", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
Url = Annotated[str, Meta(min_length=1, max_length=512)]


class GuestAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """The name and the password that a guest takes; the rules are those of a new account."""

    name: Text
    password: Text


class NewPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """`password` is the one that is good now."""

    password: Text
    new_password: Text


class NewKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A key for programs. It may what its scopes say, in one game where `game` is given, with the role of a developer
    or of a game's machine.
    """

    name: Label
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=32)]
    game: GameId | None = None
    role: Literal["developer", "server"] = "developer"
    days: Annotated[int, Meta(ge=1, le=3650)] = 365


class Key(Struct, frozen=True, omit_defaults=True):
    """A key as it is listed. `used_at` is right to the minute."""

    id: str
    name: str
    scopes: list[str]
    role: Role
    created_at: Rfc3339
    expires_at: Rfc3339
    game: str | UnsetType = UNSET
    used_at: Rfc3339 | UnsetType = UNSET


class MadeKey(Struct, frozen=True):
    """A new key. `secret` is sent as Bearer; it is told this once, and kept as a digest."""

    key: Key
    secret: str


class Keys(Struct, frozen=True):
    """Your keys, and the scopes that there are."""

    keys: list[Key]
    scopes: list[str]


class NewDeveloperInvitation(Struct, frozen=True, forbid_unknown_fields=True):
    """An invitation to be a developer, good once."""

    note: Annotated[str, Meta(max_length=128)] = ""
    hours: Annotated[int, Meta(ge=1, le=720)] = 168


class DeveloperInvitation(Struct, frozen=True, omit_defaults=True):
    """An invitation as it is listed. `used_by` is the player who took it."""

    id: str
    note: str
    by: str
    created_at: Rfc3339
    expires_at: Rfc3339
    used_by: str | UnsetType = UNSET


class MadeDeveloperInvitation(Struct, frozen=True):
    """A new invitation. `code` is told this once, and kept as a digest."""

    invitation: DeveloperInvitation
    code: str


class DeveloperInvitations(Struct, frozen=True):
    invitations: list[DeveloperInvitation]


class TakenDeveloperInvitation(Struct, frozen=True, forbid_unknown_fields=True):
    code: Code


class Issuer(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who else says who a player of this game is: an issuer of JSON Web Tokens, with its keys or where they are.

    Exactly one of `jwks_url` (https) and `jwks` (public keys alone). `name_claim` is what a player is shown by.
    """

    issuer: Url
    audience: Url
    jwks_url: Url | None = None
    jwks: dict[str, Any] | None = None
    algorithms: Annotated[tuple[KeyAlgorithm, ...], Meta(min_length=1, max_length=4)] = ("EdDSA", "ES256", "RS256")
    name_claim: Annotated[str, Meta(min_length=1, max_length=64)] = "name"


class Erasure(Struct, frozen=True, forbid_unknown_fields=True):
    """The password of who is to be erased; a guest, or who came from outside, has none."""

    password: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


class Known(Struct, frozen=True, omit_defaults=True):
    """One piece of what is known of a player: of the installation, or of a game."""

    part: str
    data: Any
    game: str | UnsetType = UNSET


class OutsideToken(Struct, frozen=True, forbid_unknown_fields=True):
    """A token of the game's own issuer."""

    token: Annotated[str, Meta(min_length=1, max_length=8192)]


class PublicKey(Struct, frozen=True):
    """A JSON Web Key (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    alg: str
    use: str


class PublicKeys(Struct, frozen=True):
    """The first signs at this moment; tokens of the others are still good, or will be."""

    keys: list[PublicKey]
