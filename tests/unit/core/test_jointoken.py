"""Join tokens beside PyJWT: what one signs the other accepts, and what PyJWT refuses is refused here."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Unauthorized
from core.jointoken import AUDIENCE, MAX_TOKEN_BYTES, JoinClaims, match_key, mint, mint_signed, verify
from core.signing import Keyring, SigningKey

SECRET = "an installation's secret of 32 bytes"
MATCH = "m-1"
KEY = match_key(SECRET, MATCH)
NOW = 1_763_700_000
CLAIMS = JoinClaims("p-1", MATCH, "Ann", "red", NOW + 300)
names = st.text(max_size=64)


def by_pyjwt(key: str = KEY, headers: dict[str, Any] | None = None, algorithm: str = "HS256", **changes: Any) -> str:
    body = {"aud": AUDIENCE, "sub": "p-1", "match": MATCH, "name": "Ann", "team": "red", "exp": NOW + 300} | changes
    kept = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers=headers)


@settings(deadline=None)  # the first example loads cryptography
@given(names, names)
def test_pyjwt_accepts_ours(name: str, team: str) -> None:
    """PyJWT verifies a minted token and reads the same claims."""
    claims = JoinClaims("p-1", MATCH, name, team, NOW + 300)
    token = mint(KEY, claims)
    body = jwt.decode(token, KEY, algorithms=["HS256"], audience=AUDIENCE, options={"verify_exp": False})
    assert (body["sub"], body["match"], body["name"], body["team"], body["exp"]) == (
        "p-1", MATCH, name, team, NOW + 300,
    )  # fmt: skip
    assert verify(KEY, token, MATCH, NOW) == claims


def test_we_accept_pyjwts() -> None:
    """A token that PyJWT signed with the same header is verified here."""
    assert verify(KEY, by_pyjwt(), MATCH, NOW) == CLAIMS


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (by_pyjwt(match_key(SECRET, "m-2")), "join-forged"),
        (by_pyjwt(match_key("another secret of thirty-two bytes", MATCH)), "join-forged"),
        (by_pyjwt(algorithm="HS512", key=KEY), "join-forged"),
        (jwt.encode({"sub": "p-1"}, None, algorithm="none"), "join-forged"),
        (by_pyjwt(headers={"kid": "x"}), "join-forged"),
        (by_pyjwt(name=None), "join-forged"),
        (by_pyjwt(match="m-2"), "join-foreign"),
        (by_pyjwt(aud="muster:access"), "join-foreign"),
        (by_pyjwt(exp=NOW), "join-expired"),
        ("", "join-forged"),
        ("a.b", "join-forged"),
        ("a.b.c.d", "join-forged"),
        ("\u00e9.b.c", "join-forged"),
        ("a" * MAX_TOKEN_BYTES + ".b.c", "join-forged"),
    ],
)
def test_refused(token: str, code: str) -> None:
    """Another key, algorithm or header, `none`, missing claims, another match or audience, and the past."""
    with pytest.raises(Unauthorized) as caught:
        verify(KEY, token, MATCH, NOW)
    assert caught.value.code == code


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    """A token with one character changed is never accepted as other claims than those signed."""
    token = mint(KEY, CLAIMS)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_."))
    changed = token[:place] + other + token[place + 1 :]
    if changed != token:
        with pytest.raises(Unauthorized):
            verify(KEY, changed, MATCH, NOW)


def test_a_signed_payload_that_is_no_object() -> None:
    """Even rightly signed, what has no proper claims is refused."""
    header = mint(KEY, CLAIMS).split(".")[0]
    for body in (b"[]", b"1", b"\xff", json.dumps({"aud": AUDIENCE}).encode()):
        payload = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
            f"{header}.{payload}".encode(), KEY.encode()
        )
        token = f"{header}.{payload}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
        with pytest.raises(Unauthorized, match="claims"):
            verify(KEY, token, MATCH, NOW)


def test_keys_of_matches_differ() -> None:
    """The key of one match says nothing of another's, nor of the secret."""
    assert match_key(SECRET, "m-1") != match_key(SECRET, "m-2")
    assert SECRET not in match_key(SECRET, "m-1")


SIGNER = SigningKey(SECRET)


def signed(claims: JoinClaims = CLAIMS, signer: SigningKey = SIGNER, key: str = KEY) -> str:
    return mint_signed(key, claims, signer.kid, signer.private.sign)


@settings(deadline=None)  # the first example loads cryptography
@given(names, names)
def test_a_signed_token_is_verified_with_the_public_key_and_by_the_sidecar(name: str, team: str) -> None:
    """Any library verifies it with the key of the set that its header names; the sidecar with the match's own key."""
    claims = JoinClaims("p-1", MATCH, name, team, NOW + 300)
    token = signed(claims)
    public = jwt.PyJWKSet.from_dict(Keyring([SECRET]).jwks())[jwt.get_unverified_header(token)["kid"]]
    body = jwt.decode(token, public, algorithms=["EdDSA"], audience=AUDIENCE, options={"verify_exp": False})
    assert (body["sub"], body["match"], body["name"], body["team"]) == ("p-1", MATCH, name, team)
    assert verify(KEY, token, MATCH, NOW) == claims
    assert len(token) < MAX_TOKEN_BYTES or len(name + team) > 32


def test_a_signed_token_of_another_is_forged() -> None:
    """Another installation's, one that was changed, one without the match's own proof, and one for another match."""
    head, body, seal = signed().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "p-2"}).encode()).rstrip(b"=").decode()
    other = SigningKey("another secret of thirty-two bytes")
    bare = jwt.encode({**claims, "mac": None}, SIGNER.private, "EdDSA", headers={"kid": SIGNER.kid})
    for token, code in (
        (signed(key=match_key(other.secret, MATCH)), "join-forged"),
        (f"{head}.{changed}.{seal}", "join-forged"),
        (bare, "join-forged"),
        (signed(JoinClaims("p-1", "m-2", "Ann", "red", NOW + 300)), "join-foreign"),
        (signed(JoinClaims("p-1", MATCH, "Ann", "red", NOW)), "join-expired"),
    ):
        with pytest.raises(Unauthorized) as caught:
            verify(KEY, token, MATCH, NOW)
        assert caught.value.code == code


def test_a_secret_is_changed_with_overlap() -> None:
    """A server that was given the keys of both secrets takes tokens of either; one that has the old alone does not."""
    old, new = "an old secret of thirty-two bytes", "a new secret of thirty-two bytes."
    both = Keyring([new, old]).match_keys(MATCH)
    for secret in (old, new):
        assert verify(both, mint(match_key(secret, MATCH), CLAIMS), MATCH, NOW) == CLAIMS
        assert verify(both, signed(signer=SigningKey(secret), key=match_key(secret, MATCH)), MATCH, NOW) == CLAIMS
    with pytest.raises(Unauthorized):
        verify(Keyring([old]).match_keys(MATCH), mint(match_key(new, MATCH), CLAIMS), MATCH, NOW)
