"""Write docs/lifecycle.md from the transition tables. `make docs` runs it; a test fails where the page is stale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from core.lifecycle import FAIL_REASONS, FINISH_REASONS, MATCH, REFUSAL_REASONS, STANDBY, STANDBY_REASONS, TICKET
from gamepod.sdk.state import SERVER

PAGE = Path(__file__).parent.parent / "docs" / "lifecycle.md"


S = TypeVar("S", bound=str)
E = TypeVar("E", bound=str)


def diagram(table: Mapping[tuple[S, E], S], *first: str) -> str:
    """A Mermaid state diagram of one table, with the states that a life may begin in."""
    rows = [f"    [*] --> {state}" for state in first]
    rows += [f"    {state} --> {after}: {event}" for (state, event), after in table.items()]
    lasting = dict.fromkeys(
        after for after in table.values() if all(to == after for (state, _), to in table.items() if state == after)
    )
    rows += [f"    {state} --> [*]" for state in lasting]
    return "\n".join(["```mermaid", "stateDiagram-v2", *rows, "```"])


def page() -> str:
    """The whole page."""
    return f"""# Lives

Drawn from `core/lifecycle.py` and `gamepod/sdk/state.py` by `make docs`; the Redis functions are generated from the
first. An event that a state does not list is illegal: it raises in Python, is refused in Redis, and changes nothing.

## Ticket
{diagram(TICKET, "QUEUED")}

A ticket that is `requeued` keeps its wait: its place in the queue is by the moment at which it first entered. After
`limits.tries` failed matches it is FAILED (`gave_up`). One that is `released` keeps its wait too, and its tries: its
match failed because of another ticket's player, who rejected it, did not answer in time, or cancelled while its server
started. One that is `backfilled` gets seats in a match that runs and asked for players: it is COMPLETED at once, and
requeued like the others if that match fails.

## Match
{diagram(MATCH, "PLACING", "REQUIRES_ACCEPTANCE")}

It begins in REQUIRES_ACCEPTANCE where the game has an `acceptance_timeout_s`.

Reasons of `finish`: {", ".join(f"`{r}`" for r in FINISH_REASONS)}.
Reasons of `fail`: {", ".join(f"`{r}`" for r in FAIL_REASONS)}; because of a player:
{", ".join(f"`{r}`" for r in REFUSAL_REASONS)}.

## Server without a match
{diagram(STANDBY, "Starting")}

Where a game's supply asks for servers before there are matches. Once Allocated it is its match's, for ever, and lives
as that does. Reasons of `stop`: {", ".join(f"`{r}`" for r in STANDBY_REASONS)}.

## Game server
{diagram(SERVER, "Scheduled")}

As its SDK sees it; the states are Agones'. A server started for its match has it: once its players know the address,
`ready_told` and `allocated` follow each `ready_asked` at once. `reserved` for a time is followed by `reserve_over`,
unless the game says something else before.
"""


if __name__ == "__main__":
    PAGE.write_text(page())
