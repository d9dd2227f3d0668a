"""Keys: what one function touches lives in one slot, and what games and players are called cannot mix them up."""

from __future__ import annotations

import re
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from core import keys

games = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
ids = st.text("abcdefghjkmnpqrstvwxyz0123456789-", min_size=1, max_size=30)


def tag(key: str) -> str:
    """The part that Redis Cluster hashes."""
    found = re.search(r"\{(.+?)\}", key)
    assert found is not None
    return found[1]


@given(games, ids)
def test_a_game_lives_in_one_slot(game: str, name: str) -> None:
    """Everything a match is made from has the game's hash tag."""
    made = [keys.game(game), keys.registration(game), keys.ticket(game, name), keys.match(game, name)]
    assert {tag(key) for key in made} == {game}
    assert all(key.startswith(keys.game(game)) for key in made)


@given(games, ids)
def test_shards(game: str, name: str) -> None:
    """What is written of a match or a player spreads over a fixed number of slots of its game."""
    number = keys.shard_number(name)
    assert number == crc32(name.encode()) % keys.SHARDS
    assert tag(keys.shard(game, name)) == f"{game}.{number}"


@given(games, games, ids)
def test_no_two_things_share_a_key(game: str, other: str, name: str) -> None:
    """Names of games hold no dot or brace, so one's shards and boards are never another's."""
    made = [
        keys.game(game),
        keys.shard(game, name),
        keys.boards(game),
        keys.login(name),
        keys.account(name),
        keys.sessions(name),
        keys.revoked(name),
        keys.tries(name),
        keys.party(name),
        keys.party_code(name),
        keys.party_of(name),
    ]
    assert len(set(made)) == len(made)
    if game != other:
        assert not {keys.game(other), keys.shard(other, name), keys.boards(other)} & set(made)
