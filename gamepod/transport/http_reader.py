"""Bytes to whole HTTP requests, with every size bounded. No I/O: `http.py` feeds it and owns the clock."""

from __future__ import annotations

from urllib.parse import unquote

import httptools

from core.errors import Refused
from gamepod.transport.http_types import HttpLimits, Request


class BadRequest(Refused):
    """The peer's fault; the connection is of no use any more. `status` is the answer's."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class RequestReader:
    """Parses one connection's requests; httptools calls the `on_` methods."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._done: list[Request] = []
        self._bad: BadRequest | None = None
        self._in_head = False
        self._late_head_bytes = 0
        self.reading = False  # in the middle of a request
        self.wants_continue = False  # the client waits for "100 Continue" before it sends the body
        self.upgrade_rest: bytes | None = None  # what came after a request to change the protocol
        self._clear()

    def feed(self, data: bytes) -> list[Request]:
        """The requests that these bytes complete. Raises `BadRequest`; do not feed any more after it.

        After a request to change the protocol `upgrade_rest` is set, and nothing more may be fed either.
        """
        in_head = self._in_head
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.upgrade_rest = data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._bad = self._bad or BadRequest(400, "this is no HTTP request")
        if in_head and self._in_head:
            # A header is only reported when it is complete, so an endless one is seen by its bytes alone.
            self._late_head_bytes += len(data)
            if self._late_head_bytes > self._limits.max_head_bytes:
                self._bad = BadRequest(431, "the request's head is too long")
        if self._bad is not None:
            raise self._bad
        done, self._done = self._done, []
        return done

    def on_message_begin(self) -> None:
        self._clear()
        self.reading = self._in_head = True

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + 4)
        if self._bad is None:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        self._in_head = False
        length = self._headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._limits.max_body_bytes:
            self._too_large()
        self.wants_continue = self._headers.get("expect", "").lower() == "100-continue"

    def on_body(self, body: bytes) -> None:
        self.wants_continue = False
        if len(self._body) + len(body) > self._limits.max_body_bytes:
            self._too_large()
        else:
            self._body += body

    def on_message_complete(self) -> None:
        self.reading = self.wants_continue = False
        if self._bad is not None:
            return
        if len(self._done) >= self._limits.max_pipelined:
            self._bad = BadRequest(429, "too many requests at once")
            return
        target = self._url.decode("latin-1")
        path, _, query = target.partition("?")
        self._done.append(
            Request(
                method=self._parser.get_method().decode("latin-1"),
                path=unquote(path),
                query=query,
                target=target,
                headers=self._headers,
                body=bytes(self._body),
                version=self._parser.get_http_version(),
                keep_alive=self._parser.should_keep_alive(),
            )
        )

    def _clear(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._head_bytes = 0
        self._late_head_bytes = 0

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.max_head_bytes:
            self._bad = BadRequest(431, "the request's head is too long")

    def _too_large(self) -> None:
        self._bad = BadRequest(413, f"a body may have {self._limits.max_body_bytes} bytes")
