"""Write what compose.yaml takes from the chart: compose/nginx.conf and compose/alerts.yaml, rendered by Helm.

The edge's configuration and the alerts have one source, the chart's; `compose/values.yaml` says how compose.yaml has
them. `make compose` runs it, with a Helm that is compiled once (a minute); a test fails where one is stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from tests.chart.rendered import pick, render
from tests.cluster.binaries import HELM3, program

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "compose"
HEAD: Final = "# Drawn from the chart's {source} by `make compose`: change it there.\n"


def drawn(helm: str) -> dict[Path, str]:
    """Each file with what belongs into it."""
    documents = render(helm, "--values", str(FOLDER / "values.yaml"))
    edge = str(pick(documents, "ConfigMap", "muster-edge")["data"]["nginx.conf"])
    rules = pick(documents, "PrometheusRule", "muster-alerts")["spec"]
    return {
        FOLDER / "nginx.conf": HEAD.format(source="files/nginx.conf") + edge,
        FOLDER / "alerts.yaml": HEAD.format(source="files/alerts.yaml")
        + yaml.safe_dump(rules, width=118, sort_keys=False),
    }


if __name__ == "__main__":
    for path, text in drawn(str(program(HELM3, "helm"))).items():
        path.write_text(text)
