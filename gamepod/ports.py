"""Ports of a game: the given ones, free ones where the choice is left to us, and whether somebody listens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from core.errors import Misconfigured, MusterError
from core.model import GivenPort, OpenPort, Port, Server, ports_of
from gamepod.settings import Settings

_LISTEN: Final = "0A"  # of the state column of /proc/net/tcp
_ESTABLISHED: Final = "01"
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


class PortTaken(MusterError):
    """A port that the game fixes is in use on this host."""

    code = "port-taken"


def given_ports(settings: Settings, server: Server) -> list[GivenPort]:
    """The ports that the launcher chose; where it chose none, those of the registration, the same for players."""
    if settings.ports:
        try:
            return msgspec.json.decode(settings.ports, type=list[GivenPort])
        except msgspec.DecodeError as error:
            raise Misconfigured(f"{settings.ports!r}: {error}", setting="MUSTER_PORTS") from None
    return [GivenPort(port.name, port.protocol, port.port, port.port) for port in ports_of(server)]


def choose_ports(wanted: Sequence[Port], bind: str) -> list[OpenPort]:
    """A free port for each that is 0, and the others as they are. Raises PortTaken.

    All are held until all are chosen, so they differ; then they are free for the game. Somebody else may be quicker:
    then the game cannot bind it and dies, and its players are queued again.
    """
    with ExitStack() as held:
        chosen = []
        for port in wanted:
            kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
            family = socket.AF_INET6 if ":" in bind else socket.AF_INET
            probe = held.enter_context(socket.socket(family, kind))
            if kind == socket.SOCK_STREAM:
                # As a server would: connections of an earlier match that linger do not keep it out.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((bind, port.port))
            except OSError as error:
                raise PortTaken(f"port {port.port} ({port.name}) is not free on {bind}: {error}") from None
            chosen.append(OpenPort(port.name, port.protocol, int(probe.getsockname()[1])))
        return chosen


async def listens(port: int) -> bool:
    """Whether somebody on this host listens on this TCP port.

    Read from the kernel's table where there is one: to connect would be an odd first player to a simple game.
    """
    tables = [table for table in _TABLES if table.exists()]
    if tables:
        return any(_in_table(table.read_text(), port) for table in tables)
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def connections(ports: Sequence[int]) -> int | None:
    """How many connections these TCP ports of ours have now; None where the kernel does not tell."""
    tables = [table for table in _TABLES if table.exists()]
    if not tables:
        return None
    return sum(_rows(table.read_text(), port, _ESTABLISHED) for table in tables for port in ports)


def _in_table(table: str, port: int) -> bool:
    return _rows(table, port, _LISTEN) > 0


def _rows(table: str, port: int, state: str) -> int:
    suffix = f":{port:04X}"
    rows = (line.split(maxsplit=4) for line in table.splitlines()[1:])
    return sum(row[1].endswith(suffix) and row[3] == state for row in rows)
