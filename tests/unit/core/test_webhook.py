"""Webhooks: where they may go, and signatures."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.webhook import (
    FRESH_S,
    LONGEST_PAUSE_S,
    TRIES,
    body,
    check_url,
    key,
    pause_s,
    sign,
    verify,
)

SECRET = "a secret of thirty-two bytes or so"


def test_a_signature_is_of_one_body_key_and_time() -> None:
    """Another body, another game's key, another salt, an old or broken signature: refused."""
    mine = key(SECRET, "duel", "1")
    signature = sign(mine, b"{}", 1000)
    assert verify(mine, b"{}", signature, 1000 + FRESH_S)
    assert not verify(mine, b"{ }", signature, 1000)
    assert not verify(key(SECRET, "chess", "1"), b"{}", signature, 1000)
    assert not verify(key(SECRET, "duel", "2"), b"{}", signature, 1000)
    assert not verify(mine, b"{}", signature, 1001 + FRESH_S)
    assert not verify(mine, b"{}", signature.replace("t=1000", "t=1001"), 1000)
    for broken in ("", "t=", "v1=aa", "t=x,v1=aa", "t=1000", "t=²,v1=aa", "t=" + "9" * 100):
        assert not verify(mine, b"{}", broken, 1000)


@given(st.floats(0, 1))
def test_attempts_are_bounded_and_further_apart(share: float) -> None:
    """Each pause is about twice the one before, the last attempt is the last."""
    pauses = [pause_s(tries, share) for tries in range(1, TRIES + 1)]
    assert pauses[-1] is None
    known = [it for it in pauses if it is not None]
    assert len(known) == TRIES - 1
    assert all(first < second <= LONGEST_PAUSE_S for first, second in pairwise(known))
    assert 0.75 <= known[0] <= 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/", "example.com", "//example.com", "https://", "https://:80/", "http://example.com/",
        "https://user:word@example.com/", "https://example.com/#part", "https://127.0.0.1/", "https://localhost/",
        "https://10.1.2.3/", "https://169.254.169.254/latest", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
        "https://[fd00::1]/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0.0.0.0/",
        "https://redis/", "https://redis.local/", "https://a.localhost/", "https://a.internal/", "https://[::1/",
        "https://example.com:99999/", "https://exa mple.com/", "https://example.com\\@127.0.0.1/", "https://bücher.de/",
        "https://127.0.0.1./", "https://224.0.0.1/", "https://example.com:0/", "https://\n/",
    ],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    """No TLS, no host, credentials, an address inside however it is written: each is told."""
    with pytest.raises(Invalid) as found:
        check_url(url, private=False)
    assert found.value.pointer == "/url"


def test_urls_that_are_taken() -> None:
    """Public names and addresses; where the operator allows it, addresses inside and http."""
    for url in ("https://example.com/hook?a=b", "https://8.8.8.8:8443/x", "https://[2606:4700::1111]/"):
        assert check_url(url, private=False) == url
    assert check_url("http://127.0.0.1:8080/", private=True)


def test_a_body_is_json() -> None:
    """Documents are put together as they are."""
    made = body("5-1", "duel", [b'{"id":"a"}', b'{"id":"b"}'])
    assert msgspec.json.decode(made) == {"delivery": "5-1", "game": "duel", "events": [{"id": "a"}, {"id": "b"}]}
