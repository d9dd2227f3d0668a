"""Games with plain teams: against an independent, obvious checker, and exhaustive search in small pools."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import GameSpec, Server, Team, TicketPlayer, Waiting
from core.rules import rule_set
from matchmaker.rules import Pool, Proposal, form

NOW = 1_000_000
WAIT_S = 5.0
DUEL = [Team("players", 2, 2)]


def pool(*sizes_and_ages: tuple[int, int]) -> list[Waiting]:
    """Tickets (players, ms waited so far), oldest first, with ids in the order given."""
    tickets = [
        Waiting(f"t{i}", NOW - age, [TicketPlayer(f"p{i}.{j}") for j in range(size)])
        for i, (size, age) in enumerate(sizes_and_ages)
    ]
    return sorted(tickets, key=lambda ticket: ticket.since_ms)


def matched(tickets: Sequence[Waiting], teams: Sequence[Team]) -> list[Proposal]:
    """Matches of passes one after the other, until one finds nothing."""
    rules = rule_set(GameSpec(server=Server(arena={}), teams=list(teams), fill_wait_s=WAIT_S))
    left = Pool.of(rules, tickets)
    found: list[Proposal] = []
    while made := form(left, rules, NOW, seed=1).proposals:
        found += made
        for proposal in made:
            for ticket in proposal.tickets:
                left.remove(ticket)
    return found


def legal(filled: Sequence[int], teams: Sequence[Team], *, due: bool) -> bool:
    """The rule, said plainly: every team full, or, when due, every team within its bounds."""
    full = all(players == team.max_players for players, team in zip(filled, teams, strict=True))
    bounds = zip(filled, teams, strict=True)
    return full or (due and all(team.min_players <= players <= team.max_players for players, team in bounds))


def players_by_team(proposal: Proposal, tickets: Sequence[Waiting], teams: Sequence[Team]) -> list[int]:
    size = {ticket.id: len(ticket.players) for ticket in tickets}
    return [sum(size[ticket] for ticket in proposal.teams[team.name]) for team in teams]


def is_due(ticket: Waiting) -> bool:
    return ticket.since_ms + WAIT_S * 1000 <= NOW


def possible(tickets: Sequence[Waiting], teams: Sequence[Team]) -> bool:
    """Whether any choice of teams for any of these tickets, with the first among them, makes a legal match."""
    for choice in product(range(-1, len(teams)), repeat=len(tickets)):
        if choice[0] >= 0:
            filled = [0] * len(teams)
            for ticket, team in zip(tickets, choice, strict=True):
                if team >= 0:
                    filled[team] += len(ticket.players)
            if legal(filled, teams, due=is_due(tickets[0])):
                return True
    return False


teams_of_any_shape = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=3).map(
    lambda bounds: [Team(f"team{i}", least, least + more) for i, (least, more) in enumerate(bounds)]
)
ages = st.integers(0, 10_000)
# Which of two tickets of one millisecond is the older is nobody's business.
small_pools = st.lists(st.tuples(st.integers(1, 5), ages), max_size=6, unique_by=lambda item: item[1]).map(
    lambda items: pool(*items)
)
large_pools = st.lists(st.tuples(st.integers(1, 10), ages), max_size=60).map(lambda items: pool(*items))


@settings(deadline=None)
@given(large_pools, teams_of_any_shape)
def test_every_match_is_legal(tickets: list[Waiting], teams: list[Team]) -> None:
    """Nobody is in two matches, tickets stay whole and in one team, bounds are kept."""
    proposals = matched(tickets, teams)
    seen = [name for proposal in proposals for name in proposal.tickets]
    assert len(seen) == len(set(seen))
    by_id = {ticket.id: ticket for ticket in tickets}
    assert set(seen) <= set(by_id)
    for proposal in proposals:
        oldest = min((by_id[name] for name in proposal.tickets), key=lambda ticket: ticket.since_ms)
        assert legal(players_by_team(proposal, tickets, teams), teams, due=is_due(oldest))


@settings(deadline=None)
@given(small_pools, teams_of_any_shape)
def test_no_anchor_is_starved(tickets: list[Waiting], teams: list[Team]) -> None:
    """The oldest ticket is matched exactly when any legal match with it exists, and nothing that could be is left."""
    proposals = matched(tickets, teams)
    in_match = {name for proposal in proposals for name in proposal.tickets}
    if tickets:
        assert (tickets[0].id in in_match) == possible(tickets, teams)
    left = [ticket for ticket in tickets if ticket.id not in in_match]
    for place in range(len(left)):
        assert not possible(left[place:], teams), f"{left[place].id} could have been matched"


def test_singles_are_matched_in_order_of_age() -> None:
    """Five single players make two duels of the four oldest; the youngest waits."""
    tickets = pool((1, 50), (1, 40), (1, 30), (1, 20), (1, 10))
    assert sorted(name for p in matched(tickets, DUEL) for name in p.tickets) == ["t0", "t1", "t2", "t3"]


def test_a_full_match_is_made_at_once_and_a_smaller_one_after_the_wait() -> None:
    """Two of 2-4 players wait for more until the older has waited `fill_wait_s`."""
    teams = [Team("players", 2, 4)]
    assert matched(pool((1, 4000), (1, 10)), teams) == []
    assert [sorted(p.tickets) for p in matched(pool((1, 5000), (1, 10)), teams)] == [["t0", "t1"]]
    assert len(matched(pool((1, 4), (1, 3), (1, 2), (1, 1)), teams)) == 1


def test_a_smaller_match_takes_as_many_as_fit() -> None:
    """Once the minimum suffices, everybody who fits comes along, spread over the teams."""
    teams = [Team("red", 1, 3), Team("blue", 1, 3)]
    tickets = pool((1, 6000), (1, 50), (1, 40), (1, 30))
    [proposal] = matched(tickets, teams)
    assert sorted(players_by_team(proposal, tickets, teams)) == [2, 2]


def test_parties_need_the_right_combination() -> None:
    """Where taking the oldest first would never fill a team, the combination that does is found."""
    teams = [Team("players", 4, 4)]
    [proposal] = matched(pool((2, 50), (1, 40), (2, 30)), teams)
    assert sorted(proposal.tickets) == ["t0", "t2"]


def test_a_ticket_that_fits_nowhere_stops_nobody() -> None:
    """A party larger than any team stays in the queue and the others are matched."""
    tickets = pool((5, 9000), (1, 20), (1, 10))
    assert [sorted(p.tickets) for p in matched(tickets, DUEL)] == [["t1", "t2"]]
