"""Style that can be measured, as a test: `python -m tests.tidy`. `docs/development.md` gives the reasons.

Each rule is a function from a file (its path and text) to findings, so that it can be tested on a line of text; `dead`
alone looks at all files at once. A finding names the file, the line and what to do.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
MAX_FILE_LINES: Final = 350
MAX_FUNCTION_LINES: Final = 70
PACKAGES: Final = ("core", "matchmaker", "gamepod", "webapi")
CODE: Final = frozenset({".py", ".js", ".lua", ".sh", ".css"})
VENDORED: Final = "/vendor/"  # others' files stay as they came

# Written in pieces, so that this file does not find itself.
LEFT_OVER: Final = re.compile("|".join((r"\bTO" r"DO\b", r"\bFIX" r"ME\b", r"\bXX" r"X\b", r"\bHA" r"CK\b")))
MACHINE_PATH: Final = re.compile(r"(?<![~\w.$}])/(?:work|home|Users|root)/\w")
REGISTRY: Final = re.compile(
    r"\b(?:pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|docker[.]io|ghcr[.]io|quay[.]io|gcr[.]io"
    r"|registry[.]k8s[.]io|crates[.]io|proxy[.]golang[.]org)\b"
)

# Modules that nothing imports because somebody outside does, each with who.
ENTRANCES: Final[dict[str, str]] = {
    "gamepod.up": "run in the sidecar's container by the launchers for pods and containers",
    "core.api": "game authors (docs/python-api.md)",
    "gamepod.embed": "game authors (examples/arena_mod)",
}


class Finding(NamedTuple):
    """A rule is broken here."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def tracked(root: Path) -> dict[str, str]:
    """Text by path of every file that git knows or would take, links and binaries left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    files: dict[str, str] = {}
    for name in listed.stdout.decode().split("\0"):
        path = root / name
        if name and path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if b"\0" not in content[:8192]:
                files[name] = content.decode(errors="replace")
    return files


def lengths(path: str, text: str) -> Iterator[Finding]:
    """A file that fits two screens and a half, functions that fit one."""
    if PurePosixPath(path).suffix not in CODE:
        return
    lines = text.count("\n") + 1
    if lines > MAX_FILE_LINES:
        yield Finding(path, lines, f"{lines} lines; a file has at most {MAX_FILE_LINES}: split it by what it owns")
    for node in ast.walk(_parse(path, text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield Finding(
                    path, node.lineno, f"{node.name} has {length} lines; a function has at most {MAX_FUNCTION_LINES}"
                )


def docstrings(path: str, text: str) -> Iterator[Finding]:
    """Every module that holds anything tells its story; every test states the behaviour it shows."""
    if not path.endswith(".py") or not text.strip():
        return
    tree = _parse(path, text)
    if not ast.get_docstring(tree):
        yield Finding(path, 1, "the module has no docstring")
    if not path.startswith("tests/"):
        return
    for node in ast.walk(tree):
        is_test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if is_test and not ast.get_docstring(node):
            yield Finding(path, node.lineno, f"{node.name} has no docstring: say in a sentence what it shows")


def words(path: str, text: str) -> Iterator[Finding]:
    """Nothing left for later, nothing of one machine, no host that packages come from."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := LEFT_OVER.search(line):
            yield Finding(path, number, f"{found[0]}: do it now, or file an issue and say nothing here")
        if found := MACHINE_PATH.search(line):
            yield Finding(path, number, f"{found[0]}...: a path of one machine")
        if found := REGISTRY.search(line):
            yield Finding(path, number, f"{found[0]}: where packages come from is the business of who installs them")


def dead(files: Mapping[str, str]) -> Iterator[Finding]:
    """Modules of the product that no other module of it imports, and that no one outside is known to."""
    modules = {_module(path): path for path in files if path.endswith(".py") and path.partition("/")[0] in PACKAGES}
    used: set[str] = set()
    for module, path in modules.items():
        for name in _imports(_parse(path, files[path]), module, is_package=path.endswith("__init__.py")):
            if name != module:
                used.add(name)
    for module, path in sorted(modules.items()):
        entrance = module.endswith("__main__") or path.endswith("__init__.py") or module in ENTRANCES
        if not entrance and module not in used:
            yield Finding(path, 1, "no other module imports this one: remove it, or name its users in tests/tidy.py")
    for module in sorted(set(ENTRANCES) - set(modules)):
        yield Finding("tests/tidy.py", 1, f"ENTRANCES names {module}, which does not exist")


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imports(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[str]:
    """Full names of what is imported; for `from a import b`, both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, base] if base else parts)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _parse(path: str, text: str) -> ast.AST:
    return ast.parse(text, path) if path.endswith(".py") else ast.Module([], [])


def check(files: Mapping[str, str]) -> list[Finding]:
    """Every finding in these files."""
    found: list[Finding] = []
    for path, text in files.items():
        if VENDORED not in path:
            found += [*lengths(path, text), *docstrings(path, text), *words(path, text)]
    return [*found, *dead(files)]


def main() -> int:
    """Print every finding of this tree. Returns the exit code."""
    found = check(tracked(ROOT))
    for finding in found:
        print(finding, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
