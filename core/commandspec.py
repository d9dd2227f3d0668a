"""What a game says of its delayed commands: which there are, who executes them, and what a player begins with. PURE."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from core.errors import Invalid

MAX_COMMANDS: Final = 256  # kinds that a game has
MAX_ARGS: Final = 32  # of one kind
MAX_INITIAL_BYTES: Final = 16_384  # it travels with the registration
MAX_URL: Final = 2048

CommandName = Annotated[str, Meta(pattern="^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
ArgType = Literal["string", "integer", "number", "boolean", "list", "object"]

_MODULE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,15}")


class CommandKind(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The form of one command. `optional` names the arguments that may be left out."""

    args: Annotated[dict[str, ArgType], Meta(max_length=MAX_ARGS)] = {}
    optional: Annotated[list[str], Meta(max_length=MAX_ARGS)] = []
    realtime: bool = False  # a pack that holds one is executed at once, and answered with its outcome


class CommandsSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Delayed commands: exactly one of `python` (a module of the operator's) and `url` executes them."""

    kinds: Annotated[dict[CommandName, CommandKind], Meta(min_length=1, max_length=MAX_COMMANDS)]
    python: Annotated[str, Meta(max_length=256)] | None = None
    url: Annotated[str, Meta(max_length=MAX_URL)] | None = None
    initial: dict[str, Any] = {}  # a player's state before the first command


def check_commands(spec: CommandsSpec) -> None:
    """Raise Invalid, with a pointer into the registration, at the first thing that cannot work."""
    if (spec.python is None) == (spec.url is None):
        raise Invalid("commands are executed by exactly one of python and url", pointer="/commands")
    if spec.python is not None and not _MODULE.fullmatch(spec.python):
        raise Invalid("a Python module is named as in an import: village.rules", pointer="/commands/python")
    if spec.url is not None:
        check_url(spec.url, "/commands/url")
    for name, kind in spec.kinds.items():
        for i, arg in enumerate(kind.optional):
            if arg not in kind.args:
                raise Invalid(f"there is no argument {arg!r}", pointer=f"/commands/kinds/{name}/optional/{i}")
    if len(msgspec.json.encode(spec.initial)) > MAX_INITIAL_BYTES:
        raise Invalid(f"the initial state is larger than {MAX_INITIAL_BYTES} bytes", pointer="/commands/initial")


def check_url(url: str, pointer: str) -> None:
    """Raise Invalid for what is no plain http or https URL. Where it leads is judged when it is called."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or any(c.isspace() for c in url) or len(url) > MAX_URL:
        raise Invalid("a URL is https://host[:port]/path", pointer=pointer)
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Invalid("a URL has neither a user nor a fragment here: calls are signed", pointer=pointer)


def check_modules(spec: CommandsSpec, allowed: frozenset[str]) -> None:
    """Raise Invalid where the operator does not run this module: to import one is to run it."""
    if spec.python is not None and spec.python not in allowed:
        raise Invalid(
            f"this installation does not run the module {spec.python!r}: the operator may name it in "
            "MUSTER_COMMAND_MODULES; a url is called without that",
            pointer="/commands/python",
        )


def modules(text: str) -> frozenset[str]:
    """Names separated by commas, as the setting has them."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())
