"""Which addresses may be called where a stranger chose the URL."""

from __future__ import annotations

import pytest

from core.addresses import ANYWHERE, may_call, may_name, networks
from core.errors import Misconfigured

INSIDE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00::1", "ff02::1",
    "ff0e::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::", "2001:0:1::1", "2001:db8::1", "4000::1",
]  # fmt: skip
OUTSIDE = ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_may_not_be_called(address: str) -> None:
    """Loopback, private, link-local, shared, multicast, reserved, and every way to write one of them within IPv6."""
    assert not may_call(address)
    assert not may_name(address)
    assert may_call(address, ANYWHERE)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_internet_may_be_called(address: str) -> None:
    """What anybody may reach, through NAT64 too."""
    assert may_call(address)


def test_an_operator_allows_networks_of_his_own() -> None:
    """Those and no others, however an address of them is written; a wrong one is named with its setting."""
    allowed = networks("10.0.0.0/8, fd00::/8,", "X")
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd00::1"):
        assert may_call(address, allowed)
    for address in ("192.168.1.1", "fc00::1", "127.0.0.1"):
        assert not may_call(address, allowed)
    with pytest.raises(Misconfigured):
        networks("10.0.0.1/8", "X")


def test_a_name_is_judged_when_it_is_resolved() -> None:
    """It is no address: it may be named, and only that."""
    assert may_name("example.com")
    with pytest.raises(ValueError, match="example"):
        may_call("example.com")
