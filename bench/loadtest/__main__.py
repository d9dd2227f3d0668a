"""`python -m bench.loadtest`, or `make load`: load a Muster, one of its own or any other, and report what it did."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import click
import uvloop

from bench.harness import say
from bench.loadtest.run import lobby, muster, run_load
from core.errors import MusterError

MAX_USERS: Final = 5_000  # of one locust process
MAX_BOTS: Final = 1_000  # of this process


@click.command()
@click.option("--url", default="", help="A Muster that runs; without one a stack of its own is started.")
@click.option("--users", default=60, show_default=True, type=click.IntRange(0, MAX_USERS), help="locust's, of the API.")
@click.option("--bots", default=30, show_default=True, type=click.IntRange(0, MAX_BOTS), help="That play matches.")
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(5, 86_400))
@click.option("--out", default=".cache/load", show_default=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--token", envvar="MUSTER_TOKEN", default="", help="A developer's, to register the lobby with --url.")
def main(url: str, users: int, bots: int, seconds: int, out: Path, token: str) -> None:
    """Load a Muster with users of its API and bots that play, and write OUT/report.html with plots."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with muster(url) as (where, state):
            lobby(where, token)
            found = uvloop.run(run_load(where, state, users=users, bots=bots, seconds=seconds, out=out))
    except MusterError as error:
        raise click.ClickException(str(error)) from error
    (out / "report.html").write_text(found.page())
    (out / "report.json").write_text(json.dumps(found.figures() | {"problems": found.problems}, indent=2) + "\n")
    click.echo(found.text())
    say(f"plots: {out / 'report.html'}")
    sys.exit(1 if found.problems else 0)


if __name__ == "__main__":
    main()
