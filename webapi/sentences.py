"""What a matchmaker tells of a queue, as the API tells it: documents, and a sentence for people. PURE."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, Struct

from core.insight import Figures, WhyNot
from webapi.queue_documents import Queue, WhyNotYet

SENTENCES: Final = {
    "teams": "Too few players wait that would fill the teams",
    "full": "The game has as many servers as it may: the next match waits for one to end",
    "no_room": "There is no room for another server now: the next match waits for one to end",
    "behind": "So many wait that those who came earlier are looked at first",
    "draining": "No new match is made now, by the operator",
    "broken": "The game's registration cannot be read: its developer has to mend it",
}


class Facts(Struct, frozen=True):
    """Of a queue, what Redis knows without its matchmaker. `owner` is the one that works it, '' for none."""

    game: str
    waiting: int
    oldest_ms: int | None
    owner: str


def why_document(why: WhyNot, now_ms: int) -> WhyNotYet:
    """An answer as the API tells it."""
    relaxes_in_s = None if why.opens_ms is None else round(max(0, why.opens_ms - now_ms) / 1000, 3)
    return WhyNotYet(
        reason=why.reason,
        detail=_sentence(why, relaxes_in_s),
        age_s=_age_s(why.at_ms, now_ms),
        waiting_tickets=why.tickets,
        waiting_players=why.players,
        rule=why.rule or UNSET,
        wanted=why.wanted or UNSET,
        own=_set(why.own),
        met=_set(why.met),
        times=why.times or UNSET,
        relaxes_in_s=_set(relaxes_in_s),
    )


def queue_document(facts: Facts, told: Figures | None, now_ms: int) -> Queue:
    """A queue as the API tells it."""
    oldest_ms = now_ms if facts.oldest_ms is None else facts.oldest_ms
    queue = Queue(
        game=facts.game,
        waiting_tickets=facts.waiting,
        oldest_wait_s=round(max(0, now_ms - oldest_ms) / 1000, 3),
        matchmaker=facts.owner or UNSET,
    )
    if told is None:
        return queue
    return Queue(
        game=queue.game,
        waiting_tickets=queue.waiting_tickets,
        oldest_wait_s=queue.oldest_wait_s,
        matchmaker=queue.matchmaker,
        age_s=_age_s(told.at_ms, now_ms),
        waiting_players=told.players,
        held_up=told.held_up,
        detail=told.detail or UNSET,
        lately=told.lately,
    )


def _sentence(why: WhyNot, relaxes_in_s: float | None) -> str:
    """Such as "Skill: within 50; you 1200, met 1420; relaxes in 12 s"."""
    parts = [f"{why.rule}: {why.wanted}"] if why.reason == "rule" else [SENTENCES[why.reason]]
    if why.reason in ("teams", "draining") and why.wanted:
        parts = [f"{parts[0]}: {why.wanted}"]
    if why.own is not None:
        met = "" if why.met is None else f", met {_shown(why.met)}"
        parts.append(f"you {_shown(why.own)}{met}")
    if relaxes_in_s is not None:
        parts.append(f"relaxes in {relaxes_in_s:.0f} s")
    return "; ".join(parts)


def _shown(value: float | str) -> str:
    """A number as people write it."""
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def _age_s(at_ms: int, now_ms: int) -> float:
    return round(max(0, now_ms - at_ms) / 1000, 3)


def _set(value: Any) -> Any:
    return UNSET if value is None else value
