"""The output of the containers of pods, as `kubectl logs` shows it. Thread-safe."""

import threading
from collections.abc import Callable
from typing import Final, NamedTuple

MOST_BYTES: Final = 1024 * 1024
"""Of one pod; of a longer output, only the end is kept."""


class _Output(NamedTuple):
    dropped: int
    text: bytes


class PodLogs:
    """The output of each pod, by the UID of the pod.

    Attributes:
        changed: called with the UID after each change, by the thread that made it.
    """

    def __init__(self) -> None:
        self._outputs: dict[str, _Output] = {}
        self._lock = threading.Lock()
        self.changed: Callable[[str], None] = lambda _uid: None

    def append(self, uid: str, text: bytes) -> None:
        """Add output."""
        with self._lock:
            dropped, before = self._outputs.get(uid, _NOTHING)
            text = before + text
            excess = len(text) - MOST_BYTES if len(text) > MOST_BYTES * 5 // 4 else 0  # seldom, because it copies
            self._outputs[uid] = _Output(dropped + excess, text[excess:])
        self.changed(uid)

    def read(self, uid: str) -> bytes:
        """Return what is known of the output of a pod."""
        return self._outputs.get(uid, _NOTHING).text

    def read_from(self, uid: str, position: int) -> tuple[bytes, int]:
        """Return the output from a position, and the position of its end; 0 is the beginning."""
        dropped, text = self._outputs.get(uid, _NOTHING)
        return text[max(0, position - dropped) :], dropped + len(text)

    def remove(self, uid: str) -> None:
        """Forget the output of a pod."""
        with self._lock:
            self._outputs.pop(uid, None)
        self.changed(uid)


_NOTHING: Final = _Output(0, b"")
