"""What is rendered: options that exist, pods that need no privilege, names from one place, no invented secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.cli import secrets
from tests.chart.rendered import ALL, CHART, ROOT, Document, Render, environment, pick, pod_specs
from tests.cluster.sandbox import run
from tools.draw_chart import REFUSED, TUNING, is_section, schema, settings
from tools.draw_settings import SECTIONS

EVERYTHING = ("--values", str(ALL))
CONTROLLERS = ("Deployment/muster-webapi", "Deployment/muster-matchmaker", "StatefulSet/muster-redis")


@pytest.mark.parametrize("arguments", [(), EVERYTHING], ids=["defaults", "everything"])
def test_lint_finds_nothing(helm_program: str, arguments: tuple[str, ...]) -> None:
    """Both majors accept the chart strictly, warnings being errors."""
    assert "0 chart(s) failed" in run(
        helm_program, "lint", "--strict", "--kube-version", "1.36.0", *arguments, str(CHART)
    )


def test_the_all_options_file_sets_every_option() -> None:
    """An option that no test renders would rot."""
    unset = list(_unset(schema(), yaml.safe_load(ALL.read_text())))
    assert not unset


def _unset(node: Document, given: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, child in node["properties"].items():
        if name == "global":  # the chart does not read it
            continue
        if name not in given:
            yield f"{path}{name}"
        elif is_section(child):
            yield from _unset(child, given[name], f"{path}{name}.")


def test_defaults_are_small(rendered: Render) -> None:
    """One pod of each, half a core and half a GiB in all, so that a one-node cluster is enough; nothing optional."""
    documents = rendered()
    assert {name for name, _ in pod_specs(documents)} == {*CONTROLLERS, "Pod/muster-test"}
    assert all(pick(documents, *name.split("/"))["spec"]["replicas"] == 1 for name in CONTROLLERS)
    requests = [
        container["resources"]["requests"] for _, pod in pod_specs(documents) for container in pod["containers"]
    ]
    assert sum(int(request["cpu"].removesuffix("m")) for request in requests) <= 500
    assert sum(int(request["memory"].removesuffix("Mi")) for request in requests) <= 512
    kinds = {document["kind"] for document in documents}
    assert not kinds & {"Ingress", "HorizontalPodAutoscaler", "ServiceMonitor", "ClusterRole", "ConfigMap"}


@pytest.mark.parametrize("arguments", [(), EVERYTHING], ids=["defaults", "everything"])
def test_no_secret_is_made(rendered: Render, arguments: tuple[str, ...]) -> None:
    """What a template draws by chance would change at each upgrade, so the chart only names Secrets."""
    documents = rendered(*arguments)
    assert documents == rendered(*arguments, again=True)
    assert "Secret" not in {document["kind"] for document in documents}


@pytest.mark.parametrize("arguments", [(), EVERYTHING], ids=["defaults", "everything"])
def test_pods_need_no_privilege(rendered: Render, arguments: tuple[str, ...]) -> None:
    """No root, no writable disk, no capability, and a token for the Kubernetes API only where it is called."""
    for name, pod in pod_specs(rendered(*arguments)):
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] == name.endswith("-matchmaker"), name
        assert pod["enableServiceLinks"] is False, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"], name
            assert not context["allowPrivilegeEscalation"], name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name
            if not name.startswith("Pod/"):
                assert {"readinessProbe", "livenessProbe"} <= set(container), name


def test_the_matchmaker_may_start_and_end_pods_and_nothing_else(rendered: Render) -> None:
    """Its whole rights: pods and their logs in the namespace of the games; nodes only where asked for."""
    documents = rendered("--set", "games.namespace=servers")
    role = pick(documents, "Role", "muster-matchmaker")
    assert role["metadata"]["namespace"] == "servers"
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "create", "delete"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]
    binding = pick(documents, "RoleBinding", "muster-matchmaker")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "muster-matchmaker", "namespace": "games"}]
    nodes = pick(rendered("--set", "games.nodeAddresses=true"), "ClusterRole", "games-muster-nodes")
    assert nodes["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]


def test_fleets_give_the_matchmaker_rights_where_they_are(rendered: Render) -> None:
    """Only where Agones is enabled, only in the namespaces of fleets; both services learn of them."""
    assert "MUSTER_AGONES" not in environment(rendered(), "muster-matchmaker")
    documents = rendered("--set", "games.agones.enabled=true,games.agones.namespaces={fleets,more}")
    roles = [one for one in documents if one["kind"] == "Role" and one["metadata"]["name"] == "muster-agones"]
    assert [role["metadata"]["namespace"] for role in roles] == ["fleets", "more"]
    for role in roles:
        assert role["rules"] == [
            {"apiGroups": ["agones.dev"], "resources": ["gameservers"], "verbs": ["list", "watch", "delete"]},
            {
                "apiGroups": ["allocation.agones.dev"],
                "resources": ["gameserverallocations"],
                "verbs": ["create"],
            },
        ]
    for name in ("muster-matchmaker", "muster-webapi"):
        found = environment(documents, name)
        assert (found["MUSTER_AGONES"], found["MUSTER_AGONES_NAMESPACES"]) == ("true", "fleets,more")
    own = pick(rendered("--set", "games.agones.enabled=true"), "Role", "muster-agones")
    assert own["metadata"]["namespace"] == "games"


def test_without_servers_the_matchmaker_has_no_rights(rendered: Render) -> None:
    """Where no pod is started, nobody may start one."""
    documents = rendered("--set", "matchmaker.launcher=instant", "--set", "games.nodeAddresses=true")
    assert not {document["kind"] for document in documents} & {"Role", "RoleBinding", "ClusterRole"}
    assert not pick(documents, "Deployment", "muster-matchmaker")["spec"]["template"]["spec"][
        "automountServiceAccountToken"
    ]


def test_settings_become_variables_as_they_are_written(rendered: Render) -> None:
    """Large numbers, fractions, truth values and texts arrive as the services read them."""
    found = environment(rendered(*EVERYTHING), "everything-webapi")
    assert found["MUSTER_REFRESH_TOKEN_S"] == "2592000"
    assert found["MUSTER_REQUEST_S"] == "2.5"
    assert found["MUSTER_OPEN_DEVELOPERS"] == "true"
    assert found["MUSTER_CORS_ORIGINS"] == "https://game.example.org"
    assert found["MUSTER_ADMIN_NAME"] == {"secretKeyRef": {"name": "everything-secrets", "key": "admin-name"}}


@pytest.mark.parametrize("service", ["webapi", "matchmaker"])
def test_every_variable_is_one_that_a_service_reads(rendered: Render, service: str) -> None:
    """A misspelt variable would be ignored in silence; and what the chart sets itself is no option besides."""
    known = {field.metadata["env"] for _, cls in SECTIONS for field in cls.__dataclass_fields__.values()}
    found = {name for name in environment(rendered(), f"muster-{service}") if name.startswith("MUSTER_")}
    if "MUSTER_KUBE_NAMESPACE" not in known:
        found = {name for name in found if not name.startswith("MUSTER_KUBE_")}
    assert not found - known
    assert not found & set(settings(f"{service}.Settings"))
    assert not REFUSED & set(settings(f"{service}.Settings"))


def test_workers_run_where_a_game_needs_them(rendered: Render) -> None:
    """Off by default; with an image, modules and settings of the operator's, and webapi lets the same modules in."""
    assert "Deployment/muster-worker" not in {name for name, _ in pod_specs(rendered())}
    documents = rendered("--set", "worker.enabled=true,worker.modules={village.rules}")
    container = pick(documents, "Deployment", "muster-worker")["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["python3", "-m", "gamepod", "worker"]
    assert container["image"].startswith("muster/service:")
    for name in ("muster-worker", "muster-webapi"):
        assert environment(documents, name)["MUSTER_COMMAND_MODULES"] == "village.rules"
    found = environment(rendered(*EVERYTHING), "everything-worker")
    assert (found["MUSTER_PACK_S"], found["MUSTER_COMMAND_MODULES"]) == ("2.5", "village.rules,farm.rules")
    known = {field.metadata["env"] for _, cls in SECTIONS for field in cls.__dataclass_fields__.values()}
    assert not {name for name in found if name.startswith("MUSTER_")} - known


def test_what_speaks_to_brokers_runs_where_one_is_set(rendered: Render) -> None:
    """Neither without a broker; Kafka is written to, RabbitMQ is read too; user and password come from a Secret."""

    def runs(*values: str) -> set[str]:
        return {name.removeprefix("Deployment/muster-") for name, _ in pod_specs(rendered(*values))}

    assert not {"sinks", "intake"} & runs()
    assert {"sinks", "intake"} & runs("--set", "brokers.kafka=kafka:9092") == {"sinks"}
    assert {"sinks", "intake"} <= runs("--set", "brokers.rabbitmq=rabbit")
    assert {"sinks", "intake"} & runs("--set", "brokers.rabbitmq=rabbit,sinks.enabled=false") == {"intake"}
    documents = rendered(*EVERYTHING)
    for name in ("sinks", "intake"):
        container = pick(documents, "Deployment", f"everything-{name}")["spec"]["template"]["spec"]["containers"][0]
        assert container["command"] == ["python3", "-m", f"core.{name}"]
        found = environment(documents, f"everything-{name}")
        assert found["RABBITMQ_HOST"] == "amqps://rabbit.example.org/muster"
        assert found["RABBITMQ_PASSWORD"] == {"secretKeyRef": {"name": "broker-user", "key": "rabbitmq-password"}}
        assert ("KAFKA_BOOTSTRAP_SERVERS" in found) == (name == "sinks")
        assert "MUSTER_SECRET" not in found
        known = {field.metadata["env"] for _, cls in SECTIONS for field in cls.__dataclass_fields__.values()}
        assert not {variable for variable in found if variable.startswith("MUSTER_")} - known
    assert environment(documents, "everything-intake")["MUSTER_INTAKE_ANSWER_S"] == "8"
    assert "RABBITMQ_USER" not in environment(rendered("--set", "brokers.rabbitmq=rabbit"), "muster-intake")


def test_analytics_runs_where_it_is_asked_for(rendered: Render) -> None:
    """Of Kafka where that is set, else of Redis; it has no other secret."""
    documents = rendered("--set", "analytics.enabled=true")
    found = environment(documents, "muster-analytics")
    assert {name for name in found if not name.startswith("MUSTER_")} == {"REDIS_URL"}
    everything = environment(rendered(*EVERYTHING), "everything-analytics")
    assert everything["KAFKA_BOOTSTRAP_SERVERS"].startswith("kafka-0")
    assert (everything["MUSTER_ANALYTICS_KEPT_H"], everything["MUSTER_ANALYTICS_METRICS_PORT"]) == ("48", "8006")
    assert not {"RABBITMQ_HOST", "MUSTER_SECRET"} & everything.keys()
    assert "muster-analytics" not in {name.partition("/")[2] for name, _ in pod_specs(rendered())}


def test_settings_of_servers_reach_the_launcher(rendered: Render) -> None:
    """The launcher passes on what tunes gamepod, and gives servers what the values say."""
    assert not [name for name in TUNING if f'"{name}"' not in (ROOT / "matchmaker/launch/environment.py").read_text()]
    found = environment(rendered(*EVERYTHING), "everything-matchmaker")
    expected = {
        "MUSTER_FLUSH_S": "0.1",
        "MUSTER_BUFFER_BYTES": "16777216",
        "MUSTER_INSTALLATION": "games-everything",
        "MUSTER_KUBE_NAMESPACE": "everything-games",
        "MUSTER_KUBE_REDIS_SECRET": "everything-redis",
        "MUSTER_KUBE_NODE_ADDRESSES": "true",
        "MUSTER_KUBE_PORT_FIRST": "21000",
        "MUSTER_KUBE_PORT_LAST": "21099",
        "MUSTER_KUBE_NODE_SELECTOR": '{"example.org/pool":"games"}',
        "MUSTER_IMAGE_PREFIXES": "example.org/games/,example.org/arena",
    }
    assert found | expected == found
    assert environment(rendered(*EVERYTHING), "everything-webapi")["MUSTER_IMAGE_PREFIXES"]


def test_doorbells_are_reachable_from_other_pods(rendered: Render) -> None:
    """Both services listen on all addresses of their pod, at a port that a policy can name, and tell the pod's own."""
    for service in ("muster-webapi", "muster-matchmaker"):
        found = environment(rendered(), service)
        assert found["MUSTER_DOORBELL_BIND"] == "tcp://0.0.0.0:22549"
        assert found["MUSTER_DOORBELL_HOST"] == {"fieldRef": {"fieldPath": "status.podIP"}}


@pytest.mark.parametrize(("release", "start"), [("muster", "muster"), ("prod", "prod-muster"), ("m" * 45, "m" * 40)])
def test_the_secrets_command_names_the_redis_that_the_chart_brings(rendered: Render, release: str, start: str) -> None:
    """The URL's host is the Service of that release, and every key that a pod refers to is there."""
    documents = rendered("--set", "secrets.admin=true", release=release)
    made = secrets.documents("muster", "games", secrets.fullname(release), admin="root")[0]["stringData"]
    name = made["redis-url"].partition("@")[2].partition(".")[0]
    assert pick(documents, "Service", name)["metadata"]["name"] == f"{secrets.fullname(release)}-redis"
    assert secrets.fullname(release).startswith(start)
    wanted = set(re.findall(r'"secretKeyRef": \{"name": "muster", "key": "([^"]+)"', json.dumps(documents)))
    wanted |= set(re.findall(r'"secretKeyRef": \{"key": "([^"]+)", "name": "muster"', json.dumps(documents)))
    assert wanted == set(made)


def test_external_redis_leaves_nothing_of_the_bundled_one(rendered: Render) -> None:
    """Its URL comes from the Secret like the bundled one's; no pod, Service or policy of Redis remains."""
    documents = rendered("--set", "redis.enabled=false")
    assert not [d for d in documents if d["metadata"]["name"].endswith("-redis")]
    url = environment(documents, "muster-webapi")["REDIS_URL"]
    assert url == {"secretKeyRef": {"name": "muster", "key": "redis-url"}}
    made = secrets.documents("muster", "games", "muster", redis_url="redis+cluster://r:6379", games_namespace="servers")
    assert [(s["metadata"]["namespace"], sorted(s["stringData"])) for s in made] == [
        ("games", ["redis-url", "secret"]),
        ("servers", ["redis-url"]),
    ]


def test_names_and_labels_come_from_one_place(rendered: Render) -> None:
    """Every object begins with the same name and carries the recommended labels; no two share kind and name."""
    documents = rendered(*EVERYTHING)
    seen = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in documents]
    assert len(seen) == len(set(seen))
    for document in documents:
        labels = document["metadata"]["labels"]
        assert document["metadata"]["name"].removeprefix("games-").startswith("everything-"), document["metadata"]
        assert labels["app.kubernetes.io/part-of"] == "muster"
        assert labels["team"] == "games"


def test_a_new_version_of_the_chart_restarts_nothing_by_itself(rendered: Render) -> None:
    """Pods carry no version but their image's, so that Redis stays up through upgrades that do not concern it."""
    pod = pick(rendered(), "StatefulSet", "muster-redis")["spec"]["template"]
    assert not [name for name in pod["metadata"]["labels"] if "version" in name or "chart" in name]


def test_templates_are_one_file_per_kind_in_a_folder_per_component() -> None:
    """So that a reader finds an object without a search."""
    for path in (CHART / "templates").rglob("*.yaml"):
        assert path.parent.parent.name == "templates", path
        assert len(re.findall(r"^kind:", path.read_text(), re.MULTILINE)) <= 1, path
    assert not [path for path in Path(ROOT / "charts").rglob("*") if path.is_file() and path.stat().st_size == 0]
