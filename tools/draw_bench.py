"""Write docs/promises.md from the runs of benches that were kept: `make docs`; a test fails where the page is stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bench.kept import kept

PAGE: Final = Path(__file__).parent.parent / "docs" / "promises.md"

HEAD: Final = """# Promises, measured

Every promise that a bench holds itself to, as it came out in the latest run that was kept: `make bench B=name KEEP=1`
keeps one in [bench/results](../bench/results), with all its other figures. Drawn from these by `make docs`. What the
figures mean, and how they came about, is in [benchmarks.md](benchmarks.md).

All processes of a bench, its load included, share the machine. How fast a core was is told by its *yardstick*: a
million rounds of a plain loop of Python, before and after the run.
"""


def page() -> str:
    """The whole page."""
    runs = kept()
    held = [line["ok"] for _, lines in runs for line in lines if line["ok"] is not None]
    parts = [HEAD, f"**{sum(held)} of {len(held)} promises kept.**\n"]
    for begun, lines in runs:
        promises = [line for line in lines if line["ok"] is not None]
        if promises:
            parts.append(_table(begun, lines, promises))
    return "\n".join(parts)


def _table(begun: dict[str, Any], lines: list[dict[str, Any]], promises: list[dict[str, Any]]) -> str:
    sticks = [line["measured"] for line in lines if line["promise"].startswith("yardstick")]
    loop = f", yardstick {' and '.join(f'{it:.0f}' for it in sticks)} ms" if sticks else ""
    rows = [
        f"| {it['promise']} | {_number(it)} | {it['wanted']} | {'yes' if it['ok'] else '**no**'} |" for it in promises
    ]
    return "\n".join([
        f"## {begun['bench']}",
        f"{begun['taken'][:10]}, {begun['machine']}, Python {begun['python']}, load before it {begun['load']:g}{loop}.",
        "",
        "| promise | measured | wanted | kept |",
        "|---|---|---|---|",
        *rows,
        "",
    ])  # fmt: skip


def _number(line: dict[str, Any]) -> str:
    value = line["measured"]
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.3g}"
    return f"{text} {line['unit']}".rstrip()


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote docs/{PAGE.name}")
