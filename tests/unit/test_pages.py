"""The page's files are whole: they parse, what they name exists, and nothing comes from another host."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "webapi" / "pages"
VENDOR = PAGES / "vendor"
OWN = sorted(path for path in PAGES.rglob("*") if path.is_file() and VENDOR not in path.parents)
MODULES = [path for path in OWN if path.suffix == ".js"]

IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""")
ASSET = re.compile(r"""(?:src|href)=["'](assets/[^"']+)["']""")
# A namespace is a name, not a place to load from.
ELSEWHERE = re.compile(r"""(?:https?:)?//(?!www\.w3\.org/)[a-z0-9-]+(?:\.[a-z0-9-]+)+""")


def name(path: Path) -> str:
    return str(path.relative_to(PAGES))


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_each_module_parses(module: Path) -> None:
    """Node accepts each of our modules."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on PATH")
    command = [node, "--input-type=module", "--check", "-"]
    checked = subprocess.run(command, input=module.read_text(), capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_each_import_exists(module: Path) -> None:
    """Every import names a file that is there."""
    missing = [target for target in IMPORT.findall(module.read_text()) if not (module.parent / target).is_file()]
    assert missing == []


@pytest.mark.parametrize("path", [path for path in OWN if path.suffix in (".html", ".js")], ids=name)
def test_each_asset_exists(path: Path) -> None:
    """Every asset that the page names is there."""
    assets = ASSET.findall(path.read_text())
    assert [asset for asset in assets if not (PAGES / asset.removeprefix("assets/")).is_file()] == []


@pytest.mark.parametrize("path", OWN, ids=name)
def test_nothing_comes_from_another_host(path: Path) -> None:
    """No file of ours names another host."""
    assert ELSEWHERE.findall(path.read_text()) == []


@pytest.mark.parametrize("path", OWN, ids=name)
def test_files_stay_small(path: Path) -> None:
    """A file that needs more than 350 lines is two files."""
    assert len(path.read_text().splitlines()) <= 350


def test_no_script_or_style_is_inline() -> None:
    """The security policy refuses inline code, so the page has none."""
    page = (PAGES / "index.html").read_text()
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=", page)


def test_vendored_libraries_bring_their_licences() -> None:
    """Each vendored folder holds the licence of what is in it."""
    folders = [folder for folder in VENDOR.iterdir() if folder.is_dir()]
    assert [folder.name for folder in folders if not any(folder.glob("LICENSE*"))] == []
