"""Parties: what may follow what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import party as rules
from core.errors import Conflict, Forbidden, MusterError, NotFound
from core.model import MAX_PLAYERS_PER_TICKET
from core.party import Party


def _party(*players: str) -> Party:
    party = rules.found("pty-1", "code", players[0], players[0].upper(), 0)
    for player in players[1:]:
        party = rules.join(party, player, player.upper())
    return party


def _ready(party: Party, player: str, *, is_ready: bool = True) -> Party:
    return rules.ready(party, player, is_ready=is_ready, attributes={}, latencies={})


def test_codes_are_fit_for_reading_aloud() -> None:
    """Eight characters, none of which is taken for another."""
    code = rules.code(bytes(range(0, 256, 32)))
    assert len(code) == rules.CODE_LENGTH
    assert not set(code) & set("01ilou")


def test_joining_twice_is_joining_once() -> None:
    """A repeat changes nothing, not even the version."""
    party = _party("a", "b")
    assert rules.join(party, "b", "B") is party
    assert party.version == 2


def test_a_party_is_full_at_the_size_of_a_ticket() -> None:
    """One more member is refused, and the party stays as it is."""
    party = _party(*(f"p{i}" for i in range(MAX_PLAYERS_PER_TICKET)))
    with pytest.raises(Conflict, match="full"):
        rules.join(party, "late", "")
    assert len(party.members) == MAX_PLAYERS_PER_TICKET


def test_only_a_ready_party_waits() -> None:
    """The ticket is made by the leader, once all are ready; who is not is named."""
    party = _ready(_party("a", "b"), "a")
    with pytest.raises(Conflict, match="not ready yet: B"):
        rules.ticket_players(party, "a")
    party = _ready(party, "b")
    assert [player.id for player in rules.ticket_players(party, "a")] == ["a", "b"]
    with pytest.raises(Forbidden):
        rules.ticket_players(party, "b")
    assert _ready(party, "b") is party


def test_strangers_find_no_party() -> None:
    """To who is not a member it does not exist, whatever he asks of it."""
    party = _party("a")
    for ask in (
        lambda: rules.leave(party, "x"),
        lambda: rules.kick(party, "x", "a"),
        lambda: _ready(party, "x"),
        lambda: rules.ticket_players(party, "x"),
    ):
        with pytest.raises(NotFound):
            ask()


def test_its_ticket_is_told_once() -> None:
    """The same ticket again is no change."""
    party = rules.with_ticket(_party("a"), "tanks", "t-1")
    assert rules.with_ticket(party, "tanks", "t-1") is party
    assert rules.with_ticket(party, "tanks", "t-2").version == party.version + 1


@given(st.lists(st.tuples(st.sampled_from(["join", "leave", "kick", "ready"]), st.sampled_from("abcdefghijklm"))))
def test_whatever_happens_a_party_stays_sound(steps: list[tuple[str, str]]) -> None:
    """Members are distinct and bounded, the oldest leads, and the version rises with each change and only then."""
    party = _party("a")
    for step, player in steps:
        before = party
        try:
            match step:
                case "join":
                    party = rules.join(party, player, "")
                case "leave":
                    party = rules.leave(party, player)
                case "kick":
                    party = rules.kick(party, party.leader, player)
                case _:
                    party = _ready(party, player)
        except MusterError:
            assert party is before
        if not party.members:
            return
        ids = [member.id for member in party.members]
        assert len(ids) == len(set(ids)) <= MAX_PLAYERS_PER_TICKET
        assert party.leader in (before.leader, ids[0])
        assert party.version == before.version + (party is not before)
