"""The one interface to whatever runs servers: processes here, containers and pods elsewhere.

A server is named after its match, and that name is all a launcher needs to remember: every call may be repeated, by
any replica, after any crash. A launcher never reads or judges a match; it starts, ends and tells what it sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from core.errors import MusterError, Refused
from core.model import Match

EXIT_TURNED_AWAY: Final = 3  # of a server process whose match another process has
OUTPUT_BYTES: Final = 65_536  # of what a game wrote first, in which the line that means ready is looked for


class LaunchRefused(Refused):
    """This launcher cannot start that server, now or later: the registration or the host must change."""

    code = "launch-refused"


class LaunchRetryable(MusterError):
    """No server now (no room, no memory, a full disk). The match is looked at again within a second."""

    code = "launch-retryable"


@dataclass(frozen=True, slots=True)
class Seen:
    """A server that runs here, or that ran here and was seen to end.

    `exit_code` of one that ended is None where nobody could learn it (it was not our child); minus a signal's number
    where that ended it. `detail` and `output` are for the game's developer.
    """

    match: str
    game: str
    pid: int
    since_ms: int
    rss_bytes: int = 0
    stopping: bool = False
    ended: bool = False
    exit_code: int | None = None
    tells: bool = True  # it tells its match how that ended; otherwise its exit code does
    stuck: bool = False  # it does not run, and will not as it is: its image is missing, ...
    homeless: bool = False  # no host has room for it so far
    remains: bool = False  # it has ended, and `stop` removes what is left of it
    detail: str = ""  # why it ended, or does not run yet
    output: tuple[str, ...] = ()  # its last lines, where they came with its end


# Told (game, match) when a server ended by itself. Never waits.
Changed = Callable[[str, str], None]


class Launcher(Protocol):
    """See the module."""

    @property
    def host(self) -> str:
        """Who sees these servers: the same for all matchmakers that see the same ones."""

    @property
    def blind(self) -> bool:
        """Whether what it sees is out of date, because nobody can be asked: a server may have ended as it should."""

    def room(self) -> int:
        """How many more servers could be started now. A match is not made where its server has no place."""

    async def start(self, match: Match) -> None:
        """Start the server of `match`, unless it runs. Does not wait until it is ready.

        Raises LaunchRefused or LaunchRetryable; then nothing was started.
        """

    def settled(self, match: str) -> None:
        """The server of `match` has started (or never will): whoever bounds its starts may begin the next."""

    async def stop(self, match: str, grace_s: float) -> None:
        """Ask the server of `match` to end, and end it after `grace_s`. Returns at once; unknown ones are ignored."""

    async def seen(self) -> Mapping[str, Seen]:
        """By match: the servers that run here, whoever started them, and those that ended lately."""

    async def tail(self, match: str) -> list[str]:
        """The last lines that the server of `match` wrote, for people. Empty where there are none."""

    async def output(self, match: str) -> str:
        """The first `OUTPUT_BYTES` that the game of `match` wrote, where its sidecar cannot see them itself."""

    async def close(self, *, stop_servers: bool) -> None:
        """Let go. With `stop_servers`, end all servers first; otherwise they play on."""
