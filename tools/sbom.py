"""Bills of materials, CycloneDX 1.6 in JSON: of the Python package, and of images on the daemon of DOCKER_HOST.

    python -m tools.sbom                    sbom/muster.cdx.json: what `pip install muster` brings, by locks/run.txt
    python -m tools.sbom IMAGE:TAG ...      of each image too: sbom/<image>.cdx.json

The package's has versions, licences and hashes of what the lock names, and the page's libraries. An image's has what is
really in it: Python's packages and Debian's, listed by the image itself, so that its base counts too.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click
import docker
import docker.errors
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tools.licences import Part, licence, normal, parts, told, vendored

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "sbom"

# Run in an image, whose Python it is: what there is, as JSON.
LOOK: Final = """
import importlib.metadata as m, json, pathlib, platform, sys
python = [
    [d.name, d.version, d.metadata.get("License-Expression") or "", d.metadata.get("License") or "",
     [c.rpartition(" :: ")[2] for c in d.metadata.get_all("Classifier") or () if c.startswith("License ::")]]
    for d in m.distributions()
]
def text(path):
    return pathlib.Path(path).read_text() if pathlib.Path(path).exists() else ""
fields = [
    dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and not line.startswith(" "))
    for entry in text("/var/lib/dpkg/status").split("\\n\\n")
]
debian = [[f["Package"], f["Version"], f["Architecture"]] for f in fields if f.get("Status", "").endswith(" installed")]
print(json.dumps({"python": python, "debian": debian, "interpreter": platform.python_version()}))
"""


def package_bom() -> Bom:
    """Of the Python package."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bom = _bom(Component(name="muster", version=about["version"], type=ComponentType.APPLICATION), about["license"])
    python = [_component(part, "pypi", hashed=True) for part in parts("run")]
    return _filled(bom, [*python, *(_component(part, "npm") for part in vendored())])


def image_bom(client: docker.DockerClient, name: str) -> Bom:
    """Of an image with a Python that is on the daemon. Raises DockerException."""
    image = client.images.get(name)
    said = client.containers.run(name, entrypoint=["python3", "-c", LOOK], network_mode="none", remove=True)
    found: dict[str, Any] = json.loads(said)
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # An image has no hash of its own before a registry gives it one; its configuration has, which names all layers.
    bom = _bom(Component(name=name, version=image.id, type=ComponentType.CONTAINER), about["license"])
    python = [
        Part(normal(name), version, told(*words) or licence(normal(name))) for name, version, *words in found["python"]
    ]
    debian = [_component(Part(name, version, ""), "deb", architecture=arch) for name, version, arch in found["debian"]]
    interpreter = Part("python", found["interpreter"], "PSF-2.0")
    return _filled(bom, [_component(interpreter, "generic"), *(_component(one, "pypi") for one in python), *debian])


def _bom(subject: Component, licensed: str) -> Bom:
    subject.licenses.add(LicenseFactory().make_from_string(licensed))
    bom = Bom()
    bom.metadata.component = subject
    return bom


def _filled(bom: Bom, components: Iterable[Component]) -> Bom:
    bom.components.update(components)
    assert bom.metadata.component is not None
    bom.register_dependency(bom.metadata.component, bom.components)
    return bom


def _component(part: Part, kind: str, *, architecture: str = "", hashed: bool = False) -> Component:
    namespace = "debian" if kind == "deb" else None
    where = {"arch": architecture} if architecture else None
    purl = PackageURL(kind, namespace, part.name, part.version, where)
    made = Component(name=part.name, version=part.version, purl=purl, bom_ref=str(purl))
    if part.licence:
        made.licenses.add(LicenseFactory().make_from_string(part.licence))
    if hashed:  # of every file that the lock admits
        made.hashes.update(HashType(alg=HashAlgorithm.SHA_256, content=value) for value in part.hashes)
    return made


def text(bom: Bom) -> str:
    """The document."""
    return str(JsonV1Dot6(bom).output_as_string(indent=2))


def _written(name: str, bom: Bom) -> None:
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name.replace('/', '-').replace(':', '-')}.cdx.json"
    path.write_text(text(bom) + "\n")
    click.echo(f"{path}: {len(bom.components)} components")


@click.command()
@click.argument("images", nargs=-1)
def main(images: tuple[str, ...]) -> None:
    """Write the bill of the package, and that of each of IMAGES, into sbom/."""
    _written("muster", package_bom())
    if not images:
        click.echo("images: none was named (make sbom I='muster/service:0.1.0 muster/gamepod:0.1.0')")
        return
    try:
        client = docker.from_env()
        for name in images:
            _written(name, image_bom(client, name))
    except docker.errors.DockerException as error:
        raise SystemExit(f"muster: {error}") from None


if __name__ == "__main__":
    main()
