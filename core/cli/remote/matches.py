"""`muster queue`, `matches`, `match`, `why`, `board`, `player`: what goes on."""

from __future__ import annotations

from typing import Any

import click

from core.cli.remote.shown import duration, field, fields, remote, show, show_one
from core.cli.remote.site import Site

WAITS = ("median_s", "p90_s", "longest_s")
OF_SUPPLY = ("early_matches", "warm_matches", "cold_matches", "early_unused")
OF_MATCH = ("id", "state", "reason", "game_version", "created_at", "ready_at", "ended_at", "trace")


@click.command()
@remote
def status(to: Site) -> None:
    """Games, who waits, what runs."""
    document = to.call("GET", "overview")
    rows = [
        (g["id"], g["waiting"], duration(g["oldest_wait_s"]) if g["waiting"] else "", g["live"], _median(g), _held(g))
        for g in document["games"]
    ]
    show(document, rows, ("game", "waiting", "oldest", "matches", "usual wait", ""), none="no game is registered")


@click.command()
@click.argument("game")
@remote
def queue(to: Site, game: str) -> None:
    """How the queue of GAME goes: who waits, for how long, what rules turn away."""
    document = to.call("GET", "games", game, "queue")
    lately = document.get("lately") or {}
    waits = lately.get("waits") or {}
    rejections = sorted(lately.get("rejections", {}).items(), key=lambda one: -one[1])
    show_one(document, [
        ("tickets waiting", document["waiting_tickets"]),
        ("players waiting", document.get("waiting_players")),
        ("oldest", duration(document["oldest_wait_s"])),
        ("held up", document.get("held_up")),
        ("because", document.get("detail")),
        (f"matches in {lately.get('window_s', 0)} s", lately.get("matches")),
        ("wait: median, 90 %, longest", ", ".join(duration(waits[k]) for k in WAITS if waits)),
        ("turned away by", ", ".join(f"{rule} ({times})" for rule, times in rejections[:5])),
    ])  # fmt: skip


@click.command()
@click.argument("game")
@remote
def supply(to: Site, game: str) -> None:
    """Servers of GAME that stand ready before they have a match: how many, why, and what they cost."""
    document = to.call("GET", "games", game, "supply")
    now, total = document.get("now") or {}, document["total"]
    show_one(document, [
        ("policy", ", ".join(document["policy"]) or "on demand"),
        *((name.replace("_", " "), now.get(name)) for name in ("wanted", "ready", "starting", "held", "detail")),
        ("a start takes", duration(now.get("start_s"))),
        *(field(name, total[name]) for name in OF_SUPPLY),
        ("idle for each match", duration(total["idle_s_per_match"])),
    ])  # fmt: skip


@click.command()
@click.argument("game")
@remote
def matches(to: Site, game: str) -> None:
    """Live matches of GAME, then the latest that were over."""
    document = to.call("GET", "games", game, "matches")
    rows = [
        (m["id"], m["state"], m["reason"], _players(m), str(m["game_version"]), m["created_at"])
        for m in document["matches"]
    ]
    show(document, rows, ("match", "state", "reason", "players", "version", "created"), none=f"{game} has had no match")


@click.command()
@click.argument("game")
@click.argument("match")
@remote
def match(to: Site, game: str, match: str) -> None:
    """One match: its teams, how it ended, and what its server said last."""
    document = to.call("GET", "matches", game, match)
    result = document.get("result") or {}
    teams = [(f"team {t['name']}", ", ".join(p["name"] for p in t["players"])) for t in document["teams"]]
    show_one(document, [
        *(field(k, document.get(k)) for k in OF_MATCH),
        *teams,
        *fields(result, "output", *(k for k in OF_MATCH if result.get(k) == document.get(k))),
    ])  # fmt: skip
    if not click.get_current_context().obj.as_json and (said := result.get("output")):
        click.echo("\n" + "\n".join(said if isinstance(said, list) else str(said).splitlines()))


@click.command()
@click.argument("game")
@click.argument("ticket")
@remote
def why(to: Site, game: str, ticket: str) -> None:
    """Why TICKET has no match yet."""
    document = to.call("GET", "tickets", game, ticket, "why")
    show_one(document, fields(document))


@click.command()
@click.argument("game")
@click.argument("board", type=click.Choice(["activity", "score", "rating"]))
@click.option("--top", default=10, show_default=True, metavar="N")
@click.option("--mode", help="Of a game with modes.")
@click.option("--season", type=int, help="One that has ended.")
@remote
def board(to: Site, game: str, board: str, *, top: int, mode: str | None, season: int | None) -> None:
    """The best N of a leaderboard."""
    document = to.call("GET", "games", game, "boards", board, top=top, mode=mode, season=season)
    rows = [(e["rank"], e["name"], e["player"], e["score"]) for e in document["entries"]]
    show(document, rows, ("rank", "name", "player", board), none="nobody is on it")


@click.command()
@click.argument("game")
@click.argument("player")
@remote
def player(to: Site, game: str, player: str) -> None:
    """What PLAYER (an id) does in GAME just now."""
    document = to.call("GET", "games", game, "players", player)
    flat = [
        (f"{part} {k}", v) for part, values in document.items() if isinstance(values, dict) for k, v in fields(values)
    ]
    show_one(document, [*fields(document), *flat])


def _players(match: dict[str, Any]) -> int:
    return sum(len(team["players"]) for team in match["teams"])


def _median(game: dict[str, Any]) -> str:
    return duration((game.get("waits") or {}).get("median_s"))


def _held(game: dict[str, Any]) -> str:
    return "draining" if game.get("draining") else "" if game["accepting"] else "closed"


COMMANDS = (status, queue, supply, matches, match, why, board, player)
