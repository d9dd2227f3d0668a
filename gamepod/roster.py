"""Who has a seat in the match, as far as this server has heard, and who has left. PURE."""

from __future__ import annotations

from collections.abc import Iterable

from core.model import Match, MatchPlayer


class Roster:
    """Starts with the seats that the match was claimed with; `number` counts their changes, as Redis does."""

    def __init__(self, match: Match) -> None:
        self.match = match
        self.number = 0
        self.seats: dict[str, MatchPlayer] = {seat.id: seat for seat in match.players}
        self._left: set[str] = set()  # by their own will
        self._replaced: set[str] = set()  # had a seat that is another's now
        self._most = len(self.seats)

    @property
    def left(self) -> list[str]:
        """Players who left by their own will and have not come back."""
        return sorted(self._left)

    @property
    def free(self) -> int:
        """Seats of the most that there were which nobody has, or whose players have left."""
        return self._most - sum(player not in self._left for player in self.seats)

    def came(self, player: str) -> None:
        """A player is in the match."""
        self._left.discard(player)

    def went(self, player: str) -> None:
        """A player left by his own will."""
        self._left.add(player)

    def only_left(self, players: Iterable[str]) -> None:
        """These have left by their own will, and nobody else has."""
        self._left = set(players)

    def may_join(self, player: str) -> bool:
        """Whether a player with a token of this match may.

        The token is proof of a seat, be it one that this server has not heard of yet; but tokens outlive a seat that
        was left and given to another.
        """
        return player in self.seats or player not in self._replaced

    def change(self, match: Match, number: int) -> list[str]:
        """Take in new seats; returns the players who have none any more."""
        before, self.seats = self.seats, {seat.id: seat for seat in match.players}
        self.match, self.number = match, number
        out = [player for player in before if player not in self.seats]
        self._replaced.update(out)
        self._replaced.difference_update(self.seats)
        # Who left and has a seat on a new ticket is expected again.
        expected = {p for p, seat in self.seats.items() if p in before and before[p].ticket != seat.ticket}
        self._left = {p for p in self._left if p not in self._replaced and p not in expected}
        self._most = max(self._most, len(self.seats))
        return out
