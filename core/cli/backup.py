"""`muster backup`, `muster backups`, `muster restore`: see docs/backup.md."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from core.backup.kinds import kind_of, told
from core.backup.manifest import Manifest, decode
from core.backup.places import Place, place
from core.backup.restore import check, choose, restore
from core.backup.take import prune, take
from core.cli.folder import REDIS, locked, running
from core.cli.ports import free_port
from core.cli.remote.shown import duration
from core.cli.settings import StackSettings
from core.cli.table import table
from core.clock import iso
from core.errors import Misconfigured, MusterError, Unavailable
from core.redis.embedded import embedded_redis

MB: Final = 1_000_000
NOT_IN_IT: Final = (
    "what came after it, the secret (.data/secret, MUSTER_SECRET or the chart's Secret; with another one everybody has "
    "to log in again), settings, programs and images of games, log files"
)


def say(text: str) -> None:
    """A line of progress: people read it, scripts do not."""
    print(f"  {text}", file=sys.stderr, flush=True)


def redis_url(settings: StackSettings) -> str:
    """REDIS_URL, else the Redis of the stack that runs here. Raises Misconfigured."""
    state = None if settings.redis_url else running(settings.data)
    url = settings.redis_url or (state.redis_url if state else "")
    if not url:
        raise Misconfigured("no stack runs here, so say which Redis is meant", setting="REDIS_URL")
    return url


def where(settings: StackSettings, given: str) -> Place:
    """The place that was named, by default a folder beside the data."""
    return place(given or str(settings.data / "backups"), os.environ)


def run(settings: StackSettings, to: str, version: str, *, keep: int, every_s: float) -> int:
    """Take a backup, or one each `every_s` for ever. One that fails is told, and tried again at its next time."""
    kept = where(settings, to)
    while True:
        due = time.monotonic() + every_s
        try:
            name, manifest = uvloop.run(take(redis_url(settings), kept, version, say))
            print(f"{name}: {manifest.keys:,} keys, {manifest.bytes / MB:,.1f} MB in {manifest.took_ms / 1000:.1f} s, "
                  f"to {kept}", flush=True)  # fmt: skip
            prune(kept, keep, say)
        except Unavailable as error:
            if not every_s:
                raise
            say(f"no backup this time: {error.detail}")
        if not every_s:
            return 0
        time.sleep(max(0.0, due - time.monotonic()))


def listing(settings: StackSettings, at: str, *, as_json: bool) -> int:
    """Print the backups of a place, oldest first."""
    kept = where(settings, at)
    found: list[tuple[str, Manifest]] = []
    for name in kept.whole():
        try:
            found.append((name, decode(name, kept.manifest(name))))
        except MusterError as error:
            say(error.detail)
    if as_json:
        rows = [{"name": name, **msgspec.to_builtins(manifest)} for name, manifest in found]
        print(msgspec.json.encode(rows).decode())
        return 0
    if not found:
        print(f"{kept} holds no backup; `muster backup` takes one")
        return 0
    lines = [(n, iso(m.started_ms), len(m.files), m.keys, m.bytes / MB, m.muster) for n, m in found]
    print(table(lines, head=("backup", "began", "nodes", "keys", "MB", "muster")))
    if partial := kept.partial():
        print(f"not whole: {', '.join(partial)}")
    return 0


def put_back(settings: StackSettings, source: str, name: str, *, replace: bool, only_check: bool) -> int:
    """Restore a backup, or only look whether it could be."""
    kept = where(settings, source)
    name, manifest = choose(kept, name)
    print(f"{name}: {manifest.keys:,} keys of {iso(manifest.started_ms)}")
    if only_check:
        with tempfile.TemporaryDirectory(prefix="muster-check-") as folder:
            uvloop.run(check(kept, name, manifest, Path(folder), say))
        print("whole and undamaged")
        return 0
    with _target(settings) as url:
        began, kinds = time.monotonic(), Counter[str]()
        keys = uvloop.run(
            restore(kept, name, url, replace=replace, told=say, seen=lambda key: kinds.update((kind_of(key),)))
        )
    print(f"restored {keys:,} keys in {duration(time.monotonic() - began)}: {told(kinds)}")
    print(f"not in a backup: {NOT_IN_IT}")
    print("start the services: matches that do not run any more are ended within seconds")
    return 0


@contextmanager
def _target(settings: StackSettings) -> Iterator[str]:
    """REDIS_URL, else the embedded Redis of the data folder, which must not be in use. Raises Misconfigured."""
    if settings.redis_url:
        yield settings.redis_url
        return
    with locked(settings.data), embedded_redis(settings.data / REDIS, free_port()) as server:
        yield server.url
