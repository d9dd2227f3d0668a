"""Errors as problem documents."""

from __future__ import annotations

import pytest

from core.errors import Invalid, MusterError, TooMany, Unauthorized, Unavailable
from webapi.problems import document, located, response


@pytest.mark.parametrize(
    ("message", "text", "pointer"),
    [
        ("Expected `int`, got `str` - at `$.teams[0].x`", "Expected `int`, got `str`", "/teams/0/x"),
        ("Expected `str`, got `int` - at `$.server.env[...]`", "Expected `str`, got `int`", "/server/env"),
        ("Expected `str` - at `key` in `$.env`", "Expected `str`", "/env"),
        ("Object contains unknown field `zz`", "Object contains unknown field `zz`", "/zz"),
        ("Object missing required field `a` - at `$.t[1]`", "Object missing required field `a`", "/t/1/a"),
        ("Object contains unknown field `a/b~c`", "Object contains unknown field `a/b~c`", "/a~1b~0c"),
        ("Expected `object`, got `array`", "Expected `object`, got `array`", ""),
    ],
)
def test_places_become_json_pointers(message: str, text: str, pointer: str) -> None:
    """msgspec's path is told as RFC 6901 has it; a field that lacks or is too many is part of it."""
    assert located(message) == (text, pointer)


def test_a_problem_says_what_its_error_says() -> None:
    """Pointer and retry time are there where the error has them, and only there."""
    invalid = document(Invalid("no", pointer="/a"), "r")
    assert (invalid.type, invalid.status, invalid.pointer) == ("urn:muster:problem:invalid", 422, "/a")
    assert (invalid.retry_after_s, invalid.request_id) == (None, None)
    assert document(TooMany("no", retry_after_s=7), "r").retry_after_s == 7
    assert document(Unavailable("no"), "r").request_id == "r"


def test_our_own_errors_tell_nothing() -> None:
    """The words of an error that is a bug stay in the log."""
    problem = document(MusterError("secret", code="storage-error"), "r")
    assert (problem.status, problem.type) == (500, "urn:muster:problem:internal")
    assert "secret" not in problem.detail


def test_headers_follow_the_error() -> None:
    """Retry-After with 429 and 503, a challenge with 401."""
    assert response(Unavailable("no", retry_after_s=3), "r").headers["Retry-After"] == "3"
    assert response(Unauthorized("no"), "r").headers["WWW-Authenticate"] == 'Bearer realm="muster"'
    assert "invalid_token" in response(Unauthorized("no", code="token-expired"), "r").headers["WWW-Authenticate"]
