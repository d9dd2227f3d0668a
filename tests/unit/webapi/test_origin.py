"""Whose word is taken for where a request comes from."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid, Misconfigured
from webapi.origin import Proxies, proxy_line
from webapi.settings import Settings

NEAR = "10.0.0.0/8,fc00::/7"


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("fd00::1", True),
        ("fd00::1%eth0", True),
        ("2001:db8::1", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_a_proxy_is_known_by_its_network(peer: str, trusted: bool) -> None:
    """In either form of an IPv4 address; nobody is one where the settings count none."""
    assert Proxies(1, NEAR).trusts(peer) is trusted
    assert not Proxies(0, NEAR).trusts(peer)
    assert not Proxies(1, "").trusts(peer)


@pytest.mark.parametrize(
    ("hops", "peer", "header", "address"),
    [
        (0, "10.0.0.1", "192.0.2.1", "10.0.0.1"),
        (1, "10.0.0.1", "192.0.2.1", "192.0.2.1"),
        (1, "10.0.0.1", "made up, 192.0.2.1", "192.0.2.1"),
        (2, "10.0.0.1", "made up, 192.0.2.1,192.0.2.2", "192.0.2.1"),
        (2, "10.0.0.1", "192.0.2.2", "10.0.0.1"),
        (1, "10.0.0.1", "", "10.0.0.1"),
        (1, "192.0.2.9", "192.0.2.1", "192.0.2.9"),
        (1, "10.0.0.1", "ü", "10.0.0.1"),
        (1, "10.0.0.1", "x" * 99, "x" * 64),
    ],
)
def test_what_x_forwarded_for_is_worth(hops: int, peer: str, header: str, address: str) -> None:
    """Only so many of its last words as there are proxies, and only from one of them."""
    assert Proxies(hops, NEAR).forwarded(peer, header) == address


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 22550", "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 0 65535", "2001:db8::1"),
        (b"PROXY UNKNOWN", "10.0.0.1"),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2", "10.0.0.1"),
    ],
)
def test_a_proxy_s_line_tells_the_client(line: bytes, address: str) -> None:
    """The source address; of its own connections a proxy tells none."""
    assert proxy_line(line, "10.0.0.1") == address


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY ",
        b"PROXY TCP4",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 40000",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 22550 ",
        b"PROXY TCP4  192.0.2.1 192.0.2.2 40000 22550",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 40000 22550",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 40000 22550",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 22550",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 22550",
        b"PROXY TCP4 192.0.2.256 192.0.2.2 40000 22550",
        "PROXY TCP4 192.0.2.1 192.0.2.2 ٤٤ 22550".encode(),
        b"PROXY UDP4 192.0.2.1 192.0.2.2 40000 22550",
        b"PROXY TCP6 " + b"1" * 200,
    ],
)
def test_a_malformed_line_is_refused(line: bytes) -> None:
    """A word too many or too few, another family, a port that is none."""
    with pytest.raises(Invalid) as caught:
        proxy_line(line, "10.0.0.1")
    assert caught.value.code == "proxy-line-malformed"


@given(st.binary(max_size=120))
def test_no_line_does_harm(line: bytes) -> None:
    """Whatever comes is a line of the protocol, or refused."""
    for said in (line, b"PROXY " + line):
        with suppress(Invalid):
            assert ip_address(proxy_line(said, "10.0.0.1"))


def test_a_wrong_network_is_told_at_the_start() -> None:
    """It names the setting, and the text that is none."""
    for text in ("10.0.0.1/8", "here", "10.0.0.0/8,,fc00::/129"):
        with pytest.raises(Misconfigured, match="MUSTER_PROXY_NETWORKS"):
            Settings(proxy_networks=text)
