"""What Muster is made of: licences, the bill of materials, and locks that pin every file by its hash."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema_rs
import pytest
from click.testing import CliRunner

from tools import sbom
from tools.licences import PAGE, ROOT, licence, locked, normal, page, parts, refused, told, vendored
from tools.sbom import package_bom, text

LOCKS = sorted((ROOT / "locks").glob("*.txt"))


def faults(bill: str) -> list[str]:
    """What the schema of CycloneDX 1.6, as its own library brings it, says against a document."""
    folder = Path(str(files("cyclonedx.schema"))) / "_res"
    schemas = {
        f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json": json.loads(
            (folder / f"{name}.SNAPSHOT.schema.json").read_text()
        )
        for name in ("bom-1.6", "spdx", "jsf-0.82")
    }
    checker = jsonschema_rs.validator_for(next(iter(schemas.values())), retriever=schemas.__getitem__)
    return [error.message for error in checker.iter_errors(json.loads(bill))]


@pytest.mark.parametrize("lock", ["run", "dev", "service", "gamepod"])
def test_every_licence_is_known_and_allowed(lock: str) -> None:
    """A package with another licence, or with none, does not come in unseen."""
    found = parts(lock)
    assert len(found) > 8
    assert {part.name: part.licence for part in found if refused(part.licence)} == {}


def test_the_page_s_libraries_are_counted_too() -> None:
    """They are in no lock, so their own table tells; each folder has its licence."""
    found = list(vendored())
    folders = [path for path in (ROOT / "webapi" / "pages" / "vendor").iterdir() if path.is_dir()]
    assert len(found) == len(folders)
    assert all((folder / "LICENSE").is_file() for folder in folders)
    assert not [part for part in found if refused(part.licence)]


@pytest.mark.parametrize(
    ("expression", "is_refused"),
    [
        ("MIT", False),
        ("MIT AND PSF-2.0", False),
        ("GPL-3.0-only OR MIT", False),
        ("MPL-2.0 AND (GPL-2.0-only OR MIT)", False),
        ("MIT AND GPL-3.0-only", True),
        ("AGPL-3.0-only", True),
        ("", True),
    ],
)
def test_what_is_refused(expression: str, is_refused: bool) -> None:
    """Of alternatives one that is allowed is enough; of what holds together all has to be."""
    assert refused(expression) is is_refused


def test_words_that_nobody_knows_are_no_licence() -> None:
    """A text, or a name that is not SPDX', is not guessed at; the next thing that is said counts."""
    assert told("", "see the file", ["Other"]) == ""
    assert told("", "The MIT License (MIT)\n\nCopyright (c) 2014", ["MIT License"]) == "MIT"
    assert licence("no-such-package") == ""


def test_the_page_of_licences_is_as_the_locks_have_them() -> None:
    """docs/licences.md is drawn from them: `make docs` does it."""
    assert PAGE.read_text() == page(), "docs/licences.md is stale: run `make docs`"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_locks_pin_every_file(lock: Path) -> None:
    """Each entry is one version with hashes, and says nothing of where it comes from."""
    lines = lock.read_text()
    entries = re.split(r"\n(?=\S)", lines.strip())
    assert not [entry for entry in entries if not re.match(r"[\w.-]+==[\w.!+]+( ; .*)? \\\n", entry)]
    assert not [entry for entry in entries if "--hash=sha256:" not in entry]
    assert "://" not in lines


def test_locks_agree() -> None:
    """One version of a package everywhere, in images as on a laptop."""
    running = locked("run")
    for lock in ("dev", "service", "gamepod"):
        found = locked(lock)
        assert {name: found[name] for name in found.keys() & running.keys()} == {
            name: running[name] for name in found.keys() & running.keys()
        }


def test_the_package_s_bill_of_materials() -> None:
    """CycloneDX in its own schema, with all that the lock names, hashes and licences, and the page's libraries."""
    bill = text(package_bom())
    assert faults(bill) == []
    document = json.loads(bill)
    assert document["metadata"]["component"]["name"] == "muster"
    components = {found["name"]: found for found in document["components"]}
    assert set(components) == {normal(name) for name in locked("run")} | {part.name for part in vendored()}
    assert all(found["licenses"] for found in components.values())
    assert set(components["uvloop"]["hashes"][0]) == {"alg", "content"}
    assert {found["content"] for found in components["uvloop"]["hashes"]} == set(locked("run")["uvloop"][1])


def test_the_command_writes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says that no image was named, so that nobody takes one document for all."""
    monkeypatch.setattr(sbom, "FOLDER", tmp_path)
    done = CliRunner().invoke(sbom.main, [])
    assert done.exit_code == 0, done.output
    assert "images: none was named" in done.output
    assert faults((tmp_path / "muster.cdx.json").read_text()) == []


def test_the_schema_finds_faults() -> None:
    """Otherwise the tests above would say nothing."""
    document = json.loads(text(package_bom()))
    document["components"][0]["licenses"] = [{"license": {"id": "no such licence"}}]
    assert faults(json.dumps(document))
