"""Fields of a request's JSON, read as proto3 JSON is: either spelling, 64-bit numbers as strings too. PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gamepod.sdk.answers import INVALID_ARGUMENT, CallRefused
from gamepod.sdk.tallies import MAX_INT64

_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")


def text(body: Mapping[str, Any], name: str) -> str:
    """A string; '' where it is not there. Raises CallRefused."""
    value = _field(body, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CallRefused(INVALID_ARGUMENT, f"{name} must be a string")
    return value


def whole(body: Mapping[str, Any], name: str) -> int | None:
    """A 64-bit whole number; None where it is not there. Raises CallRefused."""
    value = _field(body, name)
    if value is None:
        return None
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -MAX_INT64 - 1 <= value <= MAX_INT64:
        raise CallRefused(INVALID_ARGUMENT, f"{name} must be a whole number of 64 bits")
    return value


def texts(body: Mapping[str, Any], name: str) -> list[str]:
    """A list of strings; [] where it is not there. Raises CallRefused."""
    value = _field(body, name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise CallRefused(INVALID_ARGUMENT, f"{name} must be a list of strings")
    return value


def snake(name: str) -> str:
    """`updateMask` is `update_mask`."""
    return re.sub(r"(?<!^)[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _field(body: Mapping[str, Any], name: str) -> Any:
    """By its own name, in either spelling."""
    return body.get(name, body.get(snake(name)))
