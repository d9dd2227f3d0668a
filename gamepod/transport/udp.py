"""The protocol as datagrams: one JSON object each.

A stranger costs us one look and gets nothing, with one exception: a join. It is answered with a challenge
that is never longer than the join, and believed only when it comes again with the challenge's cookie, so
that a forged sender address can neither make us send much to a victim nor fill a table.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from typing import Any, Final

from msgspec import Struct

from gamepod.transport.auth_types import JoinRefused
from gamepod.transport.cookies import Cookies
from gamepod.transport.gateway import Gateway
from gamepod.transport.limits import AddressLimiter
from gamepod.transport.protocol import BadMessage, Challenge, Error, Join, decode, encode

Address = tuple[Any, ...]  # (host, port), and for IPv6 flow and scope after them


class UdpStats(Struct):
    """Counters since the start, for the metrics."""

    received: int = 0
    challenges: int = 0
    joins_limited: int = 0
    sent: int = 0
    send_failed: int = 0  # no room in the socket's buffer, or unreachable


class UdpServer(asyncio.DatagramProtocol):
    """A bound UDP port. `port` is the real one, also when 0 was asked for."""

    def __init__(self, gateway: Gateway, sock: socket.socket) -> None:
        self.stats = UdpStats()
        self.port: int = sock.getsockname()[1]
        self.gateway = gateway
        self._socket = sock
        self._links: dict[Address, UdpLink] = {}
        limits = gateway.limits
        self._cookies = Cookies(secrets.token_bytes(32), limits.cookie_lifetime_s)
        self._joins = AddressLimiter(limits.joins_per_second, limits.join_burst, limits.tracked_addresses)
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.stats.received += 1
        link = self._links.get(addr)
        if link is None:
            self._stranger(data, addr)
        elif len(data) <= self.gateway.limits.max_message_bytes:
            message = self.gateway.read(link, data)
            # A joined client joins again when its welcome was lost or its game restarted on the same port:
            # that must be proven like the first time.
            if isinstance(message, Join):
                self._door(message, len(data), addr)
            elif message is not None:
                self.gateway.handle(link, message)

    def error_received(self, exc: Exception) -> None:
        # An unreachable client is found by its silence; the error names no address that could be trusted.
        self.stats.send_failed += 1

    def transmit(self, data: bytes, address: Address) -> bool:
        """Send a datagram now or drop it, as the network would.

        The socket is used directly: a transport would queue without bound what does not fit the socket's buffer.
        """
        try:
            self._socket.sendto(data, address)
        except OSError:
            self.stats.send_failed += 1
            return False
        self.stats.sent += 1
        return True

    def forget(self, address: Address) -> None:
        """This address is a stranger from now on."""
        self._links.pop(address, None)

    async def close(self) -> None:
        """Stop receiving."""
        if self._transport is not None:
            self._transport.close()

    def _stranger(self, data: bytes, addr: Address) -> None:
        if len(data) <= self.gateway.limits.max_message_bytes:
            try:
                message = decode(data)
            except BadMessage:
                message = None
            if isinstance(message, Join):
                self._door(message, len(data), addr)
                return
        self.gateway.stats.strangers += 1

    def _door(self, message: Join, size: int, addr: Address) -> None:
        """Challenge, refuse or admit. Nothing sent before the admission is longer than the request."""
        now = self.gateway.now_ms()
        name = f"{addr[0]}|{addr[1]}"
        if not self._cookies.valid(message.cookie, name, now):
            self.stats.challenges += 1
            self._answer(encode(Challenge(self._cookies.issue(name, now))), size, addr)
            return
        if not self._joins.take(str(addr[0]), now):
            self.stats.joins_limited += 1
            return
        known = self._links.get(addr)
        link = known or UdpLink(self, addr)
        self._links[addr] = link  # before the join: the welcome goes out inside it
        try:
            self.gateway.join(link, message.token)
        except JoinRefused as error:
            if known is None:
                self.forget(addr)
            full = encode(Error(error.code, error.detail))
            self._answer(full if len(full) <= size else encode(Error(error.code)), size, addr)

    def _answer(self, reply: bytes, size: int, addr: Address) -> None:
        if len(reply) <= size:
            self.transmit(reply, addr)


class UdpLink:
    """A joined client's address."""

    __slots__ = ("_server", "address")

    datagram: Final = True

    def __init__(self, server: UdpServer, address: Address) -> None:
        self._server = server
        self.address = address

    def send(self, message: bytes) -> None:
        self._server.transmit(message, self.address)

    def offer(self, message: bytes) -> bool:
        return self._server.transmit(message, self.address)

    def close(self) -> None:
        self._server.forget(self.address)


async def serve_udp(gateway: Gateway, host: str, port: int) -> UdpServer:
    """Offer the gateway over UDP. Raises `OSError` when the port is taken."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    family, kind, proto, _, address = infos[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, gateway.limits.udp_buffer_bytes)
        sock.bind(address)
        server = UdpServer(gateway, sock)
        await loop.create_datagram_endpoint(lambda: server, sock=sock)
    except BaseException:
        sock.close()
        raise
    return server
