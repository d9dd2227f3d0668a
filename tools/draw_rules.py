"""Write examples/prometheus/rules.yaml: the chart's recordings and alerts with its default values, for a Prometheus
that no Helm feeds. `make docs` runs it; a test fails where the file is stale.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parent.parent
SOURCE: Final = ROOT / "charts" / "muster" / "files" / "alerts.yaml"
VALUES: Final = ROOT / "charts" / "muster" / "values.yaml"
FILE: Final = ROOT / "examples" / "prometheus" / "rules.yaml"
HEAD: Final = "# Drawn from charts/muster/files/alerts.yaml with the chart's default values, by `make docs`.\n"


def text() -> str:
    """The file. Raises KeyError for an option that the chart does not have."""
    defaults = yaml.safe_load(VALUES.read_text())["monitoring"]["rules"]
    source = SOURCE.read_text().split("\n", 1)[1]  # after the line that names the values
    source = source.replace('{{ include "muster.fullname" . }}', "muster")
    source = re.sub(r"{{ \$rules\.(\w+) }}", lambda found: str(defaults[found[1]]), source)
    return HEAD + re.sub(r'{{ "({{.*?}})" }}', r"\1", source)


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text())
