"""What a backup is: a snapshot file a primary, and a manifest, written last: what has none is not whole. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from core.clock import iso
from core.errors import Invalid

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_NAME: Final = re.compile(r"muster-\d{8}T\d{6}\d{3}Z")
_FILE: Final = re.compile(r"node-\d{1,4}\.rdb")


class SnapshotFile(msgspec.Struct, frozen=True):
    """The snapshot of one primary."""

    file: str
    bytes: int
    sha256: str
    keys: int  # in Muster's database, shortly before
    node: str  # address it was taken from
    server: str  # product and version


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json` of a backup."""

    format: int
    muster: str  # version of the program that took it
    started_ms: int
    took_ms: int
    database: int  # number of the Redis database that is Muster's
    files: list[SnapshotFile]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def keys(self) -> int:
        return sum(file.keys for file in self.files)


def name_of(at_ms: int) -> str:
    """The name of a backup that began at `at_ms`: names sort as times do."""
    return "muster-" + re.sub(r"[-:.]", "", iso(at_ms))


def is_name(text: str) -> bool:
    """Whether something of this name can be a backup of ours."""
    return _NAME.fullmatch(text) is not None


def encode(manifest: Manifest) -> bytes:
    """As JSON for people too."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(name: str, content: bytes) -> Manifest:
    """Read a manifest. Raises Invalid where it is none, or one of a later format."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"the manifest of {name} cannot be read: {error}", pointer=MANIFEST) from error
    if manifest.format != FORMAT:
        raise Invalid(f"{name} has format {manifest.format}, this version reads {FORMAT}", pointer=MANIFEST)
    for file in manifest.files:
        if not _FILE.fullmatch(file.file):
            raise Invalid(f"the manifest of {name} names a file {file.file!r}", pointer=MANIFEST)
    return manifest


def outlived(names: Iterable[str], keep: int) -> list[str]:
    """Which of the whole backups go when the newest `keep` stay, oldest first."""
    ordered = sorted(names)
    return ordered[: max(0, len(ordered) - keep)]
