"""Keeps all objects in a SQLite file, so that they outlive the process.

Each change is committed before its request is answered. A process that is killed loses nothing; when the computer loses
power, the last changes may be lost, but the file stays consistent (WAL without a sync for each change).
"""

import fcntl
import json
import os
import sqlite3
from pathlib import Path
from typing import Any, Final

import msgspec

from podrelay.api.errors import PodrelayError
from podrelay.local.history import Event

Object = dict[str, Any]

_FORMAT: Final = 1
_NOT_KEPT: Final = frozenset({"leases", "events"})
"""Kinds that belong to a process, or are of interest for an hour only."""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS objects (
    plural TEXT, namespace TEXT, name TEXT, body BLOB NOT NULL, PRIMARY KEY (plural, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_PUT: Final = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)"
_DELETE: Final = "DELETE FROM objects WHERE plural = ? AND namespace = ? AND name = ?"
_SET: Final = "INSERT OR REPLACE INTO settings VALUES (?, ?)"


class StateError(PodrelayError):
    """The folder of the state cannot be used; the message says why."""


class State:
    """The objects of a former process, and those of this one.

    Args:
        folder: the folder of the file; it is created, and locked until the process ends.

    Raises:
        StateError: another process uses the folder, or it cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("a+", encoding="utf-8")
            _lock(self._lock.fileno(), folder)
            # Several threads use it, one at a time: the API server notifies of changes under its own lock.
            self._database = sqlite3.connect(folder / "state.db", isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_TABLES)
            found = int(self.setting("format") or _FORMAT)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"the folder {folder} cannot be used for the state: {error}") from error
        if found != _FORMAT:
            raise StateError(f"the state in {folder} is of another version of podrelay ({found}): use another folder")
        self.set("format", str(_FORMAT))

    def load(self) -> list[tuple[str, Object]]:
        """Return all stored objects, each with its kind."""
        rows = self._database.execute("SELECT plural, body FROM objects")
        return [(plural, json.loads(body)) for plural, body in rows]

    @property
    def version(self) -> int:
        """The version of the last change that is stored."""
        return int(self.setting("version") or "100")

    def setting(self, name: str) -> str | None:
        """Return a stored value."""
        row = self._database.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def set(self, name: str, value: str) -> None:
        """Store a value."""
        self._database.execute(_SET, (name, value))

    def store(self, event: Event) -> None:
        """Store a change."""
        metadata = event.object["metadata"]
        if event.plural in _NOT_KEPT:
            self.set("version", metadata["resourceVersion"])  # versions never go back
            return
        key = (event.plural, metadata.get("namespace", ""), metadata["name"])
        self._database.execute("BEGIN")
        if event.is_deletion:
            self._database.execute(_DELETE, key)
        else:
            self._database.execute(_PUT, (*key, msgspec.json.encode(event.object)))
        self._database.execute(_SET, ("version", metadata["resourceVersion"]))
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._database.close()
        self._lock.close()


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        raise StateError(f"the folder {folder} is in use by the process {owner}: end it, or use another one") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
