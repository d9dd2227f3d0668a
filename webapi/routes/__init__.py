"""One file per noun of the API. `TABLES` is every route there is: the router and `/openapi.json` are built from it."""

from __future__ import annotations

from typing import Final

from webapi.endpoint import Table
from webapi.routes import (
    accounts,
    analytics,
    balances,
    boards,
    commands,
    data,
    drain,
    games,
    hooks,
    issuers,
    items,
    keys,
    matches,
    near,
    overview,
    parties,
    players,
    presence,
    queues,
    relay,
    seasons,
    service,
    stream,
    supply,
    tickets,
    versions,
)

TABLES: Final[tuple[Table, ...]] = (
    service.TABLE,
    accounts.TABLE,
    data.TABLE,
    keys.TABLE,
    issuers.TABLE,
    games.TABLE,
    versions.TABLE,
    tickets.TABLE,
    queues.TABLE,
    supply.TABLE,
    drain.TABLE,
    matches.TABLE,
    relay.TABLE,
    boards.TABLE,
    seasons.TABLE,
    players.TABLE,
    items.TABLE,
    near.TABLE,
    commands.TABLE,
    balances.TABLE,
    presence.TABLE,
    hooks.TABLE,
    parties.TABLE,
    stream.TABLE,
    overview.TABLE,
    analytics.TABLE,
)
