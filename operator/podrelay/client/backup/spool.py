"""A backup on disk, where it can be read in any order: it lists children before parents, and records separately.

Only names are in memory.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self, TextIO

from podrelay.api import names
from podrelay.client.backup import END, FORMAT, HEADER, KINDS, BackupError
from podrelay.client.backup.reading import objects
from podrelay.client.resources import Resource

_UNKNOWN: Final = "an unknown time"


@dataclass(frozen=True, slots=True)
class Entry:
    """The position of an object in the spool, with the facts that are needed before it is read."""

    name: str
    offset: int
    about: str | None = None
    """The parent of a run, the run of a record."""
    is_answered: bool = False
    """Whether a record has an answer."""


@dataclass(slots=True)
class _Survey:
    header: Resource | None = None
    end: Resource | None = None
    namespaces: set[str] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)


class Spool:
    """The objects of a backup. Use it in a `with`, because it is a temporary file of the size of the backup.

    Attributes:
        time: when it was exported.
        entries: by plural and name.
        left_out: how many objects, by kind, were skipped: of kinds that do not belong to a backup, or being deleted.

    Args:
        text: the backup.

    Raises:
        BackupError: it is not a backup, is cut off, has a later format, or contains several namespaces.
    """

    def __init__(self, text: TextIO) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self.entries: dict[str, dict[str, Entry]] = {plural: {} for plural in KINDS.values()}
        survey = _Survey()
        try:
            for item in objects(text):
                self._take(item, survey)
            _check(survey, {plural: len(entries) for plural, entries in self.entries.items()})
        except BaseException:
            self._file.close()
            raise
        self.left_out = survey.left_out
        self.time: str = (survey.header or {}).get("time", _UNKNOWN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, entry: Entry) -> Resource:
        """Return the object of an entry."""
        self._file.seek(entry.offset)
        item: Resource = json.loads(self._file.readline())
        return item

    def runs(self) -> Iterator[Entry]:
        """Return the runs, parents before their children."""
        known, given = self.entries[names.TASK_RUNS], set()
        for name in known:
            line: list[str] = []
            following: str | None = name
            while following is not None and following in known and following not in given and following not in line:
                line.append(following)
                following = known[following].about
            given.update(line)
            yield from (known[each] for each in reversed(line))

    def is_answered(self, record: str) -> bool:
        """Return whether the backup has a record of this name with an answer."""
        entry = self.entries[names.TASK_ITERATIONS].get(record)
        return entry is not None and entry.is_answered

    def _take(self, item: Resource, survey: _Survey) -> None:
        kind = item["kind"]
        if survey.end is not None:
            raise BackupError(f"the file continues after the end of the export: {kind}; import one export at a time")
        if kind == HEADER:
            survey.header = _checked_header(item)
        elif kind == END:
            survey.end = item
        elif kind not in KINDS or not str(item.get("apiVersion", "")).startswith(f"{names.GROUP}/"):
            survey.left_out[kind] += 1
        elif "deletionTimestamp" in item.get("metadata", {}):
            survey.left_out[f"{kind} that was being deleted"] += 1
        else:
            self._keep(item, KINDS[kind], survey)

    def _keep(self, item: Resource, plural: str, survey: _Survey) -> None:
        try:
            name, namespace = item["metadata"]["name"], item["metadata"].get("namespace", "")
            about = item["spec"].get("parent") if plural == names.TASK_RUNS else item.get("runName")
        except (AttributeError, KeyError, TypeError) as error:
            raise BackupError(f"this is not a backup, or it is damaged: a {item['kind']} without {error}") from error
        survey.namespaces.add(namespace)
        if len(survey.namespaces) > 1:
            several = " and ".join(sorted(survey.namespaces))
            raise BackupError(f"the backup contains several namespaces, {several}; import one at a time")
        if name in self.entries[plural]:
            raise BackupError(f"the backup contains {item['kind']} {name} twice; import one export at a time")
        offset = self._file.seek(0, 2)
        self._file.write(json.dumps(item, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
        self.entries[plural][name] = Entry(name, offset, about, is_answered=bool(item.get("response")))


def _checked_header(header: Resource) -> Resource:
    written: Any = header.get("format")
    if not isinstance(written, int) or written > FORMAT:
        raise BackupError(
            f"the export has format {written}, written by Podrelay {header.get('podrelay')}; this version reads format "
            f"{FORMAT}: use a podrelay that is as new as that one"
        )
    return header


def _check(survey: _Survey, counts: dict[str, int]) -> None:
    if not any(counts.values()) and survey.header is None:
        raise BackupError("the backup contains no objects of Podrelay")
    if survey.header is None:
        return  # written by kubectl
    if survey.end is None:
        raise BackupError("the export is cut off: it has no end; nothing was imported")
    declared = {plural: survey.end.get(plural) for plural in counts}
    if declared != counts:
        raise BackupError(
            f"the export is incomplete: its end declares {declared}, it contains {counts}; nothing was imported"
        )
