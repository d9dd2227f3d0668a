"""The transition tables: what they allow happens, what they do not raises and changes nothing."""

from __future__ import annotations

from itertools import product

import pytest

from core.errors import IllegalTransition
from core.lifecycle import (
    FAIL_REASONS,
    FINISH_REASONS,
    LIVE_MATCH,
    MATCH,
    OPEN_TICKET,
    REFUSAL_REASONS,
    TICKET,
    WAITING_TICKET,
    MatchEvent,
    MatchState,
    TicketEvent,
    TicketState,
    step_match,
    step_ticket,
)


@pytest.mark.parametrize(("state", "event"), list(product(TicketState, TicketEvent)))
def test_tickets(state: TicketState, event: TicketEvent) -> None:
    """Every pair of state and event is in the table or illegal."""
    if (state, event) in TICKET:
        assert step_ticket(state, event) is TICKET[state, event]
    else:
        with pytest.raises(IllegalTransition, match=state):
            step_ticket(state, event)


@pytest.mark.parametrize(("state", "event"), list(product(MatchState, MatchEvent)))
def test_matches(state: MatchState, event: MatchEvent) -> None:
    """Every pair of state and event is in the table or illegal."""
    if (state, event) in MATCH:
        assert step_match(state, event) is MATCH[state, event]
    else:
        with pytest.raises(IllegalTransition, match=state):
            step_match(state, event)


def test_sets_of_states() -> None:
    """The named sets are what the tables say: waiting can be claimed, live can end, the rest is final."""
    for event in (TicketEvent.CLAIMED, TicketEvent.PROPOSED):
        assert {s for s, e in TICKET if e is event} == WAITING_TICKET
    assert {s for s, _ in MATCH} == LIVE_MATCH
    assert WAITING_TICKET < OPEN_TICKET
    assert not {s for s, _ in TICKET} & {TicketState.CANCELLED, TicketState.TIMED_OUT, TicketState.FAILED}
    reasons = (*FAIL_REASONS, *FINISH_REASONS, *REFUSAL_REASONS)
    assert len(set(reasons)) == len(reasons)


def test_every_state_can_be_reached() -> None:
    """No state is dead."""
    assert set(TICKET.values()) == set(TicketState)
    assert set(MATCH.values()) == set(MatchState) - {MatchState.REQUIRES_ACCEPTANCE}
