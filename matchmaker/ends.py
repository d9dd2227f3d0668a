"""The last lines of a match's log: that it is over, and that its server has ended, each once and with its trace.

A launcher names a server and nothing else, and often when the match is over already: so the names of live matches'
servers are kept, and of the last that were over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from core.clock import now_ms
from core.log import Stage

LEAVING: Final = 4096  # servers whose match is over; of more the oldest end without a line of ours

Told = dict[str, str]

match_over = Stage("matchmaker.watch", "match over")
server_ended = Stage("matchmaker.watch", "server ended")


class Ends:
    """Of one game."""

    def __init__(self, game: str) -> None:
        self._game = game
        self._live: dict[str, Told] = {}  # by match
        self._by_server: dict[str, str] = {}  # of them, those whose server was not seen to end
        self._leaving: dict[str, Told] = {}  # by server; the match is over

    def live(self, match: str, server: str, trace: str) -> None:
        """The match is live, and this is what its server is called, or will be."""
        known = self._live.get(match)
        if known is None or known["server"] != server:
            if known is not None:
                self._by_server.pop(known["server"], None)
            self._live[match] = {"game": self._game, "match": match, "server": server, "trace": trace}
            self._by_server[server] = match

    def over(self, matches: Iterable[str]) -> None:
        """These were live, and are not any more."""
        now = now_ms()
        for match in matches:
            told = self._live.pop(match, None)
            if told is None:
                continue
            match_over(now, {**told})
            if self._by_server.pop(told["server"], None) is not None:
                self._leaving[told["server"]] = told
        while len(self._leaving) > LEAVING:
            del self._leaving[next(iter(self._leaving))]

    def server_ended(self, server: str) -> None:
        """The launcher saw it end."""
        match = self._by_server.pop(server, "")
        told = self._live.get(match) or self._leaving.pop(server, None)
        if told is not None:
            server_ended(now_ms(), {**told})
