"""What a game's command is started with: its words, its environment, its ports by name. PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from core.errors import Invalid
from core.model import PORT_PLACEHOLDER, OpenPort, Port, Server

# Of our own environment a game gets these and no others: the rest may be secrets.
INHERITED: Final = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "USER")


def ports_wanted(server: Server) -> list[Port]:
    """The ports of a registration; one that names none gets a TCP port of Muster's choice."""
    return list(server.ports) or [Port()]


def fill(words: Sequence[str], ports: Sequence[OpenPort]) -> list[str]:
    """The command line with `{port}` (the first port) and `{port:name}` replaced. Raises Invalid for a strange name."""
    by_name = {port.name: port.port for port in ports}

    def number(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return str(ports[0].port)
        if name not in by_name:
            raise Invalid(
                f"the command line asks for {found.group(0)}, but the ports are {', '.join(by_name)}",
                pointer="/server/command",
            )
        return str(by_name[name])

    return [PORT_PLACEHOLDER.sub(number, word) for word in words]


def child_env(
    own: Mapping[str, str],
    given: Mapping[str, str],
    ports: Sequence[OpenPort],
    *,
    sdk_port: int,
    match: str,
    server: str,
) -> dict[str, str]:
    """The environment of the game: what it registered, and over that what Muster tells it."""
    env = {name: own[name] for name in INHERITED if name in own}
    env.update(given)
    env["PORT"] = str(ports[0].port)
    for port in ports:
        env[f"MUSTER_PORT_{_upper(port.name)}"] = str(port.port)
    env["AGONES_SDK_HTTP_PORT"] = str(sdk_port)
    env["MUSTER_MATCH"] = match
    env["MUSTER_SERVER"] = server
    return env


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
