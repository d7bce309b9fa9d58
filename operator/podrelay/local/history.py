"""The latest changes of an API server in memory, from which watches and lists of an earlier moment are served."""

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from podrelay.kube.errors import GoneError

LENGTH: Final = 20_000
"""At most so many changes are kept."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""At most so many bytes of JSON are kept."""

Object = dict[str, Any]


class Event(NamedTuple):
    """A change, in the form of a watch event.

    Attributes:
        plural: the kind of object.
        type: what happened.
        object: the object after the change; of a deleted object its last state, with the version of the deletion.
        before: the object before the change; None if it was created.
    """

    plural: str
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object
    before: Object | None = None

    @property
    def is_deletion(self) -> bool:
        """Whether the object was deleted."""
        return self.type == "DELETED"


def shown(event: Event, plural: str, namespace: str, matches: Callable[[Object], bool]) -> str | None:
    """Return the type of event that a watch shows for a change; None: nothing.

    Args:
        event: the change.
        plural: the kind of objects that the watch is about.
        namespace: their namespace; "" means all.
        matches: the selector of the watch.
    """
    if event.plural != plural or namespace not in {"", event.object["metadata"].get("namespace", "")}:
        return None
    was = event.before is not None and matches(event.before)
    if event.is_deletion or not matches(event.object):
        return "DELETED" if was else None
    return "MODIFIED" if was else "ADDED"


class History:
    """The changes since some version. Each change has a version of its own, and these are consecutive.

    Args:
        version: the version of the last change before the first one that is added.
    """

    def __init__(self, version: int) -> None:
        self._base = version + 1
        """The version of the first item of the list."""
        self._events: list[tuple[Event, int]] = []
        self._dropped = 0
        """How many items at the start of the list do not count any more."""
        self._bytes = 0

    def add(self, event: Event, size: int) -> None:
        """Add a change; `size` is that of the object, in bytes."""
        self._events.append((event, size))
        self._bytes += size
        while len(self._events) - self._dropped > LENGTH or self._bytes > MOST_BYTES:
            self._bytes -= self._events[self._dropped][1]
            self._events[self._dropped] = _NOTHING
            self._dropped += 1
        if self._dropped > LENGTH:  # not for each change, because it moves the whole list
            del self._events[: self._dropped]
            self._base += self._dropped
            self._dropped = 0

    def since(self, version: int) -> list[Event]:
        """Return the changes after a version.

        Raises:
            GoneError: they are no longer known.
        """
        oldest = self._base + self._dropped - 1
        if version < oldest:
            raise GoneError(410, "Expired", f"too old resource version: {version} ({oldest})")
        return [event for event, _ in self._events[version + 1 - self._base :]]


_NOTHING: Final = (Event("", "DELETED", {}), 0)
