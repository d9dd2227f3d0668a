"""A plain REST client for the operator's own few calls; bots, which are many, have an asynchronous one."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from core.errors import MusterError, Unavailable

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 4_000_000


class Answer(MusterError):
    """The server refused a call. `status` is the HTTP status, `detail` its sentence."""

    def __init__(self, status: int, detail: str, code: str) -> None:
        super().__init__(detail, code=code)
        self.status = status


class Rest:
    """Calls to one server."""

    def __init__(self, url: str, token: str = "") -> None:
        parts = urlsplit(url)
        self._netloc, self._prefix = parts.netloc, parts.path.rstrip("/")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.token = token

    def call(self, method: str, path: str, body: Any = None, *, more: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON document, or its text; `more` are headers. Raises Unavailable, or Answer for a refusal."""
        headers = {"Accept": "application/json", **(more or {})}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = self._kind(self._netloc, timeout=TIMEOUT_S)
        try:
            connection.request(
                method, self._prefix + path, None if body is None else msgspec.json.encode(body), headers
            )
            response = connection.getresponse()
            content = response.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{self._netloc} does not answer: {error}") from error
        finally:
            connection.close()
        document = _document(content)
        if response.status >= 400:
            problem = document if isinstance(document, dict) else {}
            detail = problem.get("detail") or problem.get("title") or response.reason
            place = f" (at {problem['pointer']})" if problem.get("pointer") else ""
            raise Answer(response.status, f"{method} {path}: {detail}{place}", str(problem.get("type", "")))
        return document


def _document(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content) if content else None
    except msgspec.DecodeError:
        return content.decode(errors="replace")
