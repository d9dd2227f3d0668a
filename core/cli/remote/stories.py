"""`muster story`, `muster flags`: what happened, and what cannot be right."""

from __future__ import annotations

from typing import Any

import click

from core.cli.remote.shown import remote, show
from core.cli.remote.site import Site
from core.ids import is_id


@click.command()
@click.argument("game")
@click.argument("what", metavar="ID")
@remote
def story(to: Site, game: str, what: str) -> None:
    """What happened to a match, or to a player, of GAME: from ticket to end, with reasons."""
    if is_id("match", what):
        document = to.call("GET", "matches", game, what, "story")
    elif is_id("player", what):
        document = to.call("GET", "games", game, "players", what, "story")
    else:
        raise click.BadParameter(f"{what!r} is the id of no match (m-...) and no player (p-...)", param_hint="ID")
    show(document, [_row(one) for one in document["events"]], ("when", "what", "who", "about"), none="nothing is known")
    if document["partial"] and not click.get_current_context().obj.as_json:
        click.echo("\nMore was logged than is looked through: something may be missing.")


@click.command()
@click.argument("game", required=False, default="")
@click.option("--limit", default=50, show_default=True, metavar="N")
@remote
def flags(to: Site, game: str, *, limit: int) -> None:
    """What cannot be right: in GAME, or, for admins, anywhere."""
    where = ("games", game, "flags") if game else ("flags",)
    document = to.call("GET", *where, limit=limit)
    rows = [
        (one["at"], one["event"], one["game"], one["player"] or one["about"].get("who", ""), one["match"], _about(one))
        for one in document["flags"]
    ]
    show(document, rows, ("when", "what", "game", "who", "match", "about"), none="nothing")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    detail = {name: value for name, value in one.get("detail", {}).items() if not isinstance(value, list | dict)}
    told = [one.get("reason", ""), *(f"{name}={value}" for name, value in detail.items() if value not in ("", None))]
    return one["at"], one["event"], one.get("name") or one.get("player", ""), " ".join(filter(None, told))


def _about(flag: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in flag["about"].items() if name != "who")


COMMANDS = (story, flags)
