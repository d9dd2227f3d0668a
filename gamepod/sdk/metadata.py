"""Labels and annotations that a game gives its server. PURE.

They are stored under Agones' prefix, beside those that Muster gives. The forms are those of Kubernetes, which a game
was written against. What one game may keep is bounded, so that a watcher can always be told all of it.
"""

from __future__ import annotations

import re
from typing import Final

from gamepod.sdk.answers import INVALID_ARGUMENT, RESOURCE_EXHAUSTED, CallRefused

PREFIX: Final = "agones.dev/sdk-"
MAX_LABELS: Final = 64  # that the game sets
MAX_ANNOTATIONS: Final = 64
MAX_ANNOTATION_BYTES: Final = 65_536  # names and values of all of them
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


class Metadata:
    """Labels and annotations, Muster's and the game's."""

    def __init__(self, labels: dict[str, str], annotations: dict[str, str]) -> None:
        """Those of Muster, which a game cannot change: its own have the prefix."""
        self.labels, self.annotations = dict(labels), dict(annotations)
        self._own_labels, self._own_annotations = len(labels), len(annotations)
        self._bytes = 0

    def set_label(self, key: str, value: str) -> bool:
        """Returns whether that is a change. Raises CallRefused."""
        name = _stored(key, "label")
        if value and not _NAME.fullmatch(value):
            raise CallRefused(
                INVALID_ARGUMENT,
                f"the label's value {value[:64]!r} must be at most 63 of A-Z, a-z, 0-9, '-', '_', '.', "
                "beginning and ending with a letter or digit",
            )
        if name not in self.labels and len(self.labels) - self._own_labels >= MAX_LABELS:
            raise CallRefused(RESOURCE_EXHAUSTED, f"there are {MAX_LABELS} labels already: set one of those again")
        changed = self.labels.get(name) != value
        self.labels[name] = value
        return changed

    def set_annotation(self, key: str, value: str) -> bool:
        """Returns whether that is a change. Raises CallRefused."""
        name = _stored(key, "annotation")
        before = self.annotations.get(name)
        if before is None and len(self.annotations) - self._own_annotations >= MAX_ANNOTATIONS:
            raise CallRefused(RESOURCE_EXHAUSTED, f"there are {MAX_ANNOTATIONS} annotations: set one of those again")
        freed = 0 if before is None else _size(name, before)
        size = self._bytes - freed + _size(name, value)
        if size > MAX_ANNOTATION_BYTES:
            raise CallRefused(RESOURCE_EXHAUSTED, f"all annotations together may have {MAX_ANNOTATION_BYTES} bytes")
        self.annotations[name], self._bytes = value, size
        return before != value

    def tell_label(self, name: str, value: str) -> None:
        """Set one of Muster's labels."""
        self._own_labels += name not in self.labels
        self.labels[name] = value

    def told(self) -> dict[str, dict[str, str]]:
        """What the game set."""
        return {
            "labels": {name: value for name, value in self.labels.items() if name.startswith(PREFIX)},
            "annotations": {name: value for name, value in self.annotations.items() if name.startswith(PREFIX)},
        }

    def recall(self, labels: dict[str, str], annotations: dict[str, str]) -> None:
        """Have again what `told` gave."""
        self.labels |= labels
        self.annotations |= annotations
        self._bytes = sum(_size(*item) for item in self.told()["annotations"].items())

    def tell(self, name: str, value: str) -> None:
        """Set one of Muster's annotations."""
        self._own_annotations += name not in self.annotations
        self.annotations[name] = value


def _stored(key: str, what: str) -> str:
    if not _NAME.fullmatch(f"sdk-{key}"):
        raise CallRefused(
            INVALID_ARGUMENT,
            f"the {what}'s key {key[:64]!r} must be 1-59 of A-Z, a-z, 0-9, '-', '_', '.', "
            "ending with a letter or digit",
        )
    return PREFIX + key


def _size(name: str, value: str) -> int:
    return len(name) + len(value.encode())
