"""`muster story`, `muster flags`: what happened, and what cannot be right."""

from __future__ import annotations

from typing import Any, Final

import click

from core.cli.remote.shown import fields, remote, show
from core.cli.remote.site import Site
from core.ids import is_id

NEVER: Final = "nobody ever counted events here, so nothing could be found"


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
    hint = _nobody(document)
    none = f"nothing: {hint}" if hint else "nothing that cannot be right"
    show(document, rows, ("when", "what", "game", "who", "match", "about"), none=none)
    if rows and hint and not click.get_current_context().obj.as_json:
        click.echo(f"\n{hint[0].upper()}{hint[1:]}")


def _nobody(document: dict[str, Any]) -> str:
    """What to do where nobody looks for what cannot be right; '' where somebody does."""
    if document["counting"]:
        return ""
    since = f"nobody has counted events since {document['counted_at']}" if "counted_at" in document else NEVER
    return f"{since}. Start `python -m core.analytics` (docs/operating.md, Analytics)"


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    told = [one.get("reason", ""), *_told(one.get("detail", {}))]
    return one["at"], one["event"], one.get("name") or one.get("player", ""), " ".join(filter(None, told))


def _told(about: dict[str, Any], *without: str) -> list[str]:
    return [f"{name.replace(' ', '_')}={value}" for name, value in fields(about, *without) if value not in ("", None)]


def _about(flag: dict[str, Any]) -> str:
    return " ".join(_told(flag["about"], "who"))


COMMANDS = (story, flags)
