"""The number of writes of each program, from the API server's audit log."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_FREE: Final = frozenset({"leases", "taskdefinitions"})
"""Writes that are not caused by runs."""


class AuditLog:
    """The part of an audit log that was written since it was last read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size

    def writes(self, namespace: str) -> Counter[str]:
        """Return the number of new writes in a namespace, by `program verb resource`."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            lines = log.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()  # still being written
        self._offset += sum(map(len, lines))
        return count(lines, namespace)


def count(lines: Iterable[bytes], namespace: str) -> Counter[str]:
    """Count the accepted writes in a namespace, by `program verb resource`."""
    found: Counter[str] = Counter()
    for line in lines:
        entry = json.loads(line)
        target = entry.get("objectRef") or {}
        if entry["verb"] not in _WRITES or target.get("namespace") != namespace or target.get("resource") in _FREE:
            continue
        if entry.get("responseStatus", {}).get("code", 0) >= 400 or "dryRun=" in entry["requestURI"]:
            continue
        what = "/".join(part for part in (target["resource"], target.get("subresource")) if part)
        found[f"{_program(entry)} {entry['verb']} {what}"] += 1
    return found


def of(writes: Counter[str], programs: frozenset[str]) -> int:
    """Return the number of writes of these programs."""
    return sum(number for what, number in writes.items() if what.split()[0] in programs)


def _program(entry: dict[str, object]) -> str:
    agent = str(entry.get("userAgent", "")).split("/")[0].split()
    return agent[0] if agent else "unknown"
