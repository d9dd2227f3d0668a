"""Counters, lists (beta) and players (alpha) over HTTP, with the paths and forms of Agones' gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from gamepod.sdk import fields
from gamepod.sdk.answers import NOT_FOUND, UNIMPLEMENTED, CallRefused, json_object
from gamepod.sdk.document import counter_status, list_status
from gamepod.sdk.sdk import Sdk
from gamepod.sdk.tallies import Counter, ValueList
from gamepod.transport.http_types import Request, Response

COUNTERS: Final = "/v1beta1/counters/"
LISTS: Final = "/v1beta1/lists/"
PLAYERS: Final = "/alpha/player/"
CONNECTED: Final = "connected"
TALLY_PATHS: Final = (COUNTERS, LISTS, PLAYERS)

Answer = dict[str, Any]


def tally(sdk: Sdk, request: Request) -> Response:
    """Answer a request under one of TALLY_PATHS. Raises CallRefused, ValueError."""
    for prefix, answer in ((COUNTERS, _counter), (LISTS, _list), (PLAYERS, _player)):
        if request.path.startswith(prefix):
            return Response(body=orjson.dumps(answer(sdk, request, request.path.removeprefix(prefix))))
    raise CallRefused(NOT_FOUND, "Not Found")


def _counter(sdk: Sdk, request: Request, name: str) -> Answer:
    if request.method == "GET":
        return _told_counter(name, sdk.tallies.counter(name))
    _method(request, "GET", "PATCH")
    body = json_object(request.body)
    count, capacity = fields.whole(body, "count"), fields.whole(body, "capacity")
    counter = sdk.changing().update_counter(name, count, capacity, fields.whole(body, "countDiff") or 0)
    sdk.changed()
    return _told_counter(name, counter)


def _list(sdk: Sdk, request: Request, rest: str) -> Answer:
    name, colon, verb = rest.rpartition(":")
    if colon and verb in ("addValue", "removeValue"):
        _method(request, "POST")
        value = fields.text(json_object(request.body), "value")
        tallies = sdk.changing()
        found = (tallies.add_value if verb == "addValue" else tallies.remove_value)(name, value)
    elif request.method == "GET":
        return _told_list(rest, sdk.tallies.list_of(rest))
    else:
        name = rest
        _method(request, "GET", "PATCH")
        body = json_object(request.body)
        capacity, values = fields.whole(body, "capacity") or 0, fields.texts(body, "values")
        found = sdk.changing().update_list(name, capacity, values, _mask(request, body))
    sdk.changed()
    return _told_list(name, found)


def _mask(request: Request, body: dict[str, Any]) -> list[str]:
    """What a PATCH means: as its query says, else what its body has."""
    asked = parse_qs(request.query, max_num_fields=16)
    named = asked.get("updateMask") or asked.get("update_mask")
    return named[-1].split(",") if named else list(body)


def _player(sdk: Sdk, request: Request, rest: str) -> Answer:
    if rest.startswith(f"{CONNECTED}/"):
        _method(request, "GET")
        return {"bool": rest.removeprefix(f"{CONNECTED}/") in sdk.tallies.players.ids}
    calls = PLAYER_CALLS.get(rest)
    if calls is None:
        raise CallRefused(NOT_FOUND, "Not Found")
    _method(request, *calls)
    return calls[request.method](sdk, json_object(request.body))


def _connect(sdk: Sdk, body: dict[str, Any]) -> Answer:
    return _changed(sdk, sdk.changing().connect(fields.text(body, "playerID")))


def _disconnect(sdk: Sdk, body: dict[str, Any]) -> Answer:
    return _changed(sdk, sdk.changing().disconnect(fields.text(body, "playerID")))


def _changed(sdk: Sdk, done: bool) -> Answer:
    if done:
        sdk.changed()
    return {"bool": done}


def _set_capacity(sdk: Sdk, body: dict[str, Any]) -> Answer:
    sdk.changing().set_player_capacity(fields.whole(body, "count") or 0)
    sdk.changed()
    return {}


PLAYER_CALLS: Final[dict[str, dict[str, Callable[[Sdk, dict[str, Any]], Answer]]]] = {
    "connect": {"POST": _connect},
    "disconnect": {"POST": _disconnect},
    "capacity": {"GET": lambda sdk, _: {"count": str(sdk.tallies.players.capacity)}, "PUT": _set_capacity},
    "count": {"GET": lambda sdk, _: {"count": str(len(sdk.tallies.players.ids))}},
    CONNECTED: {"GET": lambda sdk, _: {"list": list(sdk.tallies.players.ids)}},
}


def _method(request: Request, *allowed: str) -> None:
    if request.method not in allowed:
        raise CallRefused(UNIMPLEMENTED, f"Method Not Allowed: {request.path} takes {' or '.join(allowed)}")


def _told_counter(name: str, counter: Counter) -> Answer:
    return {"name": name, **counter_status(counter)}


def _told_list(name: str, found: ValueList) -> Answer:
    return {"name": name, **list_status(found)}
