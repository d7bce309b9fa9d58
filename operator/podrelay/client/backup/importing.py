"""Restores a backup into a namespace: finished runs stay finished, unfinished ones wait until a user resumes them.

A run is complete before the operator reconciles it: it is created with an annotation that keeps the operator away, and
the annotation changes last. So an interrupted import starts nothing, and repeating the import completes it.
"""

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from podrelay.api import names
from podrelay.client.backup import restoring
from podrelay.client.backup.spool import Entry, Spool
from podrelay.client.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from podrelay.client.resources import Resource, Resources

RESTORE_ROLE: Final = "podrelay-restore"
_RIGHTS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    names.TASK_DEFINITIONS: (
        ("create", names.TASK_DEFINITIONS, names.GROUP),
        ("get", names.TASK_DEFINITIONS, names.GROUP),
        ("create", "pods", ""),
    ),
    names.TASK_RUNS: (
        *((verb, names.TASK_RUNS, names.GROUP) for verb in ("create", "get", "patch", "trigger", "manage")),
        ("run", names.TASK_DEFINITIONS, names.GROUP),
        ("patch", f"{names.TASK_RUNS}/status", names.GROUP),
    ),
    names.TASK_ITERATIONS: tuple((verb, names.TASK_ITERATIONS, names.GROUP) for verb in ("create", "get", "manage")),
    names.TASK_SIGNALS: (
        *((verb, names.TASK_SIGNALS, names.GROUP) for verb in ("create", "get", "manage")),
        ("patch", f"{names.TASK_SIGNALS}/status", names.GROUP),
    ),
    names.TASK_SCHEDULES: (
        *((verb, names.TASK_SCHEDULES, names.GROUP) for verb in ("create", "get", "patch")),
        ("manage", names.TASK_RUNS, names.GROUP),
        ("patch", f"{names.TASK_SCHEDULES}/status", names.GROUP),
    ),
}
"""The rights to restore objects of a kind: verb, resource, group. The chart's policies require the custom verbs."""


@dataclass(slots=True)
class Report:
    """The result of an import.

    Attributes:
        imported: how many objects were created or completed, by plural.
        unchanged: how many existed already, by plural.
        waiting: ids of the unfinished runs.
        suspended: names of the schedules that were suspended by the import.
        conflicts: the objects that were not imported, each with the reason.
    """

    imported: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    waiting: list[str] = field(default_factory=list)
    suspended: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Restored:
    """The current state of a run in the namespace."""

    uid: str
    generation: int
    is_complete: bool


class _Stored(NamedTuple):
    """An object to create, as the API server has stored it."""

    resource: Resource
    is_new: bool


