"""Which Muster is meant, and who speaks: MUSTER_URL and MUSTER_TOKEN, else the stack here, else the last login.

Sessions are kept by URL in one file that only this user may read, and renewed when they expire.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import click
import msgspec

from core.cli.folder import replace_private, running
from core.cli.rest import Answer, Rest
from core.cli.settings import RemoteSettings, StackSettings
from core.errors import Misconfigured, Unauthorized
from core.settings import from_env

FILE: Final = "sessions.json"
EARLY_S: Final = 30.0  # a token that expires so soon is renewed first
DEFAULT_URL: Final = "http://127.0.0.1:22548"


class Kept(msgspec.Struct):
    """What is kept of a login."""

    name: str
    role: str
    access_token: str
    refresh_token: str
    expires_s: float  # unix seconds


class Sessions(msgspec.Struct):
    """The file: sessions by URL, and the one used where none is said."""

    sites: dict[str, Kept] = {}
    current: str = ""


@dataclass
class Site:
    """A Muster to speak to. `call` is its API; who is not logged in is told how to."""

    url: str
    token: str  # of the environment; it is used as it is
    file: Path

    def call(self, method: str, *parts: str, body: Any = None, version: int | None = None, **query: Any) -> Any:
        """The answer's document. `parts` are quoted; arguments that are None are left out. Raises MusterError.

        `version` is the one that a change is meant for.
        """
        more = None if version is None else {"If-Match": f'"{version}"'}
        path = "/".join(["/v1", *(quote(part, safe="") for part in parts)])
        asked = "&".join(f"{name}={quote(str(value))}" for name, value in query.items() if value is not None)
        try:
            return Rest(self.url, self._token()).call(method, f"{path}?{asked}" if asked else path, body, more=more)
        except Answer as refusal:
            if refusal.status == HTTPStatus.UNAUTHORIZED:
                raise Unauthorized(f"{refusal.detail}: `muster login NAME`, or set MUSTER_TOKEN") from None
            raise

    def login(self, name: str, password: str) -> Kept:
        """Log in and keep the session."""
        answer = Rest(self.url).call("POST", "/v1/login", {"name": name, "password": password})
        with self._sessions() as sessions:
            sessions.sites[self.url] = kept = _kept(answer)
            sessions.current = self.url
        return kept

    def logout(self) -> bool:
        """End the session; whether there was one. It is forgotten here even where the server is away."""
        with self._sessions() as sessions:
            kept = sessions.sites.pop(self.url, None)
        if kept:
            Rest(self.url, kept.access_token).call("POST", "/v1/logout")
        return kept is not None

    def _token(self) -> str:
        if self.token:
            return self.token
        # Renewed under the lock: a refresh token serves once, and two commands at once would both try.
        with self._sessions() as sessions:
            kept = sessions.sites.get(self.url)
            if kept is None:
                return ""
            if kept.expires_s - time.time() < EARLY_S:
                try:
                    answer = Rest(self.url).call("POST", "/v1/refresh", {"refresh_token": kept.refresh_token})
                except Answer:
                    del sessions.sites[self.url]
                    return ""
                kept = sessions.sites[self.url] = _kept(answer)
        return kept.access_token

    @contextmanager
    def _sessions(self) -> Iterator[Sessions]:
        """The file, locked; written again where it was changed."""
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.file.read_bytes() if self.file.exists() else b""
            sessions = read(before)
            try:
                yield sessions
            finally:
                after = msgspec.json.encode(sessions)
                if after != before:
                    replace_private(self.file, after)


def _kept(answer: Mapping[str, Any]) -> Kept:
    until = time.time() + float(answer["expires_in"])
    return Kept(answer["name"], answer["role"], answer["access_token"], answer["refresh_token"], until)


def read(content: bytes) -> Sessions:
    """The sessions in a file; a broken file holds none."""
    try:
        return msgspec.json.decode(content, type=Sessions)
    except msgspec.DecodeError:
        return Sessions()


def site(url: str = "", env: Mapping[str, str] = os.environ) -> Site:
    """The Muster that is meant. Raises Misconfigured for a URL that is none."""
    settings = from_env(RemoteSettings, env)
    url = url or settings.url
    file = Path(settings.config_dir or click.get_app_dir("muster")) / FILE
    state = None if url else running(from_env(StackSettings, env).data)
    kept = read(file.read_bytes()).current if file.exists() else ""
    found = (url or (state.url if state else "") or kept or DEFAULT_URL).rstrip("/")
    parts = urlsplit(found)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Misconfigured(f"{found[:100]!r} is no http:// or https:// address", setting="MUSTER_URL")
    return Site(found, settings.token, file)
