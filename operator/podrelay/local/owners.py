"""Which objects exist, and which of them belong to owners that were deleted."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from podrelay.local.kinds import KINDS, ObjectName

Object = dict[str, Any]

_KNOWN: Final = frozenset(kind.name for kind in KINDS.values())


class Owners:
    """The UIDs of all objects, and their owner references. Not thread-safe."""

    def __init__(self) -> None:
        self._uids: set[str] = set()
        self._dependents: defaultdict[str, dict[ObjectName, None]] = defaultdict(dict)
        """The objects that name an owner, by the UID of the owner."""
        self._suspects: dict[ObjectName, None] = {}

    def add(self, key: ObjectName, stored: Object) -> None:
        """Add an object, or a new version of it."""
        self._uids.add(stored["metadata"]["uid"])
        for owner in _owners(stored):
            self._dependents[owner["uid"]][key] = None
            if owner["uid"] not in self._uids:
                self._suspects[key] = None

    def remove(self, key: ObjectName, stored: Object) -> None:
        """Remove an object."""
        uid = stored["metadata"]["uid"]
        self._uids.discard(uid)
        for owner in _owners(stored):
            self._dependents[owner["uid"]].pop(key, None)
            if not self._dependents[owner["uid"]]:
                del self._dependents[owner["uid"]]
        self._suspects |= self._dependents.get(uid, {})

    def suspect_all(self) -> None:
        """Check all dependents at the next opportunity: objects were added before their owners."""
        for keys in self._dependents.values():
            self._suspects |= keys

    def release(self, uid: str) -> Iterable[ObjectName]:
        """Return the dependents of an owner, and forget them."""
        return self._dependents.pop(uid, {})

    def suspects(self) -> Iterable[ObjectName]:
        """Return the objects that may have become garbage since the last call."""
        found, self._suspects = self._suspects, {}
        return found

    def is_garbage(self, stored: Object) -> bool:
        """Return whether all owners of an object were deleted. Owners of unknown kinds count as existing."""
        owners = _owners(stored)
        return (
            "deletionTimestamp" not in stored["metadata"]
            and bool(owners)
            and all(owner["uid"] not in self._uids and owner["kind"] in _KNOWN for owner in owners)
        )


def _owners(stored: Object) -> list[Object]:
    return stored["metadata"].get("ownerReferences") or []
