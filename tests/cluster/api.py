"""The API server in plain requests, for what kubectl is too slow for and for what must not depend on the code tested.

Blocking, one connection for each request; `session` gives an asyncio client for work in bulk. Both identify by the
administrator's certificate.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final, TypeVar

import aiohttp

from tests.cluster.layout import Layout

T = TypeVar("T")
Document = dict[str, Any]

ANSWER_S: Final = 30.0  # a busy machine; 0.05 s where it is idle


class ApiError(Exception):
    """The API server refused: `status` is its HTTP code."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:500]}")
        self.status = status


class Api:
    """Requests to the API server of one cluster as its administrator."""

    def __init__(self, layout: Layout, user: str = "admin") -> None:
        self.url = layout.api_url
        secrets = layout.secrets
        self.tls = ssl.create_default_context(cafile=str(secrets / "ca.crt"))
        self.tls.load_cert_chain(secrets / f"{user}.crt", secrets / f"{user}.key")

    def text(self, path: str, *, within_s: float = ANSWER_S) -> str:
        """What GET answers. Raises ApiError, or OSError if nobody does."""
        return self._send(urllib.request.Request(self.url + path), within_s)

    def get(self, path: str) -> Document:
        """The document that GET answers."""
        document: Document = json.loads(self.text(path))
        return document

    def send(self, method: str, path: str, body: Document | None = None, kind: str = "application/json") -> Document:
        """Any other request; `kind` is the body's content type, which tells the ways to patch apart."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={"Content-Type": kind})
        document: Document = json.loads(self._send(request, ANSWER_S))
        return document

    def exists(self, path: str) -> bool:
        """Whether GET finds it."""
        try:
            self.text(path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _send(self, request: urllib.request.Request, within_s: float) -> str:
        try:
            with urllib.request.urlopen(request, context=self.tls, timeout=within_s) as answer:
                return str(answer.read(), "utf-8")
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, error.read().decode(errors="replace")) from error

    def session(self, connections: int = 32) -> aiohttp.ClientSession:
        """An asyncio client whose paths begin at the server; it raises for every refusal."""
        connector = aiohttp.TCPConnector(limit=connections, ssl=self.tls)
        return aiohttp.ClientSession(self.url, connector=connector, raise_for_status=True)


def until(check: Callable[[], T], what: str, *, within_s: float, every_s: float = 0.2) -> T:
    """The first truthy answer of `check`; that nobody answers yet counts as no. Raises TimeoutError naming `what`.

    Most checks ask the API server over a new connection, which costs both sides 10 ms of CPU time: hence `every_s`.
    """
    deadline = time.monotonic() + within_s
    while True:
        last: object
        try:
            if answer := check():
                return answer
            last = answer
        except (OSError, ApiError) as error:
            last = error
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:g} s: {what}; last: {last!r}")
        time.sleep(every_s)
