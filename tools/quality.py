"""Figures of the code's quality, at the end of `make test`: `python -m tools.quality`. It judges nothing: tests do.

Of each package: files, lines of code (neither blank nor comment nor docstring), the longest file and function and how
long the middle one is, then what `coverage` measured, and which checks were no part of the run.
"""

from __future__ import annotations

import ast
import io
import statistics
import subprocess
import sys
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.tidy import MAX_FILE_LINES, MAX_FUNCTION_LINES, ROOT, tracked

PACKAGES: Final = ("core", "matchmaker", "gamepod", "webapi", "tests", "bench", "tools", "examples")
MADE: Final = ("_pb2.py", "_pb2.pyi")  # by other programs
NO_CODE: Final = (
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
)  # fmt: skip
Function: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Figures:
    """Of one package."""

    code: int = 0
    files: dict[str, int] = field(default_factory=dict)  # path -> lines
    functions: dict[str, int] = field(default_factory=dict)  # path:name -> lines
    tests: int = 0

    def add(self, path: str, text: str) -> None:
        """Count a file."""
        tree = ast.parse(text)
        self.files[path] = text.count("\n")
        self.code += code_lines(text, tree)
        for node in ast.walk(tree):
            if isinstance(node, Function):
                self.functions[f"{path}:{node.name}"] = (node.end_lineno or node.lineno) - node.lineno + 1
                self.tests += node.name.startswith("test_")

    def row(self, name: str) -> str:
        """A line of the report."""
        lengths = list(self.functions.values())
        over = sum(lines > MAX_FILE_LINES for lines in self.files.values())
        over_functions = sum(lines > MAX_FUNCTION_LINES for lines in lengths)
        return (
            f"{name:<11}{len(self.files):>6}{self.code:>8}{max(self.files.values()):>9}{over:>6}"
            f"{len(lengths):>11}{statistics.median(lengths):>8.0f}{max(lengths):>9}{over_functions:>6}{self.tests:>8}"
        )


def code_lines(text: str, tree: ast.AST) -> int:
    """Lines that hold code: neither blank, nor comment, nor docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def measured(files: dict[str, str]) -> dict[str, Figures]:
    """Figures of each package, by its name."""
    found: dict[str, Figures] = {}
    for path, text in files.items():
        package = path.partition("/")[0]
        if package in PACKAGES and path.endswith(".py") and not path.endswith(MADE):
            found.setdefault(package, Figures()).add(path, text)
    return found


def coverage() -> str:
    """What the last `make test` measured."""
    command = [sys.executable, "-m", "coverage", "report", "--format=total"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)  # noqa: S603
    return f"{done.stdout.strip()} % of lines and branches" if done.returncode == 0 else "not measured"


def report(files: dict[str, str], covered: str) -> list[str]:
    """The lines of the report."""
    found = measured(files)
    head = (
        f"{'quality':<11}{'files':>6}{'code':>8}{'longest':>9}{'over':>6}{'functions':>11}{'middle':>8}{'longest':>9}"
    )
    return [
        f"{head}{'over':>6}{'tests':>8}",
        *(found[name].row(name) for name in PACKAGES if name in found),
        f"limits     {MAX_FILE_LINES} lines a file, {MAX_FUNCTION_LINES} a function (tests/tidy.py)",
        f"coverage   {covered}",
        "audit      not part of this run: it asks an advisory service (make audit)",
    ]


if __name__ == "__main__":
    print("\n".join(report(tracked(Path(ROOT)), coverage())))
