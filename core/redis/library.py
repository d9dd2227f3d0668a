"""The Redis function library: one Lua file per atomic step, the transition tables before them.

The library's name carries a digest of its source, and so does each function's. Two versions of Muster can
therefore run side by side on one Redis during an upgrade, each with its own functions; none replaces another's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Final, TypeVar

from msgspec import Struct

from core.lifecycle import MATCH, STANDBY, TICKET

FOLDER: Final = os.path.join(os.path.dirname(__file__), "lua")

# How each file makes its function known. What a call gathered (_log.lua) is told as it returns; one that failed
# half-way may have left something.
REGISTER: Final = """
local function register(name, fn, ...)
  local function callback(keys, args)
    gathered = nil
    local answer = fn(keys, args)
    tickets_told()
    return answer
  end
  redis.register_function{ function_name = name .. '_' .. DIGEST, callback = callback, flags = { ... } }
end
"""


class Library(Struct, frozen=True):
    """Source to load, and the full name under which each function can be called."""

    name: str
    source: str
    functions: Mapping[str, str]


S = TypeVar("S", bound=str)
E = TypeVar("E", bound=str)


def _lua_table(name: str, table: Mapping[tuple[S, E], S]) -> str:
    rows: dict[str, list[str]] = {}
    for (state, event), after in table.items():
        rows.setdefault(str(state), []).append(f"{event} = '{after}'")
    return f"local {name} = {{ " + ", ".join(f"{s} = {{ {', '.join(r)} }}" for s, r in rows.items()) + " }\n"


def build() -> Library:
    """Assemble the library from the files beside this one."""
    # Not importlib.resources: its own imports (zipfile, tempfile) cost every game server a megabyte.
    sources = {}
    for file in os.scandir(FOLDER):
        stem, _, kind = file.name.rpartition(".")
        if kind == "lua":
            with open(file.path, "rb") as stream:  # as pathlib and text it takes three times as long
                sources[stem] = stream.read().decode()
    common = "".join(sources.pop(name) for name in ("_log", "_common", "_standby", "_inbox"))
    body = (
        _lua_table("TICKET", TICKET) + _lua_table("MATCH", MATCH) + _lua_table("STANDBY", STANDBY) + common + REGISTER
    )
    # Each file is a block of its own: what it declares local stays there.
    body += "".join(f"do\n{sources[name]}end\n" for name in sorted(sources))
    digest = hashlib.sha256(body.encode()).hexdigest()[:10]
    name = f"muster_{digest}"
    return Library(
        name, f"#!lua name={name}\nlocal DIGEST = '{digest}'\n" + body, {fn: f"{fn}_{digest}" for fn in sources}
    )


LIBRARY: Final = build()
