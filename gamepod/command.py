"""The environment that a game's command is started with. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.gameenv import of_match, told
from core.model import Match

# Of our own environment a game gets these and no others: the rest may be secrets.
INHERITED: Final = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "USER")


def child_env(
    own: Mapping[str, str],
    given: Mapping[str, str],
    ports: Mapping[str, int],
    *,
    sdk_ports: tuple[int, int],
    match: Match,
    server: str,
) -> dict[str, str]:
    """The environment of the game: what it registered, and over that what Muster tells it."""
    env = {name: own[name] for name in INHERITED if name in own}
    return env | dict(given) | of_match(match) | told(ports, sdk_ports=sdk_ports, match=match.id, server=server)
