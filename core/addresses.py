"""Which addresses may be called where a stranger chose the URL: those of the Internet, none of our own network. PURE.

Asked of literal addresses before a call, and of what a name resolves to as it is connected to (`core.outbound`).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from core.errors import Misconfigured

Network = IPv4Network | IPv6Network

ANYWHERE: Final[tuple[Network, ...]] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052
UNICAST: Final = IPv6Network("2000::/3")  # all of IPv6 that was given out for the Internet
SIXTOFOUR: Final = IPv6Network("2002::/16")  # a tunnel to any IPv4 address


def networks(text: str, setting: str) -> tuple[Network, ...]:
    """Networks separated by commas. Raises Misconfigured naming the setting."""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise Misconfigured(str(error), setting=setting) from None


def may_call(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address is one of the Internet at large, or one that is `allowed`. Raises ValueError for a name."""
    found = _meant(ip_address(address.partition("%")[0]))
    if any(found.version == network.version and found in network for network in allowed):
        return True
    if isinstance(found, IPv6Address) and (found not in UNICAST or found in SIXTOFOUR):
        return False
    return found.is_global and not found.is_multicast


def may_name(host: str, allowed: Sequence[Network] = ()) -> bool:
    """As `may_call`, of a URL's host; a name may be named, and is judged when it is resolved."""
    try:
        return may_call(host, allowed)
    except ValueError:
        return True


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one is another spelling of."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address
