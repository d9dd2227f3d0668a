"""What the keys of a backup are, in words for people. PURE; `core.keys` is the table of all keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_KEY: Final = re.compile(r"muster:(?:(?P<noun>[a-z_]+):)?\{(?P<tag>[^}]*)\}(?::(?P<first>[a-z_]+))?")
_NOUNS: Final = {"account": "accounts", "login": "user names", "sessions": "logins", "party": "parties"}
_OF_A_GAME: Final = {"game": "games", "ticket": "tickets", "match": "matches"}
_OF_A_SHARD: Final = {"log": "logs of interactions", "commands": "players' states"}
OTHERS: Final = "others"


def kind_of(key: bytes) -> str:
    """What a key holds one of, in the plural: `accounts`, `tickets`; `others` for what is not told of by itself."""
    found = _KEY.match(key.decode(errors="replace"))
    if found is None:
        return OTHERS
    noun, tag, first = found["noun"], found["tag"], found["first"] or ""
    if noun:
        return _NOUNS.get(noun, OTHERS)
    _, _, part = tag.partition(".")
    if part == "boards":
        return "boards and ratings"
    if part == "items":
        return "inventories" if first == "inv" else OTHERS
    return (_OF_A_SHARD if part else _OF_A_GAME).get(first, OTHERS)


def told(counts: Mapping[str, int]) -> str:
    """How many of which, the others last: `12 accounts, 3 games, 40 others`."""
    order = sorted(counts.items(), key=lambda one: (one[0] == OTHERS, -one[1], one[0]))
    return ", ".join(f"{count:,} {kind}" for kind, count in order)
