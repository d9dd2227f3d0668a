"""A table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[Sequence[object]], *, head: Sequence[str] = ()) -> str:
    """Rows in columns as wide as they need, two blanks apart; columns of numbers lean right."""
    cells = [[_cell(value) for value in row] for row in rows]
    lines = [list(head), *cells] if head else cells
    columns = range(len(lines[0]) if lines else 0)
    widths = [max(len(line[i]) for line in lines) for i in columns]
    right = [all(isinstance(row[i], int | float) for row in rows) for i in columns]
    if head:
        lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(line[i].rjust(widths[i]) if right[i] else line[i].ljust(widths[i]) for i in columns).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
