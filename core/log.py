"""Structured logs: one JSON object a line on stderr, or text for people. Bind ids, do not format them into words."""

from __future__ import annotations

import logging
import sys
from typing import cast

import structlog
from structlog.typing import FilteringBoundLogger


def setup(service: str, *, form: str, level: str) -> None:
    """Configure logging of this process once. `form` is `json` or `text`."""
    number = getattr(logging, level.upper(), logging.INFO)
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if form == "text"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Libraries log through the standard module; their warnings belong in the same stream.
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(name)s: %(message)s")


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
