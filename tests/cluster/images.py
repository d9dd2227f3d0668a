"""Container images without a registry or a Docker: archives as `docker save` writes them, made from files found here.

An image is a list of layers, and a layer maps paths inside to what lies there: a file or a whole folder of this
machine, bytes, or (a string) where a link leads. `ctr images import` and `docker load` take the archive. Format: the
image specification v1.2 of https://github.com/moby/docker-image-spec.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

Source = Path | bytes | str
Layer = Mapping[str, Source]
NOBODY: Final = 65534
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def write_image(
    archive: Path,
    name: str,
    layers: Sequence[Layer],
    *,
    entrypoint: Sequence[str] = (),
    command: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    user: int = NOBODY,
    workdir: str = "/",
) -> Path:
    """Write the archive of an image and give its path. `name` has a tag: without one Kubernetes would want to pull."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    parts = [archive.with_name(f"{archive.name}.layer{number}") for number in range(len(layers))]
    digests = [write_layer(part, layer) for part, layer in zip(parts, layers, strict=True)]
    config = {
        "architecture": ARCHITECTURES[os.uname().machine],
        "os": "linux",
        "config": {
            "Entrypoint": list(entrypoint),
            "Cmd": list(command),
            "Env": [f"{key}={value}" for key, value in (env or {}).items()],
            "User": str(user),
            "WorkingDir": workdir,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created_by": "muster"} for _ in digests],  # without it Podman builds nothing on top
    }
    described = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(described).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}.tar" for digest in digests]}]
    with tarfile.open(archive, "w") as tar:
        for part, digest in zip(parts, digests, strict=True):
            tar.add(part, f"{digest}.tar")
            part.unlink()
        add_bytes(tar, config_name, described)
        add_bytes(tar, "manifest.json", json.dumps(manifest).encode())
    return archive


def write_layer(path: Path, layer: Layer) -> str:
    """Write one layer as a tar and give the SHA-256 of it in hex."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for target, source in sorted(layer.items()):
            if isinstance(source, bytes):
                add_bytes(tar, target.lstrip("/"), source)
            elif isinstance(source, str):
                add_link(tar, target.lstrip("/"), source)
            else:
                # A link at the top is what it leads to; links further down stay links.
                tar.add(source.resolve(), target.lstrip("/"), filter=anonymous)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Root's, and readable by all: who owns a file here says nothing there."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode |= 0o555 if member.isdir() or member.mode & 0o100 else 0o444
    return member


def add_bytes(tar: tarfile.TarFile, target: str, content: bytes) -> None:
    """A file of these bytes; a target that ends in / is an empty folder where everybody may write."""
    member = tarfile.TarInfo(target.rstrip("/"))
    if target.endswith("/"):
        member.type, member.mode = tarfile.DIRTYPE, 0o1777
    else:
        member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))


def add_link(tar: tarfile.TarFile, target: str, leads_to: str) -> None:
    """A symbolic link."""
    member = tarfile.TarInfo(target)
    member.type, member.linkname = tarfile.SYMTYPE, leads_to
    tar.addfile(member)


def static_image(archive: Path, name: str, program: Path) -> Path:
    """An image that holds one statically linked program and nothing else."""
    target = f"/{program.name}"
    return write_image(archive, name, [{target: program}], entrypoint=[target])
