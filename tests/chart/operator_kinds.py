"""The Prometheus operator's kinds, from the Go module that carries them and that operator_module/go.mod pins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tests.cluster.binaries import go
from tests.cluster.sandbox import run

MODULE: Final = "github.com/prometheus-operator/prometheus-operator"
FOLDER: Final = "example/prometheus-operator-crd"
KINDS: Final = ("podmonitors", "prometheusrules", "servicemonitors")


def definitions() -> list[Path]:
    """Files of CustomResourceDefinitions, downloaded once and kept in Go's cache; their hashes are checked."""
    module = json.loads(
        run(go(), "-C", str(Path(__file__).parent / "operator_module"), "mod", "download", "-json", MODULE)
    )
    return [Path(module["Dir"]) / FOLDER / f"monitoring.coreos.com_{kind}.yaml" for kind in KINDS]
