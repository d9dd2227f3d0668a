"""Logs of a game server: one JSON object a line on stderr, as the other services write them.

On the standard library: structlog costs a game server 5 MB and 40 ms, once per match.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

import orjson

from core import trace
from core.clock import iso
from core.model import Match

_BOUND: Final[dict[str, str]] = {}  # on every line; a process has one match
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A record with its extras as one JSON object, and what is bound."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": iso(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **_BOUND,
            **{name: value for name, value in vars(record).items() if name not in _OWN},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class Text(JsonLines):
    """The same for people: time, level, event, what is bound to it, and whose line it is: game, match, trace."""

    def format(self, record: logging.LogRecord) -> str:
        own = {name: value for name, value in vars(record).items() if name not in _OWN}
        bound = {name: value for name, value in _BOUND.items() if value and name != "service"}
        extras = " ".join(f"{name}={value}" for name, value in (own | bound | own).items())
        line = f"{iso(int(record.created * 1000))} {record.levelname.lower():7} {record.getMessage()} {extras}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def setup(*, form: str, level: str, **bound: str) -> None:
    """Configure logging of this process once. `form` is `json` or `text`."""
    handler = logging.StreamHandler(sys.stderr)
    bind(service="gamepod", **bound)
    handler.setFormatter(Text() if form == "text" else JsonLines())
    logging.basicConfig(handlers=[handler], level=getattr(logging, level.upper(), logging.INFO), force=True)


def bind(**bound: str) -> None:
    """From now on every line carries this too."""
    _BOUND.update(bound)


def allocated(match: Match, standby: str) -> None:
    """A server that had no match has this one: its lines belong to that from now on."""
    bind(match=match.id, trace=trace.of(match.id, match.trace), standby=standby)
    logging.getLogger(__name__).info("allocated")
