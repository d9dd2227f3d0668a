"""Where a request comes from: the player's address, as far as proxies before us may say it. PURE.

One question is asked of both doors: is this peer one of our proxies? If so the last of its words count, in HTTP
X-Forwarded-For, in TCP a first line of the PROXY protocol. From anybody else neither is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal, TypeAlias

from core.errors import Invalid

Address: TypeAlias = IPv4Address | IPv6Address

ADDRESS_MOST: Final = 64  # characters of an address that a proxy tells
PROXY_LINE_BYTES: Final = 107  # PROXY protocol, version 1, section 2.1: with its end
PROXY_WORD: Final = b"PROXY "
PEERS_KEPT: Final = 1024  # peers whose network has been looked up: proxies are few and come back


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose request it is, and the door that it came through."""

    address: str
    via: Literal["rest", "tcp"]


class Proxies:
    """The proxies that are believed: how many a request passes, and the networks that the last one speaks from."""

    def __init__(self, hops: int, networks: str) -> None:
        """`networks` are comma-separated, such as `10.0.0.0/8,fc00::/7`. Raises Invalid naming a wrong one."""
        self.hops = hops
        found = [_network(text.strip()) for text in networks.split(",") if text.strip()]

        @lru_cache(PEERS_KEPT)
        def near(peer: str) -> bool:
            parsed = _parsed(peer)
            return parsed is not None and any(parsed in network for network in found)

        self._near = near

    def trusts(self, peer: str) -> bool:
        """Whether this peer is a proxy of ours."""
        return self.hops > 0 and self._near(peer)

    def forwarded(self, peer: str, header: str) -> str:
        """The client's address of a request over HTTP with this X-Forwarded-For ('' for none)."""
        if self.trusts(peer):
            chain = [part.strip() for part in header.split(",")]
            if len(chain) >= self.hops and chain[-self.hops] and chain[-self.hops].isascii():
                return chain[-self.hops][:ADDRESS_MOST]
        return peer


def proxy_line(line: bytes, peer: str) -> str:
    """The client's address in a line of the PROXY protocol, version 1, without its end.

    `PROXY UNKNOWN` is the proxy's own connection, and gives `peer`. Raises Invalid for whatever is no such line.
    Source: haproxy.org, proxy-protocol.txt, section 2.1.
    """
    if not line.startswith(PROXY_WORD):
        raise Invalid(
            "a proxy is to say first whom it speaks for (PROXY protocol, version 1; Nginx: `proxy_protocol on`)",
            code="proxy-line-missing",
        )
    words = line.decode("ascii", "replace").split(" ")
    if words[1] == "UNKNOWN":
        return peer
    if len(line) + 2 <= PROXY_LINE_BYTES and len(words) == 6 and all(_is_port(word) for word in words[4:]):
        source, target = _exactly(words[2]), _exactly(words[3])
        version = {"TCP4": 4, "TCP6": 6}.get(words[1])
        if source is not None and target is not None and source.version == target.version == version:
            return str(source)
    raise Invalid("this is no line of the PROXY protocol, version 1", code="proxy-line-malformed")


def _network(text: str) -> IPv6Network:
    """A network, IPv4 as the part of IPv6 that it is mapped to: so one comparison does for both."""
    try:
        found = ip_network(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is not a network: {error}") from None
    if isinstance(found, IPv6Network):
        return found
    return IPv6Network((int(_mapped(found.network_address)), 96 + found.prefixlen))


def _mapped(address: IPv4Address) -> IPv6Address:
    return IPv6Address(0xFFFF << 32 | int(address))


def _parsed(text: str) -> IPv6Address | None:
    found = _exactly(text.partition("%")[0])  # without the zone of a link-local address
    return _mapped(found) if isinstance(found, IPv4Address) else found


def _exactly(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65_535
