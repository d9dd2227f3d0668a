"""Write docs/settings.md and docs/arena.md from the settings classes: name, default, and the comment beside it; and
core/setting_names.py, by which a service knows a misspelt variable.

`make docs` runs it; a test fails where the page is stale.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import json
import tokenize
from pathlib import Path

import core.analytics.settings
import core.arena
import core.cli.settings
import core.intake.settings
import core.settings
import core.sinks.settings
import gamepod.settings
import gamepod.worker.settings
import matchmaker.agones_settings
import matchmaker.docker_settings
import matchmaker.kube_settings
import matchmaker.settings
import webapi.settings

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
ARENA_PAGE = PAGE.with_name("arena.md")
NAMES = PAGE.parent.parent / "core" / "setting_names.py"

SECTIONS = [
    ("Every service", core.settings.Common),
    ("webapi", webapi.settings.Settings),
    ("matchmaker", matchmaker.settings.Settings),
    ("matchmaker, process launcher", matchmaker.settings.ProcessSettings),
    ("matchmaker, Kubernetes launcher", matchmaker.kube_settings.KubernetesSettings),
    ("matchmaker, Agones", matchmaker.agones_settings.AgonesSettings),
    ("matchmaker, Docker launcher", matchmaker.docker_settings.DockerSettings),
    ("gamepod (set by the launcher; the bounds may be set for all)", gamepod.settings.Settings),
    ("events to brokers (`python -m core.sinks`)", core.sinks.settings.Settings),
    ("analytics (`python -m core.analytics`)", core.analytics.settings.Settings),
    ("messages from RabbitMQ (`python -m core.intake`)", core.intake.settings.IntakeSettings),
    ("worker of delayed commands (`python -m gamepod worker`)", gamepod.worker.settings.WorkerSettings),
    ("muster up", core.cli.settings.StackSettings),
    ("muster login, games, matches and the like", core.cli.settings.RemoteSettings),
]


def comments(cls: type) -> dict[str, str]:
    """Each field's comment: the one on its line, else the lines of comment right above it."""
    source = inspect.getsource(cls)
    lines = source.splitlines()
    trailing: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            trailing[token.start[0]] = token.string.lstrip("# ").strip()
    found = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        parts, above = [], node.lineno - 1
        while above in trailing and lines[above - 1].lstrip().startswith("#"):
            parts.insert(0, trailing[above])
            above -= 1
        found[node.target.id] = trailing.get(node.lineno) or " ".join(parts)
    return found


def section(title: str, cls: type) -> str:
    """One table."""
    notes = comments(cls)
    rows = []
    for item in dataclasses.fields(cls):
        default = str(item.default).lower() if isinstance(item.default, bool) else str(item.default)
        shown = f"`{default}`" if default else "–"
        rows.append(f"| `{item.metadata['env']}` | {shown} | {notes.get(item.name, '').replace('|', '/')} |")
    return "\n".join([f"## {title}", "| variable | default | meaning |", "|---|---|---|", *rows])


def page() -> str:
    """The whole page."""
    head = """# Settings

Drawn from the settings classes by `make docs`. All are environment variables, read once at the start; a value that does
not parse stops the service with a message that names the variable (exit code 78). A `MUSTER_` variable that is none of
these is told of in the log, with the closest one that is. `make run` sets `MUSTER_ALLOW_COMMANDS` and
`MUSTER_OPEN_DEVELOPERS` to true, as it serves this machine alone.
"""
    return "\n\n".join([head.rstrip(), *(section(title, cls) for title, cls in SECTIONS)]) + "\n"


def names() -> str:
    """The module with the names of all settings."""
    found = sorted({item.metadata["env"] for _, cls in SECTIONS for item in dataclasses.fields(cls)} - {"REDIS_URL"})
    head = '"""Names of all settings of all services. Drawn from the settings classes by `make docs`."""\n\n'
    imports = "from __future__ import annotations\n\nfrom typing import Final\n\n"
    body = "".join(f'        "{name}",\n' for name in found)
    return f"{head}{imports}NAMES: Final = frozenset(\n    {{\n{body}    }}\n)\n"


def arena_page() -> str:
    """Settings of the built-in arena, with their bounds."""
    notes = comments(core.arena.ArenaSettings)
    rows = []
    for item in dataclasses.fields(core.arena.ArenaSettings):
        bounds = f"{item.metadata['low']:g} - {item.metadata['high']:g}" if item.metadata else ""
        default = json.dumps(item.default)
        rows.append(f"| `{item.name}` | `{default}` | {bounds} | {notes.get(item.name, '')} |")
    head = (
        "# Settings of the built-in arena\n\nDrawn from `core/arena.py` by `make docs`. They go into a registration: "
        '`"server": {"arena": {"time_limit_s": 60}}`;\nwhat is left out keeps its default, and `{}` takes them all. '
        "A name ends in its unit: m, s, mps (metres per second), dps (degrees\nper second). A wall is "
        "`[west, south, east, north]` in metres."
    )
    return "\n".join([head, "", "| setting | default | bounds | why |", "|---|---|---|---|", *rows, "", AREAS]) + "\n"


AREAS = """## Many players in one match

A player is told of who is near: `interest_m` says how far that reaches ([the protocol](protocol.md) says exactly what).
Who is farther is on the map only (`radar_s`), or nowhere. Cells next to the player's own are told in every tick, the
rest of the area 20 times a second; where a crowd would fill more than `snapshot_rows` rows a tick, all who stand in it
are told less often. So the cost of a player has a bound that does not depend on how many others there are, and a tick
is put together once for all in one cell. Small matches notice none of it, but that who is far away cannot be spied on.

- **More precise, dearer**: raise `snapshot_rows`; every 28 rows are a datagram more for each player and tick.
- **Everything to everybody**, as a card game on a small board may want it: `interest_m` 0.
- **Hidden until they are near**: `radar_s` 0.
- **A client may ask for less**, and gets less by itself while it cannot keep up."""


if __name__ == "__main__":
    PAGE.write_text(page())
    ARENA_PAGE.write_text(arena_page())
    NAMES.write_text(names())
