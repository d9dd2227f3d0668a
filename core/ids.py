"""Names of things: how ids are made and how they are recognised.

An id is a prefix that tells the kind and 26 characters of Crockford base 32, as in ULID: 48 bits of UTC
milliseconds, then 80 random bits, so ids sort by birth and never collide across processes. Time and chance are
arguments, which keeps this module pure; `core.clock.new_id` brings them.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Kind = Literal[
    "player",
    "ticket",
    "match",
    "server",
    "session",
    "party",
    "event",
    "backfill",
    "exchange",
    "standby",
    "apikey",
    "invitation",
]

PREFIX: Final[dict[Kind, str]] = {
    "player": "p",
    "ticket": "t",
    "match": "m",
    "server": "s",
    "session": "ses",
    "party": "pty",
    "event": "e",
    "backfill": "b",
    "exchange": "x",
    "standby": "w",  # a server that is started before it has a match
    "apikey": "key",
    "invitation": "inv",
}

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]  # two letters at once: half the time
_TO_DIGITS: Final = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
BODY_LETTERS: Final = 26
_BODY = r"[0-9a-hjkmnp-tv-z]{26}"
_PATTERN: Final = {kind: re.compile(rf"{prefix}-{_BODY}") for kind, prefix in PREFIX.items()}
_GAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")

RANDOM_BYTES: Final = 10


def make_id(kind: Kind, now_ms: int, chance: bytes) -> str:
    """`kind`'s prefix and a ULID of `now_ms` and ten random bytes, lower case (fit for a DNS label)."""
    if len(chance) != RANDOM_BYTES:
        raise ValueError(f"an id takes {RANDOM_BYTES} random bytes, not {len(chance)}")
    number = (now_ms & (1 << 48) - 1) << 80 | int.from_bytes(chance)
    body = "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
    return f"{PREFIX[kind]}-{body}"


def made_ms(id_: str) -> int:
    """The UTC milliseconds in an id that `make_id` made."""
    return number_of(id_) >> 80


def number_of(id_: str) -> int:
    """The 128 bits in an id that `make_id` made. Raises ValueError for a text that is none."""
    letters = id_.rpartition("-")[2]
    if len(letters) != BODY_LETTERS:
        raise ValueError(f"{id_[:64]!r} is no id")
    # int() reads base 32 with another alphabet: the letters are exchanged first.
    return int(letters.translate(_TO_DIGITS), 32)


def is_id(kind: Kind, text: str) -> bool:
    """Whether `text` has the form of an id of this kind. Says nothing about whether it exists."""
    return _PATTERN[kind].fullmatch(text) is not None


def is_game_id(text: str) -> bool:
    """Games are named by their developer: a DNS label of 1-40 characters, lower case."""
    return _GAME.fullmatch(text) is not None
