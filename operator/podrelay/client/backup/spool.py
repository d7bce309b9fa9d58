"""A backup on disk, where it can be read in any order: it lists children before parents, and records separately.

Only names are in memory.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self, TextIO

from podrelay.api import names
from podrelay.client.backup import END, FORMAT, HEADER, KINDS, BackupError
from podrelay.client.backup.reading import objects
from podrelay.client.resources import Resource

_UNKNOWN: Final = "an unknown time"
_KINDS_OF_FORMAT_1: Final = frozenset({names.TASK_DEFINITIONS, names.TASK_RUNS, names.TASK_ITERATIONS})


@dataclass(frozen=True, slots=True)
class Entry:
    """The position of an object in the spool, with the facts that are needed before it is read."""

    name: str
    offset: int
    about: str | None = None
    """The parent of a run, the run of a record or a signal."""
    is_answered: bool = False
    """Whether a record has an answer."""
    uid: str = ""
    sent_at: str = ""
    """When a signal was sent, RFC 3339 in UTC."""


class Consumer(NamedTuple):
    """The answer that has consumed a signal."""

    record: str
    iteration: int


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
        consumers: the answers in the backup that have consumed signals, by the name of the TaskSignal.
        left_out: how many objects, by kind, were skipped: of kinds that do not belong to a backup, or being deleted.

    Args:
        text: the backup.

    Raises:
        BackupError: it is not a backup, is cut off, has a later format, or contains several namespaces.
    """

    def __init__(self, text: TextIO) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self.entries: dict[str, dict[str, Entry]] = {plural: {} for plural in KINDS.values()}
        self.consumers: dict[str, Consumer] = {}
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

    def signals(self) -> list[Entry]:
        """Return the signals, the oldest first."""
        return sorted(self.entries[names.TASK_SIGNALS].values(), key=lambda signal: (signal.sent_at, signal.name))

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
            about = _about(item, plural)
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
        response = item.get("response")
        for signal in (response or {}).get("signals", ()):
            self.consumers[signal] = Consumer(name, item.get("iteration", 0))
        self.entries[plural][name] = Entry(
            name, offset, about, bool(response), item["metadata"].get("uid", ""), _sent_at(item)
        )


def _about(item: Resource, plural: str) -> str | None:
    """Return the run that an object belongs to; for a run, its parent."""
    match plural:
        case names.TASK_RUNS:
            about: str | None = item["spec"].get("parent")
        case names.TASK_SIGNALS:
            about = item["spec"]["taskRun"]
        case _:
            about = item.get("runName")
    return about


def _sent_at(item: Resource) -> str:
    metadata = item["metadata"]
    annotated: str | None = (metadata.get("annotations") or {}).get(names.ANNOTATION_SENT_AT)
    return annotated or str(metadata.get("creationTimestamp", ""))


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
    known = counts if survey.header["format"] > 1 else _KINDS_OF_FORMAT_1
    declared = {plural: survey.end.get(plural, None if plural in known else 0) for plural in counts}
    if declared != counts:
        raise BackupError(
            f"the export is incomplete: its end declares {declared}, it contains {counts}; nothing was imported"
        )
