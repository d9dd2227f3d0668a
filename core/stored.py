"""Reading what a newer Muster stored. PURE.

During an upgrade two releases share one Redis, and the newer one writes fields that the older one has never heard of.
At the door an unknown field is a typing mistake and is refused; in storage it is somebody's newer field and is passed
over. The types are the same, so this is done where a document is read. Who reads a document, changes it and writes it
again puts back what was passed over: an older release must not take from a newer one what it does not know.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect

T = TypeVar("T")


class Stored(Generic[T]):
    """Decodes stored JSON documents of one type."""

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        self._decoder = msgspec.json.Decoder(type_)

    def decode(self, text: bytes | str) -> T:
        """The document, without fields that its type does not have. Raises msgspec.DecodeError."""
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError:
            # Rare, and slower: only the first release that sees the newer documents comes here.
            known = _known(msgspec.json.decode(text), self._kind)
            return msgspec.convert(known, self._type)

    def encode(self, value: T, before: bytes | str) -> bytes:
        """`value` as JSON, with the fields of `before`, which it was made from, that its type does not have.

        Documents in lists are known again by their `id`; what was taken out of one takes its fields along.
        """
        return msgspec.json.encode(_with(msgspec.to_builtins(value), msgspec.json.decode(before), self._kind))

    @cached_property
    def _kind(self) -> inspect.Type:
        return inspect.type_info(self._type)


def _known(value: Any, kind: inspect.Type) -> Any:
    """`value` without the fields that `kind` does not name."""
    if isinstance(kind, inspect.UnionType):
        kind = next((one for one in kind.types if _holds(one, value)), kind)
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        return {f.encode_name: _known(value[f.encode_name], f.type) for f in kind.fields if f.encode_name in value}
    if isinstance(kind, inspect.ListType) and isinstance(value, list):
        return [_known(one, kind.item_type) for one in value]
    if isinstance(kind, inspect.DictType) and isinstance(value, dict):
        return {name: _known(one, kind.value_type) for name, one in value.items()}
    return value


def _with(value: Any, before: Any, kind: inspect.Type) -> Any:
    """`value` with what `before` has and `kind` does not name."""
    if isinstance(kind, inspect.UnionType):
        kind = next((one for one in kind.types if _holds(one, value)), kind)
    if isinstance(value, dict) and isinstance(before, dict):
        if isinstance(kind, inspect.StructType):
            names = {f.encode_name: f.type for f in kind.fields}
            unknown = {name: one for name, one in before.items() if name not in names}
            return unknown | {name: _with(one, before.get(name), names[name]) for name, one in value.items()}
        if isinstance(kind, inspect.DictType):
            return {name: _with(one, before.get(name), kind.value_type) for name, one in value.items()}
    if isinstance(kind, inspect.ListType) and isinstance(value, list) and isinstance(before, list):
        known = {one["id"]: one for one in before if isinstance(one, dict) and "id" in one}
        return [_with(one, known.get(one["id"]) if _named(one) else None, kind.item_type) for one in value]
    return value


def _named(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str)


def _holds(kind: inspect.Type, value: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(kind, inspect.StructType | inspect.DictType)
    return isinstance(value, list) and isinstance(kind, inspect.ListType)
