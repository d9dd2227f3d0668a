"""An image with this very Python, the packages a distribution needs, and the project: built offline in seconds.

It stands in for the images that the project's Dockerfile makes where no registry has a base image to begin from. Its
layers: the interpreter with the shared libraries it and the packages are linked to, the packages, the project compiled.
"""

from __future__ import annotations

import compileall
import importlib.metadata
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from tests.cluster.images import Layer, Source, write_image

ROOT: Final = Path(__file__).parents[2]
SITE: Final = "/opt/python-packages"
APP: Final = "/opt/muster"
PYTHON: Final = "/usr/bin/python3"
PACKAGES: Final = ("core", "gamepod", "matchmaker", "webapi")
# Of the standard library; half of it, and no server imports them.
LEFT_OUT: Final = {"test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "dist-packages"}


def python_image(
    archive: Path,
    name: str,
    *,
    distributions: Sequence[str] = (),
    packages: Sequence[str] = PACKAGES,
    files: Layer | None = None,
    command: Sequence[str] = (),
) -> Path:
    """An image whose entry point is `python3`. It holds what pyproject.toml requires, `distributions` of this machine
    with all that they require, the project's `packages` in APP, and `files`.
    """
    folders = sorted(top_level(requirements([*project_dependencies(), *distributions])))
    site: Layer = {f"{SITE}/{folder.name}": folder for folder in folders}
    libraries = shared_libraries([Path(sys.executable), *dynamic_modules(), *extensions(folders)])
    python = {**standard_library(), **libraries, "/tmp/": b"", "/etc/passwd": b"game:x:65534:65534::/tmp:/bin/false\n"}
    with tempfile.TemporaryDirectory() as scratch:
        app = {f"{APP}/{package}": compiled(package, Path(scratch)) for package in packages}
        env = {"PYTHONPATH": f"{APP}:{SITE}", "PYTHONUNBUFFERED": "1", "HOME": "/tmp", "PATH": "/usr/bin:/bin"}
        layers = [python, site, {**app, **(files or {})}]
        return write_image(archive, name, layers, entrypoint=[PYTHON], command=command, env=env, workdir="/tmp")


def standard_library() -> dict[str, Source]:
    """The interpreter and its library, at the paths that they have here: it finds the one by the other."""
    interpreter = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    kept = [path for path in library.iterdir() if path.name not in LEFT_OUT and not path.name.startswith("config-")]
    return {PYTHON: str(interpreter), str(interpreter): interpreter, **{str(path): path for path in kept}}


def dynamic_modules() -> Iterator[Path]:
    """Those parts of the standard library that are linked to shared libraries."""
    return (Path(sysconfig.get_path("stdlib")) / "lib-dynload").glob("*.so")


def extensions(folders: Iterable[Path]) -> Iterator[Path]:
    """All compiled modules of installed packages."""
    for folder in folders:
        yield from folder.rglob("*.so") if folder.is_dir() else iter(())


def shared_libraries(programs: Sequence[Path]) -> dict[str, Source]:
    """The system's libraries that any of these is linked to, and the loader, as `ldd` finds them."""
    listed = subprocess.run(["ldd", *map(str, programs)], check=False, capture_output=True, text=True).stdout
    found = set(re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", listed, re.MULTILINE))
    site = sysconfig.get_path("purelib")  # a wheel's own libraries come with its folder
    return {path: Path(path) for path in found if not path.startswith(site)}


def project_dependencies() -> list[str]:
    """What pyproject.toml requires, as it says it; the project itself need not be installed."""
    return [str(line) for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]]


def requirements(lines: Iterable[str]) -> set[str]:
    """Names of all distributions that these need on this machine, themselves and what their extras need included."""
    seen: set[tuple[str, str]] = set()  # a distribution, and an extra of it or ""
    open_ends = [(one.name, extra) for one in map(Requirement, lines) for extra in ("", *one.extras)]
    while open_ends:
        name, extra = open_ends.pop()
        name = re.sub(r"[-_.]+", "-", name).lower()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for need in map(Requirement, importlib.metadata.requires(name) or []):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                open_ends += [(need.name, wanted) for wanted in ("", *need.extras)]
    return {name for name, _ in seen}


def top_level(names: Iterable[str]) -> set[Path]:
    """The folders and modules in site-packages that belong to these distributions."""
    site = Path(sysconfig.get_path("purelib"))
    files = (file for name in names for file in importlib.metadata.files(name) or [])
    tops = {file.parts[0] for file in files} - {"..", "/", "__pycache__"}
    return {site / top for top in tops if (site / top).exists() and not top.endswith(".pth")}


def compiled(package: str, scratch: Path) -> Path:
    """A copy of one of the project's packages with its bytecode: a container cannot keep what it compiles."""
    copy = scratch / package
    shutil.copytree(ROOT / package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(copy, quiet=1, stripdir=str(scratch), prependdir=APP)
    return copy
