"""Takes a backup: a snapshot of each primary, checked and stored, and old ones removed."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.backup.manifest import FORMAT, Manifest, SnapshotFile, encode, name_of, outlived
from core.backup.places import Place
from core.clock import now_ms
from core.errors import Invalid
from core.redis.snapshot import Node, copy_snapshot, primaries
from core.together import together

HEAD: Final = (b"REDIS", b"VALKEY")  # how a snapshot begins
READ_BYTES: Final = 1 << 20

Told = Callable[[str], None]


async def take(url: str, to: Place, version: str, told: Told = lambda _text: None) -> tuple[str, Manifest]:
    """Back up the Redis at `url`; returns the backup's name and manifest.

    Killed at any line it leaves a partial backup, which nobody takes for whole and `prune` removes. Raises Unavailable.
    """
    began = now_ms()
    with tempfile.TemporaryDirectory(prefix="muster-backup-") as folder:
        async with primaries(url) as nodes:
            # All at once: nodes wait some seconds for further replicas before they begin.
            files = await together(_copy(node, Path(folder), number, told) for number, node in enumerate(nodes))
        manifest = Manifest(FORMAT, version, began, now_ms() - began, nodes[0].database, files)
        name = name_of(began)
        await asyncio.to_thread(to.put, name, [Path(folder) / file.file for file in files], encode(manifest))
    return name, manifest


def prune(to: Place, keep: int, told: Told = lambda _text: None) -> list[str]:
    """Remove all but the newest `keep` whole backups, and partial ones that are older than those; returns the names.

    What is younger than the newest whole one may be under way just now, so it stays.
    """
    if keep < 1:
        raise Invalid(f"{keep} backups cannot be kept: at least 1", pointer="keep")
    whole = to.whole()
    gone = outlived(whole, keep)
    gone += [name for name in to.partial() if whole and name < whole[-1]]
    for name in gone:
        to.remove(name)
        told(f"removed {name}")
    return gone


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _copy(node: Node, folder: Path, number: int, told: Told) -> SnapshotFile:
    path = folder / f"node-{number}.rdb"
    with path.open("wb") as file:
        await copy_snapshot(node, file, _progress(node, told))
    return await asyncio.to_thread(_described, path, node)


def _described(path: Path, node: Node) -> SnapshotFile:
    with path.open("rb") as file:
        if not file.read(max(map(len, HEAD))).startswith(HEAD):
            raise Invalid(f"what {node.name} sent is no snapshot", pointer=path.name)
    return SnapshotFile(path.name, path.stat().st_size, digest(path), node.keys, node.name, node.version)


def _progress(node: Node, told: Told) -> Callable[[int], None]:
    step, due = 64_000_000, 64_000_000

    def progress(written: int) -> None:
        nonlocal due
        if written >= due:
            due = written + step
            told(f"{node.name}: {written // 1_000_000} MB")

    return progress
