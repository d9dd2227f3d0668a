"""Licences of what Muster is made of: read from what is installed, drawn as docs/licences.md, checked against a list.

`make docs` draws the page; a test refuses a licence that is not allowed, and one that cannot be told. What a licence
is says its SPDX expression; older packages say it in words, which `WORDS` translates.
"""

from __future__ import annotations

import importlib.metadata
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from license_expression import Licensing, get_spdx_licensing

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "licences.md"
VENDORED: Final = ROOT / "webapi" / "pages" / "vendor" / "README.md"

# All let Muster be given away under Apache-2.0. MPL-2.0 binds who changes its files; we change none.
ALLOWED: Final = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU",
        "MPL-2.0", "PSF-2.0", "Unlicense", "ZPL-2.1", "Zlib",
    }
)  # fmt: skip
WORDS: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Found out by hand, where the package says nothing, or is not installed here: each with where.
BY_HAND: Final = {
    "agones-python-sdk": "MIT",  # its repository's LICENSE
    "colorama": "BSD-3-Clause",  # its metadata, on Windows alone
    # Texts of LICENSE in the package, of which the metadata says "BSD".
    "contourpy": "BSD-3-Clause",
    "cycler": "BSD-3-Clause",
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "kiwisolver": "BSD-3-Clause",
    "pywin32": "PSF-2.0",  # its metadata, on Windows alone
}


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A package that a lock names. `licence` is an SPDX expression, '' where it cannot be told."""

    name: str
    version: str
    licence: str
    hashes: tuple[str, ...] = ()  # SHA-256 in hex of all its files, for whatever platform


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Version and hashes by name, of locks/<lock>.txt; where platforms differ, the version that is installed here."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / "locks" / f"{lock}.txt").read_text()):
        head = re.match(r"([\w.-]+)==(\S+)", entry)
        if head is None:
            continue
        name, version = normal(head[1]), head[2]
        if name not in found or version == _installed(name):
            found[name] = (version, tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)))
    return found


def parts(lock: str) -> list[Part]:
    """What locks/<lock>.txt names, by name."""
    return sorted(Part(name, version, licence(name), hashes) for name, (version, hashes) in locked(lock).items())


def vendored() -> Iterator[Part]:
    """Libraries of the page, from the table that is kept beside them."""
    for name, version, told in re.findall(r"\| (\S+) ([\d.]+) \(([\w.-]+)\) \|", VENDORED.read_text()):
        yield Part(name, version, told)


def licence(name: str) -> str:
    """The SPDX expression of an installed package, '' where it cannot be told."""
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return BY_HAND.get(name, "")
    return told(
        metadata.get("License-Expression") or "",
        metadata.get("License") or "",
        [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or () if line.startswith("License ::")],
    ) or BY_HAND.get(name, "")


def told(expression: str, words: str, classifiers: list[str]) -> str:
    """What a package's metadata says: the first of the three that is an expression, or words we know."""
    for said in (expression, words, *classifiers):
        found = WORDS.get(said.strip(), said.strip())
        if found and "\n" not in found and not spdx().validate(found).errors:
            return found
    return ""


def refused(expression: str) -> bool:
    """Whether nothing that is allowed satisfies an expression."""
    if not expression:
        return True
    choices = spdx().dnf(spdx().parse(expression))
    ways = choices.args if type(choices) is spdx().OR else (choices,)
    return not any({str(one) for one in way.symbols} <= ALLOWED for way in ways)


@cache
def spdx() -> Licensing:
    """The list of SPDX' identifiers, and their grammar."""
    return get_spdx_licensing()


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def page() -> str:
    """docs/licences.md."""
    running, working = parts("run"), parts("dev")
    names = {part.name for part in running}
    allowed = ", ".join(sorted(ALLOWED))
    said = (
        "Drawn by `make docs` from what the locks name and what the packages say of themselves. Muster is Apache-2.0;"
        f" a test refuses whatever has no licence among {allowed}. Debian's packages in the images are those of the"
        " base image; [`make sbom`](supply-chain.md) lists them."
    )
    lines = [
        "# Licences",
        "",
        *textwrap.wrap(said, 118),
        "",
        *_table("What runs (`locks/run.txt`)", running),
        *_table("In the operator's page (`webapi/pages/vendor`)", sorted(vendored())),
        *_table("For working on Muster alone (`locks/dev.txt`)", [one for one in working if one.name not in names]),
    ]
    return "\n".join(lines)


def _table(title: str, listed: list[Part]) -> list[str]:
    rows = [f"| {part.name} | {part.licence or 'unknown'} |" for part in listed]
    return [f"## {title}", "| package | licence |", "|---|---|", *rows, ""]


if __name__ == "__main__":
    PAGE.write_text(page())
