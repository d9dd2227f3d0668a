"""Access tokens and refresh tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest

from core.errors import Unauthorized
from core.signing import Keyring, SigningKey
from webapi import auth
from webapi.auth import AUDIENCE, ISSUER, Algorithm, Tokens, make_refresh, next_refresh, read_refresh

SECRET = "a secret of thirty-two bytes or so"
PLAYER = "p-01m7yptkrj2916d2c3aprkxes8"
SESSION = "ses-01m7yptkrk6jvq56hf3vegwt41"


def test_a_token_is_good_until_it_ends() -> None:
    """The claims come back while it lives, and not a moment later, remembered or not."""
    tokens = Tokens(SECRET, 60)
    token = tokens.mint(PLAYER, "Ann", "player", SESSION, 1000)
    for verifier in (tokens, tokens, Tokens(SECRET, 60)):
        caller = verifier.verify(token, 1059.9)
        assert (caller.player, caller.name, caller.role, caller.session) == (PLAYER, "Ann", "player", SESSION)
    for verifier in (tokens, Tokens(SECRET, 60)):
        with pytest.raises(Unauthorized, match="expired"):
            verifier.verify(token, 1060)


def test_a_changed_token_is_refused() -> None:
    """Whichever part is touched, the signature does not fit any more."""
    tokens = Tokens(SECRET, 60)
    head, body, seal = tokens.mint(PLAYER, "Ann", "player", SESSION, 1000).split(".")
    for changed in (
        f"{head}.{body[:-2]}AA.{seal}",
        f"{head}.{body}.{seal[:-2]}",
        f"{head[:-2]}AA.{body}.{seal}",
        f"{head}.{body}.",
    ):
        with pytest.raises(Unauthorized):
            tokens.verify(changed, 1000)


def test_remembered_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens come by, so many are remembered, and the others are verified anew."""
    monkeypatch.setattr(auth, "VERIFIED_KEPT", 4)
    tokens = Tokens(SECRET, 60)
    made = [tokens.mint(PLAYER, f"n{i}", "player", SESSION, 1000) for i in range(10)]
    for _ in range(2):
        assert [tokens.verify(token, 1000).name for token in made] == [f"n{i}" for i in range(10)]
    assert len(tokens._verified) + len(tokens._verified_before) <= 4


def test_who_comes_again_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is used is not forgotten for those that come by once."""
    monkeypatch.setattr(auth, "VERIFIED_KEPT", 4)
    tokens = Tokens(SECRET, 60)
    again = tokens.mint(PLAYER, "again", "player", SESSION, 1000)
    caller = tokens.verify(again, 1000)
    for i in range(10):
        tokens.mint(PLAYER, f"n{i}", "player", SESSION, 1000)
        assert tokens.verify(again, 1000) is caller


def test_the_first_part_of_a_token_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is remembered, so that it is read once for each key; whoever has it alone is not let in. Bounded, too."""
    monkeypatch.setattr(auth, "HEADS_KEPT", 2)
    ours, other = Tokens(SECRET, 60), Tokens("another secret that nobody has told", 60)
    head, body, seal = ours.mint(PLAYER, "Ada", "player", SESSION, 1000).split(".")
    _, foreign_body, foreign_seal = other.mint(PLAYER, "Ada", "admin", SESSION, 1000).split(".")
    fresh = Tokens(SECRET, 60)
    for _ in range(2):
        assert fresh.verify(f"{head}.{body}.{seal}", 1000).name == "Ada"
        for text in (f"{head}.{foreign_body}.{foreign_seal}", f"{head}.{foreign_body}.{seal}", f"{head}.{body}", head):
            with pytest.raises(Unauthorized):
                fresh.verify(text, 1000)
    for i in range(5):
        with pytest.raises(Unauthorized):
            fresh.verify(jwt.encode({"n": i}, SECRET, "HS256", headers={"n": i}), 1000)
        assert len(fresh._heads) <= 2


def test_a_refresh_token_is_recognised() -> None:
    """What we gave is read back with the same digest; another's secret, or a change, is not ours."""
    made = make_refresh(SECRET, PLAYER, SESSION, b"x" * 32)
    read = read_refresh([SECRET], made.text)
    assert (read.player, read.session, read.digest) == (PLAYER, SESSION, made.digest)
    assert made.text not in made.digest
    for text in (
        made.text[:-1],
        made.text.replace(PLAYER, PLAYER[:-1] + "0"),
        make_refresh("other", PLAYER, SESSION, b"").text,
    ):
        with pytest.raises(Unauthorized):
            read_refresh([SECRET], text)


OLD, NEW = "an old secret of thirty-two bytes", "a new secret of thirty-two bytes."


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
def test_a_secret_is_changed_with_overlap(algorithm: Algorithm) -> None:
    """While both secrets are known, tokens of either are taken, whichever signs; one that is gone takes them along."""
    before, during, after = (Keyring(them) for them in ([OLD], [NEW, OLD], [NEW]))
    old = Tokens(before, 60, algorithm).mint(PLAYER, "Ann", "player", SESSION, 1000)
    new = Tokens(during, 60, algorithm).mint(PLAYER, "Ann", "player", SESSION, 1000)
    for token in (old, new):
        assert Tokens(during, 60).verify(token, 1000).player == PLAYER
    assert Tokens(after, 60).verify(new, 1000).player == PLAYER
    with pytest.raises(Unauthorized, match="not ours"):
        Tokens(after, 60).verify(old, 1000)
    refresh = make_refresh(OLD, PLAYER, SESSION, b"x" * 32)
    assert read_refresh([NEW, OLD], refresh.text) == refresh
    assert next_refresh(NEW, refresh) == next_refresh(NEW, refresh) != next_refresh(OLD, refresh)


def test_an_eddsa_token_is_verified_by_anybody() -> None:
    """With the published keys alone, as another service would."""
    ring = Keyring([SECRET])
    token = Tokens(ring, 60, "EdDSA").mint(PLAYER, "Ann", "player", SESSION, 1000)
    key = jwt.PyJWKSet.from_dict(ring.jwks())[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token, key, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER, options={"verify_exp": False}
    )
    assert claims["sub"] == PLAYER


def test_a_public_key_is_no_secret() -> None:
    """A token signed HS256 with the published key, in whatever form, is refused; so is one that names no algorithm."""
    signer = SigningKey(SECRET)
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = signer.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims: dict[str, Any] = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": PLAYER, "name": "Ann", "role": "admin", "sid": SESSION,
        "iat": 1, "exp": 99,
    }  # fmt: skip
    for secret in (pem, signer.public.public_bytes_raw(), signer.x.encode(), b""):
        for algorithm in ("HS256", "EdDSA", "none", None):
            header = {"alg": algorithm, "typ": "JWT", "kid": signer.kid}
            text = b".".join(
                base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)
            )
            seal = base64.urlsafe_b64encode(hmac.digest(secret, text, hashlib.sha256)).rstrip(b"=")
            with pytest.raises(Unauthorized):
                Tokens(SECRET, 60).verify(b".".join((text, seal)).decode(), 1)
