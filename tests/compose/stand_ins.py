"""Images under the names that compose.yaml pins, where no registry has them: this machine's own programs.

An image here is a few scripts, users and empty folders; `/usr` is this machine's, mounted by `override`, so that
nothing is copied. The scripts do what an image's own entrypoint does with the variables that compose.yaml gives it.
There is none for Grafana, which Debian does not have.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

import docker

from core.redis.embedded import find_server
from tests.chart.local_edge import STREAM
from tests.cluster.images import Layer, write_image
from tests.sinks.brokers import kafka_jars

PASSWD: Final = (
    b"root:x:0:0::/root:/bin/sh\nvalkey:x:999:1000::/data:/bin/sh\nrabbitmq:x:100:101::/var/lib/rabbitmq:/bin/sh\n"
    b"kafka:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n"
)
GROUP: Final = b"root:x:0:\nvalkey:x:1000:\nrabbitmq:x:101:\nkafka:x:1001:\nnogroup:x:65534:\n"
NGINX: Final = f"""#!/bin/sh
for directives; do :; done
exec /usr/sbin/nginx "$@" -g "load_module {STREAM}; $directives"
"""
# KAFKA_NODE_ID is node.id, and so on, as in Apache's image.
KAFKA: Final = """#!/bin/sh
set -eu
env | sed -n '/HEAP_OPTS/d; s/^KAFKA_//p' | while IFS='=' read -r name value; do
    printf '%s=%s\\n' "$(printf %s "$name" | tr 'A-Z_' 'a-z.')" "$value"
done >/tmp/server.properties
set -- "$JAVA" $KAFKA_HEAP_OPTS -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*'
"$@" kafka.tools.StorageTool format -g -t MkU3OEVBNTcwNTJENDM2Qk -c /tmp/server.properties
exec "$@" kafka.Kafka /tmp/server.properties
"""
RABBITMQ: Final = """#!/bin/sh
export RABBITMQ_MNESIA_BASE=/var/lib/rabbitmq/mnesia RABBITMQ_LOGS=-
export RABBITMQ_ENABLED_PLUGINS_FILE=/var/lib/rabbitmq/plugins
exec /usr/lib/rabbitmq/bin/rabbitmq-server
"""
RABBIT_PATH: Final = "/usr/lib/rabbitmq/bin"


def script(text: str, folder: Path, name: str) -> Path:
    """A program of this text."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def java() -> str:
    """This machine's Java, behind the links outside of /usr that lead to it."""
    found = shutil.which("java")
    assert found, "no Java here: apt-get install default-jre-headless"
    return str(Path(found).resolve())


def load_stand_ins(client: docker.DockerClient, named: dict[str, str], folder: Path) -> None:
    """Give the daemon an image for each service of `named` (service -> image) that we have a stand-in for."""
    base: Layer = {
        "/etc/passwd": PASSWD,
        "/etc/group": GROUP,
        **{f"/{name}": f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64")},
        **{f"{path}/": b"" for path in ("/usr", "/tmp", "/opt/kafka/libs")},
    }
    of_own: dict[str, tuple[Layer, dict[str, Any]]] = {
        "redis": ({"/own/valkey-server": Path(find_server()), "/own/valkey-cli": "/usr/bin/redis-cli",
                   "/data/": b""}, {"user": 999}),
        "edge": ({"/own/nginx": script(NGINX, folder, "nginx")}, {"user": 0}),
        "prometheus": ({"/prometheus/": b""}, {"user": 65534, "entrypoint": ["/usr/bin/prometheus"]}),
        "rabbitmq": (
            {"/own/start": script(RABBITMQ, folder, "rabbitmq"), "/var/lib/rabbitmq/": b"", "/var/log/rabbitmq/": b""},
            {"user": 100, "command": ["start"], "env": {"HOME": "/var/lib/rabbitmq"}},
        ),
        "kafka": ({"/own/start": script(KAFKA, folder, "kafka"), "/var/lib/kafka/data/": b""},
                  {"user": 1000, "command": ["start"], "env": {"JAVA": java()}}),
    }  # fmt: skip
    for service, (layer, options) in of_own.items():
        env = {"PATH": f"/own:/usr/bin:/usr/sbin:{RABBIT_PATH}", "LANG": "C.UTF-8", **options.pop("env", {})}
        archive = write_image(folder / f"{service}.tar", named[service], [{**base, **layer}], env=env, **options)
        client.images.load(archive.read_bytes())
        archive.unlink()


def override() -> str:
    """What is laid over compose.yaml: this machine's programs in the stand-ins, and no Grafana."""
    usr = "/usr:/usr:ro"
    names = ("redis", "edge", "docker-launcher", "docker-reader", "prometheus", "rabbitmq")
    services: dict[str, Any] = {name: {"volumes": [usr]} for name in names}
    # Debian's Java has its settings outside of /usr.
    settings = [f"{path}:{path}:ro" for path in Path("/etc").glob("java-*-openjdk")]
    services["kafka"] = {"volumes": [usr, *settings, f"{kafka_jars()}:/opt/kafka/libs:ro"]}
    # JSON is YAML, but for Compose's own tag, which replaces a list in place of adding to it.
    services["grafana"] = {"profiles": "GRAFANA"}
    return json.dumps({"services": services}).replace('"GRAFANA"', "!override [no-image]")
