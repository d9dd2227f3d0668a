"""Write the chart's values.yaml, values.schema.json and docs/chart.md from charts/muster/values.schema.yaml.

One file says what an option is, what it is without being set and what it means; these three follow from it, so that
they cannot disagree. `make docs` runs it; a test fails where one is stale.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.draw_settings import SECTIONS, comments

ROOT = Path(__file__).parent.parent
CHART = ROOT / "charts" / "muster"
SOURCE = CHART / "values.schema.yaml"
KINDS = {bool: "boolean", int: "integer", float: "number", str: "string"}
WIDTH = 118

# Never options: a cluster runs images, not commands; servers outlive the matchmaker; its account is its pod's; brokers
# are those of `brokers`.
REFUSED = frozenset({"MUSTER_ALLOW_COMMANDS", "MUSTER_STOP_SERVERS", "MUSTER_KUBE_CONFIG", "KAFKA_BOOTSTRAP_SERVERS",
                     "RABBITMQ_HOST", "RABBITMQ_USER", "RABBITMQ_PASSWORD"})  # fmt: skip

# Settings of gamepod that the operator may choose: what launchers pass on to servers.
TUNING = frozenset(
    {
        "MUSTER_BUFFER_BYTES",
        "MUSTER_BUFFER_INTERACTIONS",
        "MUSTER_FINAL_FLUSH_S",
        "MUSTER_FLUSH_S",
        "MUSTER_LOG_BATCHES",
        "MUSTER_VIEWS_S",
    }
)
# Set by a template where the operator says nothing.
DEFAULTED = frozenset({"MUSTER_TRUSTED_PROXIES"})
GAMES = ["KubernetesSettings", "AgonesSettings", "gamepod.Settings"]

Schema = dict[str, Any]

HEAD = """\
# The chart

