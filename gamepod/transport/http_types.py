"""What a handler of the small HTTP server sees and returns, and the server's bounds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from http import HTTPStatus

from msgspec import Struct, field


class HttpLimits(Struct, frozen=True):
    """Bounds of one HTTP port."""

    max_head_bytes: int = 16_384  # request line and headers; tokens travel there
    max_body_bytes: int = 65_536  # the sidecar's documents are a few hundred bytes
    request_timeout_s: float = 10.0  # from a request's first byte to its last
    keep_alive_s: float = 75.0  # between two requests; longer than the usual scrape interval
    write_timeout_s: float = 10.0  # a reader that takes nothing for so long is gone
    max_connections: int = 256
    max_pipelined: int = 16  # requests that wait while one is handled


class Request(Struct, frozen=True):
    """One whole request."""

    method: str
    path: str  # percent-decoded, without the query
    query: str  # as sent, without the question mark
    target: str  # as sent: path and query
    headers: Mapping[str, str]  # names in lower case; repeated ones joined by ", "
    body: bytes
    version: str  # "1.0" or "1.1"
    keep_alive: bool


class Response(Struct, frozen=True):
    """The answer. With `stream`, its pieces are sent as they come and `body` is not used."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: AsyncGenerator[bytes, None] | None = None


Handler = Callable[[Request], Awaitable[Response]]


def response_head(response: Response, *, close: bool, chunked: bool) -> bytes:
    """The status line and headers of a response, to the empty line."""
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {response.status} {phrase}"]
    if response.body or response.stream is not None:
        lines.append(f"Content-Type: {response.content_type}")
    if response.stream is None:
        lines.append(f"Content-Length: {len(response.body)}")
    elif chunked:
        lines.append("Transfer-Encoding: chunked")
    lines.extend(f"{name}: {value}" for name, value in response.headers.items())
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def plain(status: int, text: str) -> Response:
    """A response of one line of text."""
    return Response(status, f"{text}\n".encode(), "text/plain; charset=utf-8")
