"""Build the images on the Docker daemon of DOCKER_HOST, and print their sizes: `python -m tools.build_images`.

Where the base image can be had, the Dockerfile does all by itself. Where no registry answers, the base is made from
this Python (`tools/base_image.py`) and the wheels are fetched here, into `wheelhouse/`, so that the build needs no
network at all. Either way the versions are those of locks/, checked against their hashes.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import docker
import docker.errors
from docker.models.images import Image

from tools.base_image import base_image

ROOT: Final = Path(__file__).parent.parent
WHEELHOUSE: Final = ROOT / "wheelhouse"
OWN_BASE: Final = f"muster/base:{platform.python_version()}"
BASE_LABEL: Final = "org.opencontainers.image.base.name"
OFFLINE: Final = "--no-index --find-links wheelhouse"
BUILD_S: Final = 1800  # a build on a busy machine; between two words of the daemon
PULL_S: Final = 300


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image, and where it is made from."""

    name: str
    folder: Path = ROOT
    target: str | None = None


IMAGES: Final = (
    Wanted("muster/gamepod", target="gamepod"),
    Wanted("muster/service", target="service"),
    Wanted("example/shifumi", ROOT / "examples" / "shifumi"),
)


def build_all(client: docker.DockerClient, *, tag: str, base: str = "") -> dict[str, Image]:
    """Build every image with this tag; `base` '' takes the Dockerfile's, or one of our own. Returns them by name."""
    args = _arguments(client, base)
    return {wanted.name: _build(client, wanted, tag, args) for wanted in IMAGES}


def _arguments(client: docker.DockerClient, base: str) -> dict[str, str]:
    wished = base or _default_base()
    if _available(client, wished):
        return {"BASE_IMAGE": wished}
    if base:
        raise SystemExit(f"the base image {base} is neither here nor in a registry that answers")
    if not _is_here(client, OWN_BASE):
        click.echo(f"  no registry gives {wished}: making {OWN_BASE} from this Python", err=True)
        with tempfile.TemporaryDirectory() as folder:
            archive = base_image(Path(folder) / "base.tar", OWN_BASE)
            with archive.open("rb") as stream:
                client.images.load(stream)
    _fill_wheelhouse()
    return {"BASE_IMAGE": OWN_BASE, "PIP_ARGS": OFFLINE}


def _default_base() -> str:
    found = re.search(r"^ARG BASE_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("the Dockerfile names no BASE_IMAGE")
    return found[1]


def _is_here(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
        return True
    except docker.errors.ImageNotFound:
        return False


def _available(client: docker.DockerClient, name: str) -> bool:
    if _is_here(client, name):
        return True
    try:
        client.images.pull(*name.split(":", 1))
        return True
    except docker.errors.APIError:
        return False


def _fill_wheelhouse() -> None:
    """Fetch the wheels of both images' locks for this Python, unless they are here."""
    locks = [ROOT / "locks" / name for name in ("gamepod.txt", "service.txt")]
    stamp = WHEELHOUSE / "stamp"
    wanted = "\n".join([platform.python_version(), *(lock.read_text() for lock in locks)])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    click.echo("  fetching wheels", err=True)
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary", ":all:"]
    for lock in locks:  # one after the other: with hashes, pip takes no requirement twice
        subprocess.run([*fetch, "--requirement", str(lock), "--dest", str(WHEELHOUSE)], check=True, cwd=ROOT)  # noqa: S603
    stamp.write_text(wanted)


def _build(client: docker.DockerClient, wanted: Wanted, tag: str, args: dict[str, str]) -> Image:
    try:
        image, _ = client.images.build(
            path=str(wanted.folder),
            target=wanted.target,
            tag=f"{wanted.name}:{tag}",
            buildargs=args,
            rm=True,
            labels={BASE_LABEL: args["BASE_IMAGE"]},
        )
    except docker.errors.BuildError as error:
        said = "".join(str(line.get("stream", "")) for line in error.build_log)
        raise SystemExit(f"{wanted.name}: {error}\n{said[-4000:]}") from None
    return image


def sizes(client: docker.DockerClient, images: dict[str, Image]) -> list[str]:
    """One line an image: what it takes in all, and what of that is its own."""
    lines = []
    for name, image in images.items():
        total, base = (int(item.attrs["Size"]) for item in (image, client.images.get(image.labels[BASE_LABEL])))
        lines.append(f"{name:<16} {total / 1e6:6.1f} MB, {(total - base) / 1e6:5.1f} of them on top of its base")
    return lines


@click.command()
@click.option("--tag", default="", help="Default: the version in pyproject.toml.")
@click.option("--base", default="", help="Base image with Python and pip. Default: the Dockerfile's, or one made here.")
def main(tag: str, base: str) -> None:
    """Build muster/gamepod, muster/service and the example, and print their sizes."""
    tag = tag or str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    client = docker.from_env(timeout=BUILD_S)
    try:
        for line in sizes(client, build_all(client, tag=tag, base=base)):
            click.echo(line)
    except docker.errors.DockerException as error:
        raise SystemExit(f"muster: {error}") from None
    finally:
        client.close()


if __name__ == "__main__":
    main()
