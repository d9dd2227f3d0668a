"""Structured logs: one JSON object a line on stderr, or text for people. Bind ids, do not format them into words.

`get` gives a logger for what happens now and then. A `Stage` is for what happens to every ticket: a line of level
info for half the price (2 us). Stages of one turn of the event loop are written together, before any other line and at
the exit; `kill -9` takes those of the running turn along.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, cast

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from core.clock import iso, now_ms


class _Output:
    """What JSON lines are written through. Used on one thread at a time, as loggers of an event loop are."""

    def __init__(self) -> None:
        self.service = ""
        self.stages = False  # whether lines of level info are written, as JSON
        self._lines: list[bytes] = []
        self._second, self._shown = -1, ""

    def stamp(self, ms: int) -> str:
        """RFC 3339; most lines share the second with the one before."""
        second, rest = divmod(ms, 1000)
        if second != self._second:
            self._second, self._shown = second, iso(second * 1000)[:-4]
        return f"{self._shown}{rest:03d}Z"

    def later(self, line: bytes) -> None:
        """Write at the end of this turn of the event loop."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        if self._lines:
            lines, self._lines = self._lines, []
            self.msg(b"".join(lines))

    def msg(self, line: bytes) -> None:
        """Write a line now, behind what waits."""
        self.flush()
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()

    debug = info = warning = error = critical = exception = msg


_OUTPUT: Final = _Output()
atexit.register(_OUTPUT.flush)


def setup(service: str, *, form: str, level: str) -> None:
    """Configure logging of this process once. `form` is `json` or `text`."""
    number = getattr(logging, level.upper(), logging.INFO)
    text = form == "text"
    _OUTPUT.service, _OUTPUT.stages = service, not text and number <= logging.INFO
    for_people: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
    ]
    structlog.configure(
        processors=for_people if text else [_json_line],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr) if text else lambda *_: _OUTPUT,
        cache_logger_on_first_use=True,
    )
    if text:
        structlog.contextvars.bind_contextvars(service=service)
    # Libraries log through the standard module; their warnings belong in the same stream.
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(name)s: %(message)s")


def _json_line(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    """What five processors of structlog would do, in a third of their time."""
    event["level"] = "error" if method == "exception" else method
    event["service"] = _OUTPUT.service
    event["timestamp"] = _OUTPUT.stamp(now_ms())
    if event.get("exc_info"):
        event = structlog.processors.format_exc_info(logger, method, event)
    return orjson.dumps(event, default=repr, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)


class Stage:
    """A line that is written for every ticket, or match: `event`, with the fields that it is called with."""

    __slots__ = ("_event", "_logger", "_part")

    def __init__(self, part: str, event: str) -> None:
        self._part, self._event, self._logger = part, event, get(part)

    def __call__(self, at_ms: int, fields: dict[str, Any]) -> None:
        """Write it, from within an event loop. `fields` is the caller's to give away: it becomes the line."""
        if not _OUTPUT.stages:
            self._logger.info(self._event, **fields)
            return
        fields["event"], fields["part"] = self._event, self._part
        fields["level"], fields["service"] = "info", _OUTPUT.service
        fields["timestamp"] = _OUTPUT.stamp(at_ms)
        _OUTPUT.later(orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))


def get(name: str, *, always: bool = False) -> FilteringBoundLogger:
    """A logger whose lines carry `name` as `part`. It is configured at its first line, so a module may make one.

    With `always` no configured level leaves a line out: for what is kept as evidence.
    """
    if always:
        return cast(
            FilteringBoundLogger,
            structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG), part=name),
        )
    return cast(FilteringBoundLogger, structlog.get_logger(part=name))
