"""Access tokens and refresh tokens."""

from __future__ import annotations

import pytest

from core.errors import Unauthorized
from webapi import auth
from webapi.auth import Tokens, make_refresh, read_refresh

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
    monkeypatch.setattr(auth, "VERIFIED_KEPT", 3)
    tokens = Tokens(SECRET, 60)
    made = [tokens.mint(PLAYER, f"n{i}", "player", SESSION, 1000) for i in range(10)]
    for _ in range(2):
        assert [tokens.verify(token, 1000).name for token in made] == [f"n{i}" for i in range(10)]
    assert len(tokens._verified) == 3


def test_a_refresh_token_is_recognised() -> None:
    """What we gave is read back with the same digest; another's secret, or a change, is not ours."""
    made = make_refresh(SECRET, PLAYER, SESSION, b"x" * 32)
    read = read_refresh(SECRET, made.text)
    assert (read.player, read.session, read.digest) == (PLAYER, SESSION, made.digest)
    assert made.text not in made.digest
    for text in (
        made.text[:-1],
        made.text.replace(PLAYER, PLAYER[:-1] + "0"),
        make_refresh("other", PLAYER, SESSION, b"").text,
    ):
        with pytest.raises(Unauthorized):
            read_refresh(SECRET, text)
