"""What makes a registration acceptable: whatever the types of `core.model` cannot say. PURE."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from core.arena import ArenaSettings
from core.commandspec import check_commands, check_modules
from core.errors import Invalid
from core.gameenv import fill
from core.ids import is_game_id
from core.model import MAX_PLAYERS_PER_MATCH, MAX_SETTINGS_BYTES, GameSpec, Port, Ready, Server, teams_of
from core.playtime import check_play
from core.rules import rule_set
from core.rules.text import tree_of

_PATH: Final = re.compile(r"/[!-~]*")


def check_game(
    game_id: str, spec: GameSpec, *, commands_allowed: bool, modules: frozenset[str] = frozenset()
) -> GameSpec:
    """The registration as it is stored: a rule set given as text has become its tree. `modules`: what workers run.

    Raises Invalid with a JSON pointer at the first thing that cannot work.
    """
    if not is_game_id(game_id):
        raise Invalid(
            f"the game id {game_id[:64]!r} must be 1-40 of a-z, 0-9 and '-', not starting or ending with '-'",
            pointer="/id",
        )
    _check_server(spec.server, commands_allowed=commands_allowed)
    _check_delay(spec)
    if spec.rules is not None:
        spec = _with_rules(spec)
    else:
        _check_teams(spec)
    _check_rating(spec)
    _check_supply(spec)
    if spec.commands is not None:
        check_commands(spec.commands)
        check_modules(spec.commands, modules)
    if spec.play is not None:
        check_play(spec.play)
    return spec


def _check_supply(spec: GameSpec) -> None:
    """What is to stand ready may stand ready."""
    supply, warm = spec.supply, spec.supply.warm
    if spec.server.agones is not None and (warm or supply.early):
        raise Invalid("a fleet keeps servers ready by itself: say how many there, not here", pointer="/supply")
    if spec.server.image is not None and spec.server.ready.when == "log" and (warm or supply.early):
        raise Invalid(
            "an image that is ready by a line of its output is looked at for its match: use port, http, delay or sdk, "
            "or leave supply out",
            pointer="/supply",
        )
    if warm is None:
        return
    if not (warm.servers or warm.share or warm.cover or warm.schedule):
        raise Invalid("say servers, share, cover or schedule: this pool is always empty", pointer="/supply/warm")
    wanted = [("servers", warm.servers), *((f"schedule/{i}/servers", at.servers) for i, at in enumerate(warm.schedule))]
    for where, servers in wanted:
        if servers > supply.idle_most:
            raise Invalid(
                f"{servers} servers are more than may stand idle ({supply.idle_most}, supply.idle_most)",
                pointer=f"/supply/warm/{where}",
            )
        if servers > spec.limits.servers:
            raise Invalid(
                f"{servers} servers are more than the game may have at all ({spec.limits.servers}, limits.servers)",
                pointer=f"/supply/warm/{where}",
            )
    for i, at in enumerate(warm.schedule):
        if at.since == at.to:
            raise Invalid(f"from {at.since} to {at.to} is no time", pointer=f"/supply/warm/schedule/{i}/to")


def _check_rating(spec: GameSpec) -> None:
    """What a ticket will be given fits what the rule set expects, and rules keep modes apart."""
    rating = spec.rating
    if rating is None:
        return
    if len(set(rating.modes)) != len(rating.modes):
        raise Invalid("two modes have the same name", pointer="/rating/modes")
    if rating.modes and spec.rules is None:
        raise Invalid("modes need a rule set that keeps them apart", pointer="/rating/modes")
    if rating.modes and rating.attribute == rating.mode_attribute:
        raise Invalid("the rating and the mode are two attributes", pointer="/rating/mode_attribute")
    if spec.rules is None:
        return
    expected = [(rating.attribute, "number", "attribute")]
    if rating.modes:
        expected.append((rating.mode_attribute, "string", "mode_attribute"))
    declared = rule_set(spec).attributes
    for name, kind, field in expected:
        if name not in declared or declared[name].type != kind:
            raise Invalid(f"the rule set declares no attribute {name!r} of type {kind}", pointer=f"/rating/{field}")


def _with_rules(spec: GameSpec) -> GameSpec:
    for name, given in (("teams", spec.teams), ("players_per_match", spec.players_per_match)):
        if given:
            raise Invalid(f"a rule set has teams of its own: leave out {name}, or rules", pointer=f"/{name}")
    read = msgspec.structs.replace(spec, rules=tree_of(spec.rules or {}, "/rules"))
    rule_set(read)
    return read


def _check_server(server: Server, *, commands_allowed: bool) -> None:
    kinds = [k for k in ("arena", "image", "command", "agones") if getattr(server, k) is not None]
    if len(kinds) != 1:
        raise Invalid(
            f"a server is one of arena, image, command or agones; this one names {' and '.join(kinds) or 'none'}",
            pointer="/server",
        )
    if server.command is not None and not commands_allowed:
        raise Invalid(
            "this installation runs no commands, only images: the operator may allow them with "
            "MUSTER_ALLOW_COMMANDS=true where developers are trusted with the host",
            pointer="/server/command",
        )
    if server.arena is not None:
        _check_arena(server.arena)
    _check_words(server)
    _check_tallies(server)
    names = [port.name for port in server.ports]
    if len(set(names)) != len(names):
        raise Invalid("two ports have the same name", pointer="/server/ports")
    _check_ready(server)
    if server.counted_by == "connections" and not _stream_ports(server):
        raise Invalid(
            "connections are counted on tcp and ws ports, and this server has none: of UDP nobody can tell who is "
            "connected; let the game tell (`calls`)",
            pointer="/server/counted_by",
        )


def _stream_ports(server: Server) -> list[str]:
    return [port.name for port in server.ports if port.protocol != "udp"]


def _check_ready(server: Server) -> None:
    """Whatever the server is to do to count as playable, it can do."""
    ready = server.ready
    if server.agones is not None and ready != Ready():
        raise Invalid(
            "servers of a fleet are ready before they are allocated, which Agones sees to: leave out `ready`",
            pointer="/server/ready/when",
        )
    if server.arena is not None and ready.when in ("log", "http"):
        raise Invalid("the arena says itself when it is ready: leave out `ready`", pointer="/server/ready/when")
    if ready.when in ("port", "http"):
        streams = _stream_ports(server)
        if not server.ports:
            raise Invalid(
                f"ready when `{ready.when}` needs a tcp or ws port to try: name it in `ports`",
                pointer="/server/ready/when",
            )
        if not streams:
            raise Invalid(
                f"ready when `{ready.when}` needs a tcp or ws port to try, and this server has UDP ports only, which "
                "answer nobody who asks: say `log` with a line that it writes, `delay`, or `sdk`",
                pointer="/server/ready/when",
            )
        if ready.port and ready.port not in streams:
            raise Invalid(
                f"{ready.port!r} is no tcp or ws port of this server, which has {', '.join(streams)}",
                pointer="/server/ready/port",
            )
    if ready.when == "http" and not _PATH.fullmatch(ready.path):
        raise Invalid(
            f"the path {ready.path[:64]!r} must begin with '/' and have no spaces: it is asked for as it is",
            pointer="/server/ready/path",
        )
    if ready.when == "log" and not ready.line.replace("*", "").strip():
        raise Invalid(
            'ready when `log` needs the `line` to look for, such as "listening on *"', pointer="/server/ready/line"
        )
    if ready.when == "log" and not ready.line.isprintable():
        raise Invalid("a line to look for has no control characters", pointer="/server/ready/line")
    for name, when, default in (("line", "log", ""), ("path", "http", "/")):
        if getattr(ready, name) != default and ready.when != when:
            raise Invalid(f"`{name}` is of ready when `{when}`, not `{ready.when}`", pointer=f"/server/ready/{name}")


def _check_delay(spec: GameSpec) -> None:
    ready, start_s = spec.server.ready, spec.timers.start_s
    if ready.when == "delay" and ready.delay_s >= start_s:
        raise Invalid(
            f"a server that is ready after {ready.delay_s:g} s never is: the match fails with `never_ready` after "
            f"timers.start_s, {start_s:g} s",
            pointer="/server/ready/delay_s",
        )


def _check_arena(settings: dict[str, Any]) -> None:
    if len(msgspec.json.encode(settings)) > MAX_SETTINGS_BYTES:
        raise Invalid(f"arena settings are larger than {MAX_SETTINGS_BYTES} bytes", pointer="/server/arena")
    try:
        ArenaSettings.from_dict(settings)
    except Invalid as error:
        raise Invalid(error.detail, pointer=f"/server/arena{error.pointer}") from None


def _check_words(server: Server) -> None:
    """Each `{port:name}` of a command line names one of its ports."""
    ports = {port.name: port.port for port in server.ports or [Port()]}
    for key in ("command", "args"):
        for i, word in enumerate(getattr(server, key) or []):
            fill([word], ports, f"/server/{key}/{i}")


def _check_tallies(server: Server) -> None:
    """Counters and lists begin within their capacities."""
    for name, counter in server.counters.items():
        if counter.count > counter.capacity:
            raise Invalid(
                f"counter {name!r} begins with {counter.count}, more than its capacity {counter.capacity}",
                pointer=f"/server/counters/{name}/count",
            )
    for name, found in server.lists.items():
        if len(set(found.values)) != len(found.values) or len(found.values) > found.capacity:
            raise Invalid(
                f"list {name!r} begins with different values, at most {found.capacity}",
                pointer=f"/server/lists/{name}/values",
            )


def _check_teams(spec: GameSpec) -> None:
    if not spec.teams and spec.players_per_match is None:
        raise Invalid(
            "say players_per_match, or teams with min_players and max_players, or rules", pointer="/players_per_match"
        )
    for i, team in enumerate(spec.teams):
        if team.min_players > team.max_players:
            raise Invalid(
                f"team {team.name!r}: min_players {team.min_players} is more than max_players {team.max_players}",
                pointer=f"/teams/{i}/min_players",
            )
    names = [team.name for team in spec.teams]
    if len(set(names)) != len(names):
        raise Invalid("two teams have the same name", pointer="/teams")
    total = sum(team.max_players for team in teams_of(spec))
    if total > MAX_PLAYERS_PER_MATCH:
        raise Invalid(f"the teams hold {total} players; a match has at most {MAX_PLAYERS_PER_MATCH}", pointer="/teams")
    if spec.teams and spec.players_per_match not in (None, total):
        raise Invalid(
            f"players_per_match is {spec.players_per_match}, the teams hold {total}",
            pointer="/players_per_match",
        )
