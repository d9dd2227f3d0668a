"""What an installation lets a game's server be: which images, how much of a machine. PURE.

Checked twice with the same words: at registration, where the developer hears it, and before every start, where it
holds even for what was registered before the operator changed his mind.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import Invalid
from core.model import Server


@dataclass(frozen=True, slots=True)
class Admission:
    """The operator's bounds. Defaults allow everything."""

    image_prefixes: tuple[str, ...] = ()  # such as `registry.example/games/`; none allows every image
    cpu: float = 64.0  # cores of one server
    memory_mib: int = 262_144
    agones: bool = True  # fleets may be named


def prefixes(text: str) -> tuple[str, ...]:
    """The prefixes of a comma-separated setting."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def check_server(server: Server, admission: Admission) -> None:
    """Raise Invalid, with a JSON pointer, at the first thing that this installation does not run."""
    wanted, allowed = server.resources, admission.image_prefixes
    if server.agones is not None and not admission.agones:
        raise Invalid(
            "this installation takes no servers from Agones' fleets (the operator sets MUSTER_AGONES=true where it is "
            "installed)",
            pointer="/server/agones",
        )
    if server.image is not None and allowed and not any(_within(server.image, prefix) for prefix in allowed):
        raise Invalid(
            f"the image {server.image!r} is not one this installation runs: its images begin with "
            f"{' or '.join(allowed)} (the operator sets MUSTER_IMAGE_PREFIXES)",
            pointer="/server/image",
        )
    if wanted.cpu is not None and wanted.cpu > admission.cpu:
        raise Invalid(
            f"{wanted.cpu:g} cores are more than the {admission.cpu:g} that a server may have "
            "(the operator sets MUSTER_SERVER_CPU_MOST)",
            pointer="/server/resources/cpu",
        )
    if wanted.memory_mib is not None and wanted.memory_mib > admission.memory_mib:
        raise Invalid(
            f"{wanted.memory_mib} MiB are more than the {admission.memory_mib} that a server may have "
            "(the operator sets MUSTER_SERVER_MEMORY_MOST_MIB)",
            pointer="/server/resources/memory_mib",
        )


def _within(image: str, prefix: str) -> bool:
    """Whether the prefix ends where a part of the name does: `example/games` does not allow `example/games-evil`."""
    return image.startswith(prefix) and (prefix[-1] in "/:@" or image[len(prefix) :][:1] in ("", "/", ":", "@"))
