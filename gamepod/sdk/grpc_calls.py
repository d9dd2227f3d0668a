"""The gRPC calls as functions from message to message. What answers them is the same as over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from google.protobuf.json_format import ParseDict

from gamepod.sdk.answers import INVALID_ARGUMENT, UNKNOWN, CallRefused
from gamepod.sdk.proto import alpha_pb2 as alpha
from gamepod.sdk.proto import beta_pb2 as beta
from gamepod.sdk.proto.sdk_pb2 import Duration, Empty, GameServer, KeyValue
from gamepod.sdk.sdk import Sdk
from gamepod.sdk.tallies import Counter, ValueList

WATCH: Final = "/agones.dev.sdk.SDK/WatchGameServer"


class Call(NamedTuple):
    """A call of one message each way."""

    request: Any
    reply: Any
    answer: Callable[[Sdk, Any], Any]


def server_message(document: dict[str, Any]) -> GameServer:
    """The document of GET /gameserver as a message: its JSON is the message's."""
    return ParseDict(document, GameServer())


def _told(call: Callable[[Sdk, Any], None]) -> Callable[[Sdk, Any], Empty]:
    """A command without an answer."""

    def answer(sdk: Sdk, request: Any) -> Empty:
        call(sdk, request)
        return Empty()

    return answer


def _update_counter(sdk: Sdk, request: beta.UpdateCounterRequest) -> beta.Counter:
    if not request.HasField("counterUpdateRequest"):
        raise CallRefused(INVALID_ARGUMENT, "counterUpdateRequest is missing")
    asked = request.counterUpdateRequest
    count = asked.count.value if asked.HasField("count") else None
    capacity = asked.capacity.value if asked.HasField("capacity") else None
    counter = sdk.changing().update_counter(asked.name, count, capacity, asked.countDiff)
    sdk.changed()
    return _counter(asked.name, counter)


def _update_list(sdk: Sdk, request: beta.UpdateListRequest) -> beta.List:
    if not request.HasField("list"):
        raise CallRefused(INVALID_ARGUMENT, "list is missing")
    if not request.HasField("update_mask"):
        raise CallRefused(UNKNOWN, "invalid argument: update_mask is missing")
    asked = request.list
    # The Node library sends an empty mask where it means the capacity: an empty mask is whatever is given.
    mask = list(request.update_mask.paths) or [field.name for field, _ in asked.ListFields()]
    found = sdk.changing().update_list(asked.name, asked.capacity, list(asked.values), mask)
    sdk.changed()
    return _list(asked.name, found)


def _add(sdk: Sdk, request: beta.AddListValueRequest) -> beta.List:
    found = sdk.changing().add_value(request.name, request.value)
    sdk.changed()
    return _list(request.name, found)


def _remove(sdk: Sdk, request: beta.RemoveListValueRequest) -> beta.List:
    found = sdk.changing().remove_value(request.name, request.value)
    sdk.changed()
    return _list(request.name, found)


def _connect(sdk: Sdk, request: alpha.PlayerID) -> alpha.Bool:
    return _changed(sdk, sdk.changing().connect(request.playerID))


def _disconnect(sdk: Sdk, request: alpha.PlayerID) -> alpha.Bool:
    return _changed(sdk, sdk.changing().disconnect(request.playerID))


def _changed(sdk: Sdk, done: bool) -> alpha.Bool:
    if done:
        sdk.changed()
    return alpha.Bool(bool=done)


def _set_capacity(sdk: Sdk, request: alpha.Count) -> Empty:
    sdk.changing().set_player_capacity(request.count)
    sdk.changed()
    return Empty()


def _counter(name: str, counter: Counter) -> beta.Counter:
    return beta.Counter(name=name, count=counter.count, capacity=counter.capacity)


def _list(name: str, found: ValueList) -> beta.List:
    return beta.List(name=name, capacity=found.capacity, values=found.values)


_SDK: Final = {
    "Ready": Call(Empty, Empty, _told(lambda sdk, _: sdk.ready())),
    "Allocate": Call(Empty, Empty, _told(lambda sdk, _: sdk.allocate())),
    "Shutdown": Call(Empty, Empty, _told(lambda sdk, _: sdk.shutdown())),
    "GetGameServer": Call(Empty, GameServer, lambda sdk, _: server_message(sdk.describe())),
    "SetLabel": Call(KeyValue, Empty, _told(lambda sdk, it: sdk.set_label(it.key, it.value))),
    "SetAnnotation": Call(KeyValue, Empty, _told(lambda sdk, it: sdk.set_annotation(it.key, it.value))),
    "Reserve": Call(Duration, Empty, _told(lambda sdk, it: sdk.reserve(it.seconds))),
}
_BETA: Final = {
    "GetCounter": Call(
        beta.GetCounterRequest, beta.Counter, lambda sdk, it: _counter(it.name, sdk.tallies.counter(it.name))
    ),
    "UpdateCounter": Call(beta.UpdateCounterRequest, beta.Counter, _update_counter),
    "GetList": Call(beta.GetListRequest, beta.List, lambda sdk, it: _list(it.name, sdk.tallies.list_of(it.name))),
    "UpdateList": Call(beta.UpdateListRequest, beta.List, _update_list),
    "AddListValue": Call(beta.AddListValueRequest, beta.List, _add),
    "RemoveListValue": Call(beta.RemoveListValueRequest, beta.List, _remove),
}
_ALPHA: Final = {
    "PlayerConnect": Call(alpha.PlayerID, alpha.Bool, _connect),
    "PlayerDisconnect": Call(alpha.PlayerID, alpha.Bool, _disconnect),
    "SetPlayerCapacity": Call(alpha.Count, Empty, _set_capacity),
    "GetPlayerCapacity": Call(Empty, alpha.Count, lambda sdk, _: alpha.Count(count=sdk.tallies.players.capacity)),
    "GetPlayerCount": Call(Empty, alpha.Count, lambda sdk, _: alpha.Count(count=len(sdk.tallies.players.ids))),
    "IsPlayerConnected": Call(
        alpha.PlayerID, alpha.Bool, lambda sdk, it: alpha.Bool(bool=it.playerID in sdk.tallies.players.ids)
    ),
    "GetConnectedPlayers": Call(
        Empty, alpha.PlayerIDList, lambda sdk, _: alpha.PlayerIDList(list=list(sdk.tallies.players.ids))
    ),
}

CALLS: Final[dict[str, Call]] = {
    f"/agones.dev.sdk.{prefix}SDK/{name}": call
    for prefix, calls in (("", _SDK), ("beta.", _BETA), ("alpha.", _ALPHA))
    for name, call in calls.items()
}
