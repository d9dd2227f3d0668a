"""`muster games`: registrations."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import click
import yaml

from core.cli.remote.shown import field, remote, show, show_one
from core.cli.remote.site import Site
from core.cli.rest import Answer
from core.errors import Invalid

MAX_FILE_BYTES = 1_000_000


@click.group()
def games() -> None:
    """Games and their registrations, for developers."""


@games.command("list")
@remote
def listing(to: Site) -> None:
    """All registered games."""
    document = to.call("GET", "games")
    rows = [
        (g["id"], g["spec"].get("name", ""), served_by(g["spec"]), str(g["version"]), g["updated_at"])
        for g in document["games"]
    ]
    show(document, rows, ("game", "name", "served by", "version", "updated"), none="no game is registered")


@games.command("show")
@click.argument("game")
@remote
def one(to: Site, game: str) -> None:
    """The registration of GAME, as YAML that `register` takes."""
    document = to.call("GET", "games", game)
    if click.get_current_context().obj.as_json:
        show(document, (), (), none="")
        return
    click.echo(f"# version {document['version']}, of {document['updated_at']}")
    click.echo(yaml.safe_dump({"id": document["id"], **document["spec"]}, sort_keys=False, allow_unicode=True).rstrip())


@games.command("register")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--version", type=int, help="Only where the registration is still of this version.")
@remote
def register(to: Site, file: Path, *, version: int | None) -> None:
    """Register the game described in FILE (YAML or JSON), or change its registration.

    New matches are made by it; those that run keep theirs.
    """
    spec = read(file)
    try:
        there = to.call("GET", "games", spec["id"])
    except Answer as refusal:
        if refusal.status != HTTPStatus.NOT_FOUND:
            raise
        document, done = to.call("POST", "games", body=spec), "registered"
    else:
        body = {name: value for name, value in spec.items() if name != "id"}
        document = to.call("PUT", "games", spec["id"], body=body, version=version or there["version"])
        done = "changed" if document["version"] != there["version"] else "unchanged"
    for warning in document["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    show_one(document, [(done, document["id"]), field("version", document["version"])])


@games.command("remove")
@click.argument("game")
@click.confirmation_option(prompt="Nobody can queue for it any more, and its boards stay. Remove it?")
@remote
def remove(to: Site, game: str) -> None:
    """Remove the registration of GAME."""
    to.call("DELETE", "games", game)
    click.echo(f"removed {game}")


@games.command("versions")
@click.argument("game")
@remote
def versions(to: Site, game: str) -> None:
    """Versions of GAME, newest first, and what came of their matches."""
    document = to.call("GET", "games", game, "versions")
    rows = [
        (str(v["version"]), v["state"], v["at"], *(v["matches"][of] for of in ("created", "judged", "faults")))
        for v in document["versions"]
    ]
    show(document, rows, ("version", "state", "since", "matches", "judged", "faults"), none="nothing is kept")


@games.command("rollback")
@click.argument("game")
@click.argument("version", type=int)
@remote
def rollback(to: Site, game: str, version: int) -> None:
    """Make a new version of GAME that is equal to VERSION."""
    there = to.call("GET", "games", game)["version"]
    document = to.call("POST", "games", game, "rollback", body={"version": version}, version=there)
    show_one(document, [field("version", document["version"]), ("as", str(version))])


def served_by(spec: dict[str, Any]) -> str:
    """What runs a match of it, in a word."""
    server = spec.get("server", {})
    for kind in ("image", "command"):
        if server.get(kind):
            value = server[kind]
            return value if isinstance(value, str) else " ".join(value)
    return next(iter(server), "")


def read(file: Path) -> dict[str, Any]:
    """A registration in YAML or JSON. Raises Invalid, with the line."""
    if file.stat().st_size > MAX_FILE_BYTES:
        raise Invalid(f"{file} is larger than {MAX_FILE_BYTES} bytes")
    try:
        found = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} is neither YAML nor JSON: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        raise Invalid(f"{file} has no `id`: a registration begins with the game's id", pointer="/id")
    return found


COMMANDS = (games,)
