"""Which of a player's commands are interactions, the facts that go to Redis: one value per accepted command.

Only an accepted `move`, a `shoot` that damaged somebody, or an exchange of items that was made, is an interaction. A
shot that hits nobody is a game event and costs mana, but it is not written: an attack without a target has no key. A
player's `accepted` counter grows by one per interaction, so a client can compare it with the log exactly; an exchange
counts for who offered.

The values themselves are the whole project's (`core.interactions`). Here a move's place is where the tank stood
when the steering took hold, an attack's damage is what the target really lost, and an id is
`<id prefix of the session>-<counter>`.
"""

from __future__ import annotations

from core.interactions import Attack, Exchange, Move

__all__ = ["Attack", "Exchange", "Interaction", "Move"]

Interaction = Move | Attack | Exchange
