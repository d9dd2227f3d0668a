"""`muster up`, `muster demo`: see `muster --help`."""

from __future__ import annotations

import os
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import click

from core.cli import demo, up
from core.cli.settings import StackSettings
from core.errors import Misconfigured, MusterError
from core.serve import EXIT_MISCONFIGURED
from core.settings import from_env


def version() -> str:
    """The installed version; in a source tree that nobody installed, the one that would be."""
    try:
        return metadata.version("muster")
    except metadata.PackageNotFoundError:
        project = Path(__file__).parents[2] / "pyproject.toml"
        return str(tomllib.loads(project.read_text())["project"]["version"])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="muster")
def cli() -> None:
    """Muster: game servers on demand."""


@cli.command("up")
@click.option("--verbose", "-v", is_flag=True, help="Show the services' logs here instead of in the data folder.")
def up_command(*, verbose: bool) -> None:
    """Run Redis, webapi and matchmaker here, and print the URL of the page.

    Data is kept in .data (MUSTER_DATA_DIR). With REDIS_URL set, that Redis is used and none is started.
    """
    raise SystemExit(up.run(from_env(StackSettings, os.environ), verbose=verbose))


@cli.command("demo")
@click.option("--players", default=100, show_default=True, metavar="N", help=f"Bots; a multiple of {demo.PER_MATCH}.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def demo_command(*, players: int, as_json: bool) -> None:
    """Send bots over UDP, TCP and WebSocket through the running stack, or through one of its own.

    Exits with 1 where a bot failed, an interaction is missing or a server is left over.
    """
    if players < demo.PER_MATCH or players % demo.PER_MATCH or players > demo.MAX_PLAYERS:
        raise click.BadParameter(
            f"{players} is not a multiple of {demo.PER_MATCH} up to {demo.MAX_PLAYERS}: a match of the demo has "
            f"{demo.PER_MATCH} players",
            param_hint="--players",
        )
    raise SystemExit(demo.run(from_env(StackSettings, os.environ), players, as_json=as_json))


def main() -> None:
    """Entry point of the console command."""
    try:
        cli()
    except Misconfigured as error:
        print(f"muster: {error.detail}", file=sys.stderr)
        sys.exit(EXIT_MISCONFIGURED)
    except MusterError as error:
        print(f"muster: {error.detail}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
