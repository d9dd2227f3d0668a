"""How answers are shown: a table for people, the document for scripts."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click
import msgspec

from core.cli.remote.site import Site, site
from core.cli.table import table
from core.clock import iso

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # names are players': no escape sequence reaches the terminal

MOMENT_MS: Final = 10**12  # so many ms are a moment (since 2001), and no time that anything takes


def plain(value: object) -> object:
    """Text without what a terminal would obey; other values as they are."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value


def show(document: Any, rows: Sequence[Sequence[object]], head: Sequence[str], *, none: str) -> None:
    """Print `document` as JSON where --json was given, else `rows` as a table, or the sentence `none`."""
    if click.get_current_context().obj.as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
    elif rows:
        click.echo(table([[plain(cell) for cell in row] for row in rows], head=head))
    else:
        click.echo(none)


def show_one(document: Mapping[str, Any], rows: Sequence[tuple[str, object]]) -> None:
    """The same for one thing: what it has, line by line; what is empty is left out."""
    show(document, [row for row in rows if row[1] not in (None, "")], (), none="nothing")


def duration(seconds: float | None) -> str:
    """A wait in words that fit a column."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def field(name: str, value: object) -> tuple[str, object]:
    """A member of a document as a row: what it is called without its unit, moments as ISO, times in words."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if name.endswith("_ms"):
            shown = iso(int(value)) if value >= MOMENT_MS else duration(value / 1000)
            return name.removesuffix("_ms").replace("_", " "), shown
        if name.endswith("_s"):
            return name.removesuffix("_s").replace("_", " "), duration(value)
        if isinstance(value, float):
            return name.replace("_", " "), f"{value:,.10g}"  # a place on earth needs more than a column's one decimal
        if name.endswith("version"):
            return name.replace("_", " "), str(value)
    return name.replace("_", " "), value


def fields(document: Mapping[str, Any], *without: str) -> list[tuple[str, object]]:
    """What a document has at its top, but for `without`."""
    return [field(k, v) for k, v in document.items() if k not in without and not isinstance(v, list | dict)]


class Told:
    """What all remote commands share: --url and --json, given before or after the command's own name."""

    def __init__(self) -> None:
        self.url = ""
        self.as_json = False

    @property
    def site(self) -> Site:
        return site(self.url)


def remote(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command --url and --json, and the Site as its first argument."""

    def run(*args: Any, url: str, as_json: bool, **kwargs: Any) -> None:
        context = click.get_current_context()
        context.obj = told = Told()
        told.url, told.as_json = url, as_json
        function(told.site, *args, **kwargs)

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    run = click.option("--json", "as_json", is_flag=True, help="Print the API's document instead of a table.")(run)
    return click.option("--url", envvar="MUSTER_URL", default="", help="Which Muster.  [env: MUSTER_URL]")(run)


def progress(text: str) -> None:
    """A line for people while something takes long."""
    print(f"  {text}", file=sys.stderr, flush=True)