class Import:
    """One import.

    Args:
        resources: the API server.
        namespace: where the objects are created.
        spool: the backup.
        resume: let unfinished runs continue at once.
        notify: called with a line for each definition and run.
    """

    def __init__(
        self, resources: Resources, namespace: str, spool: Spool, *, resume: bool, notify: Callable[[str], None]
    ) -> None:
        self._resources = resources
        self._namespace = namespace
        self._spool = spool
        self._suspend = not resume
        self._notify = notify
        self._report = Report()
        self._restored: dict[str, _Restored] = {}

    def carry_out(self) -> Report:
        """Restore the objects that do not exist yet.

        Returns:
            What was done. Existing objects that differ were not changed, and are among the conflicts.

        Raises:
            ForbiddenError: rights are missing; the message names them, and nothing was done.
            RequestRefusedError: the API server refuses an object; the same import can be repeated and continues there.
            ApiUnavailableError: the API server is unavailable, even after retries; the same applies.
        """
        self._check_rights()
        for entry in self._spool.entries[names.TASK_DEFINITIONS].values():
            self._restore_definition(entry)
        runs = list(self._spool.runs())
        for entry in runs:
            self._restore_run(entry)
        for entry in self._spool.entries[names.TASK_ITERATIONS].values():
            self._restore_record(entry)
        for entry in self._spool.signals():
            self._restore_signal(entry)
        open_runs = [run for run in runs if run.name in self._restored and not self._restored[run.name].is_complete]
        for entry in open_runs:
            self._restore_status(entry)
        # Parents last: a parent that continues reads its children.
        for entry in reversed(open_runs):
            self._complete(entry)
        # After the runs: a schedule counts those that are unfinished.
        for entry in self._spool.entries[names.TASK_SCHEDULES].values():
            self._restore_schedule(entry)
        return self._report

    def _check_rights(self) -> None:
        wanted = [right for plural, rights in _RIGHTS.items() if self._spool.entries[plural] for right in rights]
        missing = [
            f"{verb} {resource}{'.' + group if group else ''}"
            for verb, resource, group in dict.fromkeys(wanted)
            if not self._resources.may(verb, resource, self._namespace, group)
        ]
        if missing:
            raise ForbiddenError(
                f"an import needs more rights in the namespace {self._namespace}: {', '.join(missing)}. The "
                f"ClusterRole {RESTORE_ROLE} has those of podrelay.dev; nothing was imported",
                403,
            )

    def _restore_definition(self, entry: Entry) -> None:
        wanted = restoring.definition(self._spool.read(entry), self._namespace)
        stored, is_new = self._create(names.TASK_DEFINITIONS, wanted)
        if is_new:
            self._done(names.TASK_DEFINITIONS, f"taskdefinition.podrelay.dev/{entry.name} imported")
        elif _without_defaults(wanted["spec"], stored["spec"]):
            self._unchanged(names.TASK_DEFINITIONS, f"taskdefinition.podrelay.dev/{entry.name} unchanged")
        else:
            self._conflict(f"TaskDefinition {entry.name} already exists and is different; it was not changed")

    def _restore_run(self, entry: Entry) -> None:
        exported = self._spool.read(entry)
        parent = self._restored.get(entry.about) if entry.about is not None else None
        if parent is None and entry.about in self._spool.entries[names.TASK_RUNS]:
            self._conflict(f"TaskRun {entry.name} was skipped, because its parent {entry.about} was")
            return
        uid = parent.uid if parent is not None else None
        wanted = restoring.run(exported, self._namespace, uid, suspend=self._suspend)
        try:
            stored, is_new = self._create(names.TASK_RUNS, wanted)
        except InvalidInputError as error:
            self._conflict(f"TaskRun {entry.name} was refused: {error}")
            return
        if not is_new and not self._is_the_same(stored, exported):
            self._conflict(f"TaskRun {entry.name} already exists and is another run; it was not changed")
            return
        metadata = stored["metadata"]
        is_complete = (metadata.get("annotations") or {}).get(names.ANNOTATION_IMPORTED) != names.IMPORT_INCOMPLETE
        self._restored[entry.name] = _Restored(metadata["uid"], metadata.get("generation", 1), is_complete)
        if is_complete:
            self._unchanged(names.TASK_RUNS, f"taskrun.podrelay.dev/{entry.name} unchanged")

    @staticmethod
    def _is_the_same(stored: Resource, exported: Resource) -> bool:
        """Whether it is the exported run itself, or was created from it by an earlier import."""
        uid = exported["metadata"].get("uid")
        return stored["metadata"]["uid"] == uid or restoring.origin(stored) == restoring.origin(exported)

    def _restore_record(self, entry: Entry) -> None:
        run = self._restored.get(entry.about or "")
        if run is None:
            if entry.about not in self._spool.entries[names.TASK_RUNS]:
                self._conflict(f"TaskIteration {entry.name} was skipped: the backup has no TaskRun {entry.about}")
            return
        if run.is_complete:
            self._unchanged(names.TASK_ITERATIONS)
            return
        wanted = restoring.record(self._spool.read(entry), self._namespace, run.uid)
        stored, is_new = self._create(names.TASK_ITERATIONS, wanted)
        if is_new:
            self._done(names.TASK_ITERATIONS)
        elif any(owner.get("uid") == run.uid for owner in stored["metadata"].get("ownerReferences", ())):
            self._unchanged(names.TASK_ITERATIONS)
        else:
            self._conflict(
                f"TaskIteration {entry.name} already exists and belongs to another run: delete it and import again; "
                f"TaskRun {entry.about} was left incomplete"
            )
            del self._restored[entry.about or ""]

    def _restore_signal(self, entry: Entry) -> None:
        run = self._restored.get(entry.about or "")
        is_in_backup = entry.about in self._spool.entries[names.TASK_RUNS]
        if is_in_backup and run is None:
            return  # its run was skipped, which is among the conflicts
        if run is not None and run.is_complete:
            self._unchanged(names.TASK_SIGNALS)
            return
        exported = self._spool.read(entry)
        if not self._belongs_to_its_run(exported, entry):
            return
        uid = run.uid if run is not None else None
        wanted = restoring.signal(exported, self._namespace, uid, self._resources.user() or "")
        try:
            stored, is_new = self._create(names.TASK_SIGNALS, wanted)
            if not is_new and not _is_same_signal(wanted, stored):
                self._refuse_signal(entry, "already exists and is another signal; it was not changed")
                return
            status = restoring.signal_status(exported, self._spool.consumers.get(entry.name), self._spool.time)
            before = (stored.get("status") or {}).get("phase")
            if status is not None and before != status["phase"]:
                self._resources.patch_status(names.TASK_SIGNALS, self._namespace, entry.name, status)
                is_new = True
        except (InvalidInputError, ForbiddenError, NotFoundError) as error:
            self._refuse_signal(entry, f"was refused: {error}")
            return
        (self._done if is_new else self._unchanged)(names.TASK_SIGNALS)

    def _belongs_to_its_run(self, exported: Resource, entry: Entry) -> bool:
        """Whether a signal has no owner yet, or that of its run in the backup, not of an earlier one of that name."""
        owners = [owner.get("uid") for owner in exported["metadata"].get("ownerReferences", ())]
        run = self._spool.entries[names.TASK_RUNS].get(entry.about or "")
        return not owners or (run is not None and run.uid in owners)

    def _refuse_signal(self, entry: Entry, why: str) -> None:
        """Report a signal that was not restored; its run would lack it, and so is left incomplete."""
        left = ""
        if self._restored.pop(entry.about or "", None) is not None:
            left = f"; TaskRun {entry.about} was left incomplete"
        self._conflict(f"TaskSignal {entry.name} {why}{left}")

    def _restore_schedule(self, entry: Entry) -> None:
        exported, name = self._spool.read(entry), f"taskschedule.podrelay.dev/{entry.name}"
        wanted = restoring.schedule(exported, self._namespace, self._spool.time, suspend=self._suspend)
        try:
            stored, is_new = self._create(names.TASK_SCHEDULES, wanted)
            if not is_new and not self._is_the_same(stored, exported):
                self._conflict(f"TaskSchedule {entry.name} already exists and is another one; it was not changed")
                return
            annotations = stored["metadata"].get("annotations") or {}
            if annotations.get(names.ANNOTATION_IMPORTED) != names.IMPORT_INCOMPLETE:
                self._unchanged(names.TASK_SCHEDULES, f"{name} unchanged")
                return
            status = restoring.schedule_status(exported, stored["metadata"].get("generation", 1))
            if status:
                self._resources.patch_status(names.TASK_SCHEDULES, self._namespace, entry.name, status)
            self._resources.patch(
                names.TASK_SCHEDULES, self._namespace, entry.name, restoring.complete(self._spool.time)
            )
        except (InvalidInputError, ForbiddenError, NotFoundError) as error:
            self._conflict(f"TaskSchedule {entry.name} was refused: {error}")
            return
        if self._suspend and not exported["spec"].get("suspend"):
            self._report.suspended.append(entry.name)
        is_suspended = stored["spec"].get("suspend")
        self._done(names.TASK_SCHEDULES, f"{name} imported{', suspended' if is_suspended else ''}")

    def _restore_status(self, entry: Entry) -> None:
        exported = self._spool.read(entry)
        current = ((exported.get("status") or {}).get("current") or {}).get("podName", "")
        status = restoring.status(
            exported, self._restored[entry.name].generation, is_answered=self._spool.is_answered(current)
        )
        if not status:
            return
        try:
            self._resources.patch_status(names.TASK_RUNS, self._namespace, entry.name, status)
        except NotFoundError:
            self._was_deleted(entry)
        except InvalidInputError as error:
            self._conflict(f"TaskRun {entry.name} was left incomplete, because its status was refused: {error}")
            del self._restored[entry.name]

    def _complete(self, entry: Entry) -> None:
        if entry.name not in self._restored:
            return
        try:
            stored = self._resources.patch(
                names.TASK_RUNS, self._namespace, entry.name, restoring.complete(self._spool.time)
            )
        except NotFoundError:
            self._was_deleted(entry)
            return
        phase = (stored.get("status") or {}).get("phase", "Pending")
        line = f"taskrun.podrelay.dev/{entry.name} imported, {phase}"
        if not restoring.is_finished(stored):
            self._report.waiting.append(entry.name)
            line += ", suspended" if stored["spec"].get("suspend") else ", continues"
        self._done(names.TASK_RUNS, line)

    def _was_deleted(self, entry: Entry) -> None:
        self._conflict(f"TaskRun {entry.name} was deleted while it was imported")
        del self._restored[entry.name]

    def _create(self, plural: str, wanted: Resource) -> _Stored:
        """Create an object, or return the existing one of the same name."""
        name = wanted["metadata"]["name"]
        while True:
            with contextlib.suppress(ConflictError):
                return _Stored(self._resources.create(plural, self._namespace, wanted), is_new=True)
            with contextlib.suppress(NotFoundError):
                return _Stored(self._resources.get(plural, self._namespace, name), is_new=False)

    def _done(self, plural: str, line: str | None = None) -> None:
        self._report.imported[plural] += 1
        if line:
            self._notify(line)

    def _unchanged(self, plural: str, line: str | None = None) -> None:
        self._report.unchanged[plural] += 1
        if line:
            self._notify(line)

    def _conflict(self, message: str) -> None:
        self._report.conflicts.append(message)


def _is_same_signal(wanted: Resource, stored: Resource) -> bool:
    """Return whether two signals say the same, a decision by the same user."""
    senders = [
        (each["metadata"].get("annotations") or {}).get(names.ANNOTATION_CREATED_BY) for each in (wanted, stored)
    ]
    is_decision = wanted["spec"].get("decision") is not None
    return wanted["spec"] == stored["spec"] and (not is_decision or senders[0] == senders[1])


def _without_defaults(wanted: object, stored: object) -> bool:
    """Return whether `stored` is `wanted` with defaults that the API server has added."""
    if isinstance(wanted, dict) and isinstance(stored, dict):
        return all(key in stored and _without_defaults(value, stored[key]) for key, value in wanted.items())
    return wanted == stored
