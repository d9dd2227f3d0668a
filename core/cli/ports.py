"""Ports that a stack needs: are they free, and who has them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import psutil

from core.cli.settings import LOOPBACK
from core.errors import Misconfigured

SERVICES: Final = frozenset({"webapi", "matchmaker", "gamepod"})  # as `python -m` knows them


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback."""
    with socket.socket() as probe:
        # As servers do: what is left of closed connections is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    try:
        process = _listener(port)
        return f"{process.name()} (pid {process.pid})" if process is not None else "a program of another user"
    except psutil.Error:
        return "a program of another user"


def service(port: int) -> str:
    """Which of Muster's services listens on a port, '' for none that this user may know."""
    try:
        process = _listener(port)
        command = process.cmdline() if process is not None else []
    except psutil.Error:
        return ""
    return next((name for flag, name in pairwise(command) if flag == "-m" and name in SERVICES), "")


def _listener(port: int) -> psutil.Process | None:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port:
            return psutil.Process(connection.pid) if connection.pid is not None else None
    return None


def require_free(wanted: Mapping[str, tuple[int, str]]) -> None:
    """Raise Misconfigured for the first port that is taken. `wanted`: setting -> (port, what it is for)."""
    taken: dict[int, str] = {}
    for name, (port, what) in wanted.items():
        if port in taken:
            raise Misconfigured(f"port {port} is set twice: {taken[port]} and {what}", setting=name)
        taken[port] = what
        if not 0 < port < 65536:
            raise Misconfigured(f"{port} is no port number", setting=name)
        if not is_free(port):
            raise Misconfigured(
                f"port {port}, for {what}, is taken by {holder(port)}: stop that, or choose another port", setting=name
            )
