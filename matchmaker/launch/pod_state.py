"""What a pod says of its server. PURE: the parts of a pod that are looked at, and what follows from them.

How a pod fares is spread over a dozen fields. Here it becomes one `Seen` with a sentence for the game's developer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct, field

from matchmaker.launch.base import Seen
from matchmaker.launch.host_ports import Kind
from matchmaker.launch.pod import GAME, GAMEPOD, MATCH, OF_GAME

# Reasons for which a container waits and will not stop waiting before the players have lost patience.
STUCK: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError",
     "RegistryUnavailable", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)  # fmt: skip
TERMINAL: Final = ("Succeeded", "Failed")
LINES: Final = 20
NO_LOG: Final = "Error on reading termination message from logs"


class Terminated(Struct, rename="camel"):
    exit_code: int = 0
    reason: str = ""
    message: str = ""


class Waiting(Struct):
    reason: str = ""
    message: str = ""


class ContainerState(Struct):
    waiting: Waiting | None = None
    terminated: Terminated | None = None


class Container(Struct, rename="camel"):
    name: str
    state: ContainerState = field(default_factory=ContainerState)
    last_state: ContainerState = field(default_factory=ContainerState)


class Condition(Struct):
    type: str
    status: str = ""
    reason: str = ""
    message: str = ""


class Status(Struct, rename="camel"):
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: list[Condition] = []
    container_statuses: list[Container] = []
    init_container_statuses: list[Container] = []


class Metadata(Struct, rename="camel"):
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = {}


class ContainerPort(Struct, rename="camel"):
    host_port: int = 0
    protocol: Kind = "TCP"


class Resources(Struct):
    limits: dict[str, str] = {}


class ContainerSpec(Struct):
    name: str
    ports: list[ContainerPort] = []
    image: str = ""
    resources: Resources = field(default_factory=Resources)


class Spec(Struct, rename="camel"):
    node_name: str = ""
    containers: list[ContainerSpec] = []


class Pod(Struct):
    """The parts of a pod that Muster reads."""

    metadata: Metadata
    spec: Spec = field(default_factory=Spec)
    status: Status = field(default_factory=Status)


def seen(pod: Pod, *, gone: bool = False) -> Seen:
    """What the pod says of its server. `gone`: it was deleted, and this is how it was at last."""
    meta = pod.metadata
    end = _terminated(pod)
    ended = gone or end is not None or pod.status.phase in TERMINAL
    stuck = None if ended else _stuck(pod)
    return Seen(
        match=meta.labels.get(MATCH, meta.name),
        game=meta.labels.get(OF_GAME, ""),
        pid=0,
        since_ms=int(meta.creation_timestamp.timestamp() * 1000) if meta.creation_timestamp else 0,
        stopping=meta.deletion_timestamp is not None,
        ended=ended,
        # Of a pod that somebody ends the exit code says how the game takes that, and not how the match went.
        exit_code=end.exit_code if end is not None and not _interrupted(pod) else None,
        tells=not _has_game(pod),
        stuck=stuck is not None,
        homeless=not ended and _unscheduled(pod) is not None,
        remains=ended and not gone,
        detail=_why_ended(pod, end, gone=gone) if ended else (stuck or _why_not_yet(pod)),
        output=_last_words(end) if end is not None else (),
    )


def is_pending(pod: Pod) -> bool:
    """Whether no node has it yet."""
    return not pod.spec.node_name and pod.status.phase not in TERMINAL


def host_ports(pod: Pod) -> list[tuple[Kind, int]]:
    """Ports of the node that it takes until it is gone, each with its protocol."""
    return [(port.protocol, port.host_port) for c in pod.spec.containers for port in c.ports if port.host_port]


def _has_game(pod: Pod) -> bool:
    return any(container.name == GAME for container in pod.spec.containers)


def _main(pod: Pod) -> Container | None:
    return next((c for c in pod.status.container_statuses if c.name in (GAME, GAMEPOD)), None)


def _terminated(pod: Pod) -> Terminated | None:
    main = _main(pod)
    return main.state.terminated if main is not None else None


def _last_words(end: Terminated) -> tuple[str, ...]:
    """Its last lines; none where the kubelet has thrown its log away before it looked, and says so in their place."""
    return () if end.message.startswith(NO_LOG) else tuple(end.message.splitlines()[-LINES:])


def _interrupted(pod: Pod) -> bool:
    """Whether its end came from outside: it was deleted or evicted, its time was up, ..."""
    return bool(pod.metadata.deletion_timestamp or pod.status.reason or _disruption(pod))


def _disruption(pod: Pod) -> Condition | None:
    return next((c for c in pod.status.conditions if c.type == "DisruptionTarget" and c.status == "True"), None)


def _stuck(pod: Pod) -> str | None:
    """Why it will never run as it is; None where it may."""
    for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        waiting = container.state.waiting
        if waiting is not None and waiting.reason in STUCK:
            image = next((c.image for c in pod.spec.containers if c.name == container.name), "")
            of = f" of image {image!r}" if image else ""
            return f"the container {container.name!r}{of} cannot start: {_words(waiting.reason, waiting.message)}"
    return None


def _unscheduled(pod: Pod) -> Condition | None:
    return next((c for c in pod.status.conditions if c.type == "PodScheduled" and c.status == "False"), None)


def _why_not_yet(pod: Pod) -> str:
    """What keeps it from running, where that is known."""
    if (condition := _unscheduled(pod)) is not None:
        return f"no node takes it: {_words(condition.reason, condition.message)}"
    for container in pod.status.init_container_statuses:
        if (last := container.last_state.terminated) is not None:
            return f"its sidecar ended with code {last.exit_code}: {_words(last.reason, last.message)}"
    return ""


def _why_ended(pod: Pod, end: Terminated | None, *, gone: bool) -> str:
    status = pod.status
    if end is not None and end.reason == "OOMKilled":
        limit = pod.spec.containers[0].resources.limits.get("memory", "?") if pod.spec.containers else "?"
        return f"the game took more memory than its limit ({limit}) and was ended"
    if status.reason:  # Evicted, DeadlineExceeded, NodeLost, Preempting, ...
        return f"its pod was ended: {_words(status.reason, status.message)}"
    if disruption := _disruption(pod):
        return f"its pod was ended: {_words(disruption.reason, disruption.message)}"
    if gone or pod.metadata.deletion_timestamp is not None:
        return "its pod was deleted"
    if end is None:
        return "its pod ended"
    return f"the game {_how(end.exit_code)}"


def _how(code: int) -> str:
    return f"was ended by signal {code - 128}" if code > 128 else f"exited with code {code}"


def _words(reason: str, message: str) -> str:
    return f"{reason}: {message}"[:600] if message else reason
