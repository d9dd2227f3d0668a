"""Rock-paper-scissors for two over raw TCP: `python3 server.py PORT [ADDRESS]`. It knows nothing of Muster.

One byte is one message. A player sends R, P or S; when both have, each is answered W, L or D (won, lost, draw). Who
wins two rounds has won; the server closes both connections and exits with 0. Any other byte is answered with `?`. A
player who hangs up, or thinks for longer than THINK_S, has lost the game.
"""

from __future__ import annotations

import asyncio
import sys

WINS = 2
THINK_S = 60.0
BEATS = {b"R": b"S", b"S": b"P", b"P": b"R"}


def judge(first: bytes, second: bytes) -> tuple[bytes, bytes]:
    """What the players are told of a round."""
    if first == second:
        return b"D", b"D"
    return (b"W", b"L") if BEATS[first] == second else (b"L", b"W")


class Player:
    """A connection that has spoken; `first` is the byte it spoke."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes) -> None:
        self.reader, self.writer = reader, writer
        self.wins = 0
        self._first = first

    async def throw(self) -> bytes | None:
        """The player's R, P or S; None where he gives up."""
        try:
            async with asyncio.timeout(THINK_S):
                while byte := self._first or await self.reader.read(1):
                    self._first = b""
                    if byte in BEATS:
                        return byte
                    self.writer.write(b"?")
        except (TimeoutError, OSError):
            pass
        return None

    async def tell(self, answer: bytes) -> None:
        """Answer a round; whoever hung up meanwhile misses it."""
        self.wins += answer == b"W"
        self.writer.write(answer)
        await asyncio.gather(self.writer.drain(), return_exceptions=True)


async def play(one: Player, two: Player) -> None:
    """One game, until somebody has won WINS rounds or gave up."""
    while max(one.wins, two.wins) < WINS:
        first, second = await asyncio.gather(one.throw(), two.throw())
        if first is None or second is None:
            await asyncio.gather(one.tell(b"W" if first else b"L"), two.tell(b"W" if second else b"L"))
            return
        answers = judge(first, second)
        await asyncio.gather(one.tell(answers[0]), two.tell(answers[1]))


async def main(port: int, address: str = "127.0.0.1") -> None:
    """Wait for two players, let them play, end."""
    players: list[Player] = []
    complete = asyncio.Event()

    async def seat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever only tries whether the port is open hangs up without a word, and is no player.
        first = await reader.read(1)
        if not first or len(players) == 2:
            writer.close()
            return
        players.append(Player(reader, writer, first))
        if len(players) == 2:
            complete.set()

    async with await asyncio.start_server(seat, address, port):
        await complete.wait()
        await play(*players)
        for player in players:
            player.writer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:3]))
