"""Restores a backup into a namespace: what had ended stays ended, what was half-way waits until it is told to go on.

Everything of a run is there before anybody works on it: it is created with a mark that keeps the operator away, which
is taken off at the very end. So an import that was cut off starts nothing, and the same import again completes it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TextIO

from podrelay.api import names
from podrelay.client.backup import restoring
from podrelay.client.backup.spool import Entry, Spool
from podrelay.client.errors import ForbiddenError, InvalidInputError, RequestRefusedError
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
}
"""What it takes to restore objects of a kind: verb, resource, group. The chart's policies ask for the last ones."""


@dataclass(slots=True)
class Report:
    """What has become of a backup.

    Attributes:
        imported: how many objects were created or completed, by plural.
        unchanged: how many were there already, by plural.
        waiting: ids of the runs that had not ended.
        conflicts: what was not imported, each with the reason.
    """

    imported: dict[str, int] = field(default_factory=dict)
    unchanged: dict[str, int] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Restored:
    """A run as it is in the namespace now."""

    uid: str
    generation: int
    is_complete: bool


class _Stored(NamedTuple):
    """An object that was to be created, as the API server has it."""

    resource: Resource
    is_new: bool


class Import:
    """One import.

    Args:
        resources: the API server.
        namespace: where the objects are created.
        spool: the backup.
        resume: let half-way runs go on by themselves.
        tell: called with a line for each definition and run.
    """

    def __init__(
        self,
        resources: Resources,
        namespace: str,
        spool: Spool,
        *,
        resume: bool = False,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._resources = resources
        self._namespace = namespace
        self._spool = spool
        self._suspend = not resume
        self._tell = tell
        self._report = Report()
        self._restored: dict[str, _Restored] = {}

    def carry_out(self) -> Report:
        """Restore what is not there yet.

        Returns:
            What was done. What is there otherwise was left alone, and is told among the conflicts.

        Raises:
            ForbiddenError: rights are missing; the message names them, and nothing was done.
            RequestRefusedError: the API server refuses an object; the same import again goes on from there.
            ApiUnavailableError: also after some tries; the same import again goes on from there.
        """
        self._check_rights()
        for entry in self._spool.entries[names.TASK_DEFINITIONS].values():
            self._restore_definition(entry)
        runs = list(self._spool.runs())
        for entry in runs:
            self._restore_run(entry)
        for entry in self._spool.entries[names.TASK_ITERATIONS].values():
            self._restore_record(entry)
        open_runs = [entry for entry in runs if entry.name in self._restored and not self._is_complete(entry.name)]
        for entry in open_runs:
            self._restore_status(entry)
        # Parents last: one that is told to go on looks for its children.
        for entry in reversed(open_runs):
            self._complete(entry)
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
                f"an import takes more rights in the namespace {self._namespace}: {', '.join(missing)}. The "
                f"ClusterRole {RESTORE_ROLE} has those of podrelay.dev; nothing was imported",
                403,
            )

    def _restore_definition(self, entry: Entry) -> None:
        wanted = restoring.definition(self._spool.read(entry), self._namespace)
        there, is_new = self._create(names.TASK_DEFINITIONS, wanted)
        if is_new:
            self._done(names.TASK_DEFINITIONS, f"taskdefinition.podrelay.dev/{entry.name} imported")
        elif _without_defaults(wanted["spec"], there["spec"]):
            self._unchanged(names.TASK_DEFINITIONS, f"taskdefinition.podrelay.dev/{entry.name} unchanged")
        else:
            self._conflict(f"TaskDefinition {entry.name} is there already, and says otherwise; it was left as it is")

    def _restore_run(self, entry: Entry) -> None:
        exported = self._spool.read(entry)
        parent = self._restored.get(entry.about) if entry.about is not None else None
        if parent is None and entry.about in self._spool.entries[names.TASK_RUNS]:
            self._conflict(f"TaskRun {entry.name} was left out, because its parent {entry.about} was")
            return
        uid = parent.uid if parent is not None else None
        wanted = restoring.run(exported, self._namespace, uid, suspend=self._suspend)
        try:
            there, is_new = self._create(names.TASK_RUNS, wanted)
        except InvalidInputError as error:
            self._conflict(f"TaskRun {entry.name} is refused: {error}")
            return
        if not is_new and not self._is_the_same(there, exported):
            self._conflict(f"TaskRun {entry.name} is there already, and is another one; it was left as it is")
            return
        metadata = there["metadata"]
        is_complete = (metadata.get("annotations") or {}).get(names.ANNOTATION_IMPORTED) != names.IMPORT_INCOMPLETE
        self._restored[entry.name] = _Restored(metadata["uid"], metadata.get("generation", 1), is_complete)
        if is_complete:
            self._unchanged(names.TASK_RUNS, f"taskrun.podrelay.dev/{entry.name} unchanged")

    @staticmethod
    def _is_the_same(there: Resource, exported: Resource) -> bool:
        """Whether it is the exported run itself, or what an earlier import has made of it."""
        uid = exported["metadata"].get("uid")
        return there["metadata"]["uid"] == uid or restoring.origin(there) == restoring.origin(exported)

    def _restore_record(self, entry: Entry) -> None:
        run = self._restored.get(entry.about or "")
        if run is None:
            if entry.about not in self._spool.entries[names.TASK_RUNS]:
                self._conflict(f"TaskIteration {entry.name} was left out: the backup has no TaskRun {entry.about}")
            return
        if run.is_complete:
            self._unchanged(names.TASK_ITERATIONS)
            return
        wanted = restoring.record(self._spool.read(entry), self._namespace, run.uid)
        there, is_new = self._create(names.TASK_ITERATIONS, wanted)
        if is_new:
            self._done(names.TASK_ITERATIONS)
        elif any(owner.get("uid") == run.uid for owner in there["metadata"].get("ownerReferences", ())):
            self._unchanged(names.TASK_ITERATIONS)
        else:
            self._conflict(
                f"TaskIteration {entry.name} is there already, and is of another run: delete it and import again; "
                f"TaskRun {entry.about} was left incomplete"
            )
            del self._restored[entry.about or ""]

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
        except RequestRefusedError as refused:
            if refused.status != 404:
                raise
            self._has_gone(entry)
        except InvalidInputError as error:
            self._conflict(f"TaskRun {entry.name} was left incomplete, its status is refused: {error}")
            del self._restored[entry.name]

    def _complete(self, entry: Entry) -> None:
        if entry.name not in self._restored:
            return
        try:
            stored = self._resources.patch(
                names.TASK_RUNS, self._namespace, entry.name, restoring.complete(self._spool.time)
            )
        except RequestRefusedError as refused:
            if refused.status != 404:
                raise
            self._has_gone(entry)
            return
        phase = (stored.get("status") or {}).get("phase", "Pending")
        line = f"taskrun.podrelay.dev/{entry.name} imported, {phase}"
        if not restoring.is_finished(stored):
            self._report.waiting.append(entry.name)
            line += ", suspended" if stored["spec"].get("suspend") else ", goes on"
        self._done(names.TASK_RUNS, line)

    def _has_gone(self, entry: Entry) -> None:
        self._conflict(f"TaskRun {entry.name} was deleted while it was imported")
        del self._restored[entry.name]

    def _create(self, plural: str, wanted: Resource) -> _Stored:
        """Create an object, or return the one that has its name already."""
        name = wanted["metadata"]["name"]
        while True:
            try:
                return _Stored(self._resources.create(plural, self._namespace, wanted), is_new=True)
            except RequestRefusedError as refused:
                if refused.status != 409:
                    raise
            try:
                return _Stored(self._resources.get(plural, self._namespace, name), is_new=False)
            except RequestRefusedError as refused:
                if refused.status != 404:
                    raise

    def _is_complete(self, run: str) -> bool:
        return self._restored[run].is_complete

    def _done(self, plural: str, line: str | None = None) -> None:
        self._report.imported[plural] = self._report.imported.get(plural, 0) + 1
        if line:
            self._tell(line)

    def _unchanged(self, plural: str, line: str | None = None) -> None:
        self._report.unchanged[plural] = self._report.unchanged.get(plural, 0) + 1
        if line:
            self._tell(line)

    def _conflict(self, message: str) -> None:
        self._report.conflicts.append(message)


def restore(
    resources: Resources,
    namespace: str,
    text: TextIO,
    *,
    resume: bool = False,
    tell: Callable[[str], None] = lambda _line: None,
) -> Report:
    """Restore a backup into a namespace; the arguments are those of Import, `text` is the backup.

    Raises:
        BackupError: `text` is no whole backup; nothing was done.
        ServiceError: as `Import.carry_out`.
    """
    with Spool(text) as spool:
        return Import(resources, namespace, spool, resume=resume, tell=tell).carry_out()


def _without_defaults(wanted: object, there: object) -> bool:
    """Tell whether `there` is `wanted`, as the API server completes it."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        return all(key in there and _without_defaults(value, there[key]) for key, value in wanted.items())
    return wanted == there
