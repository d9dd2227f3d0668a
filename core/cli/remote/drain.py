"""`muster drain`: let an installation or a game run empty, watch it do so, take it back."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import click

from core.cli.remote.shown import duration, progress, remote, show_one
from core.cli.remote.site import Site
from core.cli.rest import Answer
from core.errors import Unavailable

LOOK_S: Final = 1.0  # between two looks with --wait
UNITS: Final = {"s": 1, "m": 60, "h": 3600}
EXIT_LEFT: Final = 3  # --wait was given a time, and something is left


@click.command()
@click.argument("game", required=False, default="")
@click.option("--off", is_flag=True, help="Take it back: make matches again.")
@click.option("--wait", is_flag=True, help="Stay, and tell what is left, until nothing is.")
@click.option("--within", metavar="TIME", help="With --wait: at most so long (90s, 15m, 2h), then exit with 3.")
@click.option("--deadline", metavar="TIME", help="End what still runs after this time; without it nothing is ended.")
@click.option("--end-queue", is_flag=True, help="End the tickets that wait, and refuse new ones.")
@click.option("--note", default="", help="Why, for those who ask.")
@click.option("--show", "only_show", is_flag=True, help="Change nothing; tell whether it is drained, and what is left.")
@remote
def drain(
    to: Site, game: str, *, off: bool, wait: bool, within: str | None, deadline: str | None, end_queue: bool,
    note: str, only_show: bool,
) -> None:  # fmt: skip
    """Make no new match in GAME, or, where none is named, in the whole installation.

    Matches that run go on to their end. Queues wait on unless --end-queue is given.
    """
    path = ("games", game, "drain") if game else ("drain",)
    most_s = None if within is None else seconds(within, "--within")
    if only_show:
        document = to.call("GET", *path)
    elif off:
        document = to.call("DELETE", *path)
    else:
        body: dict[str, Any] = {"queue": "end" if end_queue else "keep", "note": note}
        if deadline is not None:
            body["deadline_s"] = seconds(deadline, "--deadline")
        document = to.call("PUT", *path, body=body)
    if wait and not off:
        document = _wait(to, path, document, most_s)
    _show(document)
    if wait and not off and not document["done"]:
        raise SystemExit(EXIT_LEFT)


def seconds(text: str, option: str) -> float:
    """A time such as 90s, 15m or 2h; a bare number is seconds. Raises BadParameter."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no time: 90s, 15m, 2h", param_hint=option)
    return float(found[1]) * UNITS[found[2] or "s"]


def _wait(to: Site, path: tuple[str, ...], document: Mapping[str, Any], most_s: float | None) -> Mapping[str, Any]:
    """Tell what is left whenever that changes, until nothing is, the order is taken back, or the time is over."""
    began, told = time.monotonic(), ""
    while not document["done"] and "drain" in document:
        if most_s is not None and time.monotonic() - began >= most_s:
            break
        left = _left(document)
        if left != told:
            progress(f"{duration(time.monotonic() - began)}: {left}")
            told = left
        time.sleep(LOOK_S)
        try:
            document = to.call("GET", *path)
        except (Answer, Unavailable) as error:  # webapi may be restarted meanwhile
            if isinstance(error, Answer) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            progress(error.detail)
    return document


def _show(document: Mapping[str, Any]) -> None:
    order = document.get("drain") or {}
    show_one(document, [
        ("game", document.get("game")),
        ("no new matches since", order.get("since")),
        ("new matches", "" if order else "are made: nothing is drained"),
        ("by", "the installation's order" if document.get("installation") else ""),
        ("ends what runs at", order.get("deadline")),
        ("queues", {"keep": "wait on", "end": "are ended"}.get(order.get("queue", ""))),
        ("note", order.get("note")),
        ("live matches", document["live_matches"]),
        ("idle servers", document["idle_servers"]),
        ("tickets waiting", document["waiting_tickets"]),
        ("empty", _empty(document)),
    ])  # fmt: skip


def _left(document: Mapping[str, Any]) -> str:
    return (
        f"{document['live_matches']} matches run, {document['idle_servers']} servers stand ready, "
        f"{document['waiting_tickets']} tickets wait"
    )


def _empty(document: Mapping[str, Any]) -> str:
    """Whether work may begin; nothing where nothing is drained, for the next match may come at any time."""
    if "drain" not in document:
        return ""
    if document["done"]:
        return "yes: no match runs, no server stands ready"
    ends = document["drain"]["queue"] == "end"
    left = document["live_matches"] + document["idle_servers"] + (document["waiting_tickets"] if ends else 0)
    return "no" if left else "in some seconds: every service has to have heard of it"


COMMANDS = (drain,)