The [README](../README.md#on-kubernetes) goes through it with a game and players. In short:

```sh
kubectl create namespace games
muster secrets --namespace games | kubectl create -f -
helm install muster charts/muster --namespace games
helm test muster --namespace games
```

The defaults fit a one-node cluster: one webapi, one matchmaker, one Redis with an append-only file, no Ingress. `helm
upgrade` replaces webapi and matchmaker one pod after another, the new one first; game servers are nobody's replicas and
play on. `helm uninstall` leaves the Secret, and the volume of Redis with all accounts (`redis.persistence.retain`).

Without `muster` at hand the Secret is made with kubectl alone:

```sh
password=$(openssl rand -hex 32)
kubectl create secret generic muster --namespace games \\
  --from-literal=secret=$(openssl rand -hex 32) --from-literal=redis-password=$password \\
  --from-literal=redis-url=redis://:$password@muster-redis.games.svc:6379/0
```

The images (`make images`): `muster/gamepod`, which every node with matches has, adds 30 MB to its base image
(7 of them for gRPC); `muster/service`, for webapi and matchmaker, 317 MB: 122 of the Kubernetes client, 73 of numpy,
32 of cryptography for tokens and buckets.

For many players: two replicas of each service, `webapi.autoscaling`, an Ingress with a certificate, your own Redis, a
namespace of its own for the servers (`games.namespace`), and `games.imagePrefixes`.

## Scaling by requests and delay
`webapi.autoscaling` follows the CPU of webapi's pods, for which the cluster needs the metrics API and nothing else.
What players feel it follows by an external metrics API: a Prometheus that scrapes webapi (`monitoring.monitors`, or any
way that gives its metrics the label `namespace`), and
[prometheus-adapter](https://github.com/kubernetes-sigs/prometheus-adapter), installed by its own chart with the rules
that come with this one:

```sh
helm install prometheus-adapter prometheus-community/prometheus-adapter --namespace monitoring \\
  --set prometheus.url=http://prometheus-operated.monitoring.svc --values charts/muster/files/prometheus-adapter.yaml
kubectl get --raw /apis/external.metrics.k8s.io/v1beta1/namespaces/games/muster_webapi_requests_per_second
```

| metric, over the last minute | what it is | how to use it |
|---|---|---|
| `muster_webapi_requests_per_second` | requests that all pods answer | `averageValue`: the target for each pod |
| `muster_webapi_delay_seconds` | what 95 of 100 requests are answered within | `value`: the target |

```yaml
webapi:
  autoscaling:
    enabled: true
    cpu: ""           # or leave it: of several metrics the one that wants most pods wins
    external:
      - {name: muster_webapi_requests_per_second, averageValue: 1500}
      - {name: muster_webapi_delay_seconds, value: 100m}   # a tenth of a second
monitoring:
  monitors: {enabled: true}
```

A core answers some 5,000 simple requests a second ([benchmarks.md](benchmarks.md)). Probes, streams and long polls are
not in the delay, and a minute without requests counts as one without delay. More pods help against a delay that comes
from webapi's own CPU, not against one that comes from Redis: `maxReplicas` bounds what that may cost. A pod is taken
away after `scaleDownSeconds` of less load, then one a minute.

# Its values

Drawn from `charts/muster/values.schema.yaml` by `make docs`. `charts/muster/values.yaml` has the same as comments;
`tests/chart/values-all.yaml` sets every option. Unknown options and wrong values are refused before anything is sent to
the cluster. `[]` is an empty list, `{}` an empty map, – an empty text.
"""


def schema() -> Schema:
    """The whole schema: shared sets put in, settings as properties, our own words still in it."""
    source: Schema = yaml.safe_load(SOURCE.read_text())
    return _filled(source, source.pop("x-shared"))


def _filled(node: Schema, shared: Schema) -> Schema:
    for name in node.pop("x-include", []):
        # Copies: what YAML's anchors share would be filled in twice.
        node["properties"] = copy.deepcopy(node["properties"] | shared[name] | node["properties"])
    if "x-settings" in node:
        # What launcher and webapi both read is set once, for the games, and given to both.
        shared_settings = settings(*GAMES) if node["x-settings"] != GAMES else {}
        node["properties"] = {k: v for k, v in settings(*node["x-settings"]).items() if k not in shared_settings}
    if not node.get("x-leaf"):
        for child in node.get("properties", {}).values():
            _filled(child, shared)
    return node


def own() -> frozenset[str]:
    """Variables that the templates set, from other options or from what only they know."""
    texts = (path.read_text() for kind in ("*.tpl", "*.yaml") for path in (CHART / "templates").rglob(kind))
    return frozenset(name for text in texts for name in re.findall(r"\bMUSTER_[A-Z_]+\b", text)) - DEFAULTED


def settings(*names: str) -> Schema:
    """Properties for the fields of settings classes: `webapi.Settings`, or `Name` where no other is called so."""
    found: Schema = {}
    taken = own() | REFUSED
    for name, cls in ((name, cls) for name in names for _, cls in SECTIONS):
        package = cls.__module__.rpartition(".")[0].rpartition(".")[2]
        if name not in (cls.__name__, f"{package}.{cls.__name__}"):
            continue
        notes = comments(cls)
        for item in dataclasses.fields(cls):
            variable = item.metadata["env"]
            if variable not in taken and (cls.__module__ != "gamepod.settings" or variable in TUNING):
                kind = {"type": KINDS[type(item.default)]}
                found[variable] = kind | ({"description": notes[item.name]} if notes.get(item.name) else {})
    return found


def json_schema(node: Any) -> Any:
    """Without our own words: what Helm reads."""
    if isinstance(node, dict):
        return {key: json_schema(value) for key, value in node.items() if not key.startswith("x-")}
    return [json_schema(value) for value in node] if isinstance(node, list) else node


def options(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every option by its path, `webapi.replicas`, as the source orders them."""
    for name, child in node["properties"].items():
        here = f"{path}.{name}" if path else name
        if is_section(child):
            yield from options(child, here)
        else:
            yield here, child


def is_section(node: Schema) -> bool:
    """Whether it holds options, rather than being one."""
    return "properties" in node and not node.get("x-leaf")


def values(node: Schema, indent: int = 0) -> Iterator[str]:
    """Lines of values.yaml."""
    pad = "  " * indent
    for name, child in node["properties"].items():
        if name == "global":
            continue
        if indent == 0:
            yield ""
        yield from (f"{pad}# {line}" for line in _wrapped(child["description"], WIDTH - len(pad)))
        if is_section(child):
            yield f"{pad}{name}:"
            yield from values(child, indent + 1)
        else:
            yield from (pad + line for line in _yaml(name, child["default"]))


def _wrapped(text: str, width: int) -> list[str]:
    # A link's target is of no use in a comment.
    return textwrap.wrap(text.replace("](settings.md", "](docs/settings.md"), width, break_on_hyphens=False)


def _yaml(name: str, value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        return yaml.safe_dump({name: value}, sort_keys=False).splitlines()
    plain = isinstance(value, str) and value and yaml.safe_load(value) == value
    return [f"{name}: {value if plain else json.dumps(value)}"]


def reference(node: Schema) -> str:
    """docs/chart.md."""
    alone = {name: child for name, child in node["properties"].items() if not is_section(child) and name != "global"}
    parts = [HEAD, "## General", *_table({"properties": alone})]
    for name, child in node["properties"].items():
        if is_section(child):
            parts += ["", f"## {name}", child["description"]]
            parts += ["", child["x-note"]] if "x-note" in child else []
            parts += ["", *_table(child, name)]
    return "\n".join(parts) + "\n"


def _table(node: Schema, path: str = "") -> list[str]:
    rows = [
        f"| `{where}` | {_shown(option['default'])} | {_meaning(option)} |" for where, option in options(node, path)
    ]
    return ["| option | default | meaning |", "|---|---|---|", *rows]


def _shown(default: Any) -> str:
    if default == "":
        return "–"
    return f"`{default}`" if isinstance(default, str) else f"`{json.dumps(default)}`"


def _meaning(option: Schema) -> str:
    meaning = option["description"]
    if "enum" in option:
        meaning += f" One of {', '.join(f'`{choice}`' for choice in option['enum'])}."
    return meaning.replace("|", "/")


def drawn() -> dict[Path, str]:
    """Every file that follows from the source, with what it should hold."""
    whole = schema()
    head = (
        "# Every option with its default. Drawn from values.schema.yaml by `make docs`; docs/chart.md is a table of it."
    )
    draft = {"$schema": "http://json-schema.org/draft-07/schema#"}
    return {
        CHART / "values.yaml": "\n".join([head, *values(whole)]) + "\n",
        CHART / "values.schema.json": json.dumps(draft | json_schema(whole), indent=1) + "\n",
        ROOT / "docs" / "chart.md": reference(whole),
    }


if __name__ == "__main__":
    for path, text in drawn().items():
        path.write_text(text)
