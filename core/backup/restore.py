"""Puts a backup back: into an empty Redis of any shape, through a server of our own that reads the snapshot files."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core.backup.manifest import Manifest, decode
from core.backup.places import Place
from core.backup.take import digest
from core.errors import Conflict, Invalid, NotFound
from core.redis.scratch import reading
from core.redis.transfer import Seen, count_keys, empty, transfer

Told = Callable[[str], None]


def choose(place: Place, name: str) -> tuple[str, Manifest]:
    """The backup of that name, or the newest where the name is empty. Raises NotFound, Invalid."""
    if not name:
        whole = place.whole()
        if not whole:
            raise NotFound(f"{place} holds no whole backup")
        name = whole[-1]
    return name, decode(name, place.manifest(name))


async def check(place: Place, name: str, manifest: Manifest, folder: Path, told: Told) -> None:
    """Fetch all files of a backup into `folder` and compare them with their checksums. Raises Invalid, Unavailable."""
    for file in manifest.files:
        path = folder / file.file
        await asyncio.to_thread(place.fetch, name, file.file, path)
        if (found := await asyncio.to_thread(digest, path)) != file.sha256:
            raise Invalid(f"{name}/{file.file} is damaged: SHA-256 {found}, the manifest says {file.sha256}")
        told(f"{file.file}: {file.bytes:,} bytes, checksum is right")


async def restore(
    place: Place, name: str, url: str, *, replace: bool, told: Told = lambda _text: None, seen: Seen = lambda _key: None
) -> int:
    """Put the backup `name` into the Redis at `url`; returns how many keys it now has, each of which is `seen`.

    Nothing is touched before every file was checked, and read once by a server of our own. A Redis that holds keys is
    refused with Conflict, or emptied where `replace`. Cut off in the middle it left a part: run it again that way.
    """
    name, manifest = choose(place, name)
    with tempfile.TemporaryDirectory(prefix="muster-restore-") as scratch:
        folder = Path(scratch)
        await check(place, name, manifest, folder, told)
        for file in manifest.files:
            async with reading(folder / file.file, folder, manifest.database):
                told(f"{file.file}: can be read here")
        if held := await count_keys(url):
            if not replace:
                raise Conflict(f"the Redis to restore into holds {held} keys: empty it first, or say --replace")
            await empty(url)
            told(f"removed {held} keys")
        done = 0
        for file in manifest.files:
            async with reading(folder / file.file, folder, manifest.database) as source:
                done += await transfer(source, url, _progress(file.file, told), seen)
    return done


def _progress(file: str, told: Told) -> Callable[[int], None]:
    due = time.monotonic() + 1.0

    def progress(keys: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + 1.0
            told(f"{file}: {keys:,} keys")

    return progress
