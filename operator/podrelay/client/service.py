"""TaskService: start tasks, follow them and stop them, from any Python program."""

import contextlib
import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel

from podrelay.api import invalid_input, names, phases
from podrelay.api.wanted_run import TriggerConflictError, WantedRun, check_same
from podrelay.client import arguments, following, signals
from podrelay.client.arguments import DefinitionRef
from podrelay.client.connection import connect
from podrelay.client.doctor import Doctor, Finding
from podrelay.client.errors import (
    ConflictError,
    DefinitionNotFoundError,
    InvalidInputError,
    NotFoundError,
    ServiceError,
    TaskFinishedError,
    TaskNotFoundError,
    TaskStartedError,
    WaitTimeoutError,
)
from podrelay.client.resources import ExpiredError, Query, Resource, Resources
from podrelay.client.results import Definition, LogLine, Run, RunEvent, Signal, definition_of, run_of
from podrelay.client.schedules import Schedules
from podrelay.client.stream import Deadline, Stream
from podrelay.schemas.blocking import BlockingChecker

__all__ = ["TaskService"]

InputValue = Mapping[str, Any] | BaseModel | None
Runs = list[Run]
Definitions = list[Definition]
Findings = list[Finding]
Signals = list[Signal]
Order = Literal["newest", "oldest"]

_FORGET_THE_BACKUP: Final[Resource] = {
    "annotations": {names.ANNOTATION_BEGAN: None, names.ANNOTATION_LAST_APPLIED: None},
    "labels": {names.LABEL_VELERO_RESTORE: None},
}
"""Removes the marks of a run that was restored without its status, which must not start by itself."""
_ACKNOWLEDGED_WITHIN_SECONDS: Final = 5.0
"""How long to wait for an operator after a change that may come too late."""
_PRECISION: Final = timedelta(seconds=1)
"""Times in the status have whole seconds."""
_ORDER: Final[dict[str, Callable[..., list[Run]]]] = {"newest": heapq.nlargest, "oldest": heapq.nsmallest}


class TaskService:
    """Starts, follows and stops the tasks of one namespace. Create one and keep it, because it reuses its connections.

    All methods can be called from several threads at once. While the API server cannot be reached or is overloaded, a
    call is retried for `retry_seconds`; a retry never has a second effect.

    In addition to the documented errors, every method may raise ForbiddenError (the user lacks a right),
    ApiUnavailableError (try again later) and RequestRefusedError (the API server refuses for another reason).

    Args:
        namespace: namespace of the tasks; None: that of the context, or of the pod.
        kubeconfig: path of a kubeconfig; None: $KUBECONFIG, else the pod's service account, else ~/.kube/config.
        context: context of the kubeconfig; None: its current one.
        retry_seconds: how long a call is retried.

    Raises:
        ConfigurationError: there is neither a kubeconfig nor a service account.
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        kubeconfig: str | Path | None = None,
        context: str | None = None,
        retry_seconds: float = 10.0,
    ) -> None:
        connection = connect(kubeconfig, context)
        self._client = connection.client
        self._resources = Resources(connection.client, retry_seconds)
        self._checker = BlockingChecker()
        self.namespace: str = namespace or connection.namespace
        self.schedules = Schedules(self._resources, self.namespace)
        """The schedules of the namespace."""

    def close(self) -> None:
        """Close the connections."""
        self._checker.close()
        self._client.close()
        self._client.rest_client.pool_manager.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def trigger(
        self,
        definition: DefinitionRef,
        input: InputValue = None,
        *,
        name: str | None = None,
        delay: float | timedelta | None = None,
        start_at: datetime | None = None,
        parent: str | None = None,
        idempotency_key: str | None = None,
        resource_name: str | None = None,
        secret: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Run:
        """Start a run.

        Args:
            definition: id, resource name or class of the definition. If it is the class, the input is checked against
                its model first. In any case it is checked against the definition's `inputSchema` before anything is
                created.
            input: a JSON object or a pydantic model.
            name: human-readable name of the run.
            delay: seconds from the creation to the start; a whole number, less than 355 days.
            start_at: earliest time of the start, instead of a delay; needs a time zone.
            parent: id of the run whose child this one becomes; it is deleted with its parent.
            idempotency_key: every call with the same definition and the same key returns the same run.
            resource_name: name of the TaskRun, at most 50 characters; None: derived from the key, or random.
            secret: name of the Secret that the task gets as `controller.secret`; you need the right to get it.
            overrides: settings of the definition that are different for this run, named as in
                `kubectl explain trun.spec.overrides`; the definition must allow each in `allowOverrides`.

        Returns:
            The run as created, or its current state if it already exists.

        Raises:
            DefinitionNotFoundError: there is no such definition.
            InvalidInputError: the input or another argument is not valid, or the definition does not allow an override.
            TaskNotFoundError: there is no such parent.
            TriggerConflictError: the run of this key or name has a different input, definition, parent or override.
        """
        if idempotency_key is not None and resource_name is not None:
            raise InvalidInputError.of_field(
                "idempotency_key", "cannot be combined with resource_name, which also serves as a key"
            )
        wanted = arguments.checked_run(
            definition,
            input,
            name=name,
            delay=delay,
            start_at=start_at,
            key=idempotency_key,
            secret=secret,
            overrides=overrides,
        )
        parent_run = None if parent is None else self._get(parent)
        return self._create(arguments.ident_of(definition), wanted, resource_name=resource_name, parent=parent_run)

    def rerun(
        self,
        id: str,
        *,
        name: str | None = None,
        input: InputValue = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Run:
        """Start a new run with the definition and the input of another one. The new run has no parent.

        Args:
            id: id of the run to repeat.
            name: human-readable name of the new run; None: the same name.
            input: replaces the whole input; None: the same input.
            overrides: replaces all overrides, `{}` removes them; None: the same overrides.

        Raises:
            TaskNotFoundError: there is no such run.
            DefinitionNotFoundError: its definition no longer exists.
            InvalidInputError: the input is not valid, or the definition does not allow an override.
        """
        spec = self._get(id)["spec"]
        definition = spec["definition"]
        new = arguments.checked_run(definition, input, overrides=overrides)
        wanted = WantedRun(
            definition,
            spec.get("input") if input is None else new.input,
            name or spec.get("displayName"),
            secret=spec.get("secret"),
            overrides=spec.get("overrides") if overrides is None else new.overrides,
        )
        return self._create(definition, wanted, rerun_of=id)

    def _create(self, ident: str, wanted: WantedRun, **more: Any) -> Run:
        try:
            stored = self._resources.get(names.TASK_DEFINITIONS, self.namespace, wanted.definition)
        except NotFoundError as missing:
            raise DefinitionNotFoundError.of(ident) from missing
        self._check_input(stored["spec"].get("inputSchema"), wanted.input or {})
        arguments.check_overrides(stored, wanted)
        manifest = wanted.manifest(namespace=self.namespace, created_by=self._resources.user(), **more)
        with contextlib.suppress(ConflictError):
            return run_of(self._resources.create(names.TASK_RUNS, self.namespace, manifest))
        # An earlier request of this call has created it, or an earlier call with the same key or name.
        return run_of(self._same(manifest))

    def _check_input(self, schema: dict[str, Any] | None, input: dict[str, Any]) -> None:
        """Reject an input that the operator would reject later; what cannot be checked here is left to the operator."""
        invalid = self._checker.check(schema, input) if schema is not None else None
        if invalid:
            raise InvalidInputError(invalid_input.in_words(invalid), {"invalidFields": invalid})

    def _same(self, manifest: Resource) -> Resource:
        name = manifest["metadata"]["name"]
        try:
            stored = self._get(name)
        except TaskNotFoundError as gone:
            raise TriggerConflictError(f"TaskRun {name} is being deleted; trigger it again") from gone
        check_same(stored, manifest)
        return stored

    def get(self, id: str) -> Run:
        """Return a run, with its complete output.

        Args:
            id: name of the TaskRun.

        Raises:
            TaskNotFoundError: there is no such run.
        """
        return following.whole(self._resources, run_of(self._get(id)))

    def _get(self, id: str) -> Resource:
        return following.existing(self._resources, self.namespace, id)

    def list(
        self,
        *,
        definition: DefinitionRef | None = None,
        status: str | Iterable[str] | None = None,
        parent: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        search: str | None = None,
        limit: int | None = 50,
        order: Order = "newest",
        all_namespaces: bool = False,
    ) -> Runs:
        """Return runs.

        Args:
            definition: only runs of this definition.
            status: only runs with one of these: pending, running, success, failed, aborted, or the phases.
            parent: only direct children of this run.
            created_after: only runs created at this time or later (aware).
            created_before: only runs created before this time (aware).
            search: only runs whose id or name contains this text; case is ignored.
            limit: at most this many; None: all.
            order: by time of creation.
            all_namespaces: runs of the whole cluster.

        Raises:
            InvalidInputError: a filter is not valid.
        """
        if order not in _ORDER:
            raise InvalidInputError.of_field("order", f"must be {' or '.join(_ORDER)}")
        if limit is not None and limit < 0:
            raise InvalidInputError.of_field("limit", "must be 0 or more")
        fields = arguments.run_selector(definition, status, parent)
        query = Query(names.TASK_RUNS, None if all_namespaces else self.namespace, fields=fields)
        after = arguments.aware(created_after, "created_after")
        before = arguments.aware(created_before, "created_before")

        def is_wanted(run: Run) -> bool:
            return (
                (after is None or run.created_on >= after)
                and (before is None or run.created_on < before)
                and (search is None or search.lower() in f"{run.id}\n{run.name}".lower())
            )

        def pick() -> Runs:
            # Page by page, so that only the runs to return are kept in memory.
            runs = filter(is_wanted, (run_of(item) for page in self._resources.pages(query) for item in page["items"]))
            if limit is None:
                return sorted(runs, key=_age, reverse=order == "newest")
            return _ORDER[order](limit, runs, key=_age)

        while True:
            with contextlib.suppress(ExpiredError):
                return pick()

    def children(self, id: str, definition: DefinitionRef | None = None) -> Runs:
        """Return the direct children of a run, oldest first.

        Args:
            id: id of the parent.
            definition: only runs of this definition.

        Raises:
            TaskNotFoundError: there is no such run.
        """
        self._get(id)
        return self.list(parent=id, definition=definition, limit=None, order="oldest")

    def definitions(self, *, all_namespaces: bool = False) -> Definitions:
        """Return the definitions, including private ones, ordered by name.

        Args:
            all_namespaces: those of the whole cluster.
        """
        query = Query(names.TASK_DEFINITIONS, None if all_namespaces else self.namespace)
        return [definition_of(item) for item in self._resources.items(query)]

    def abort(self, id: str, message: str | None = None, *, cascade: bool = False) -> Run:
        """Abort a run. Its pod gets SIGTERM and time to clean up; `wait` returns when the run has finished.

        Aborting a run that is already being aborted, or is Aborted, changes nothing.

        Args:
            id: id of the run.
            message: the reason, in plain text.
            cascade: first abort every unfinished descendant.

        Raises:
            TaskNotFoundError: there is no such run.
            TaskFinishedError: it has already Succeeded or Failed.
            InvalidInputError: with `cascade`, if it is already being aborted, or Aborted, without its descendants.
        """
        before = run_of(self._get(id))
        if not (before.is_finished or before.is_aborting):
            try:
                texts = {"message": message, "by": self._resources.user()}
                given = {key: value for key, value in texts.items() if value}
                return self._patch(id, {"abort": {**given, "cascade": cascade}})
            except InvalidInputError:
                before = run_of(self._get(id))  # it has changed in the meantime
                if not (before.is_finished or before.is_aborting):
                    raise
        if before.is_finished and before.phase != phases.ABORTED:
            raise _finished("abort", before)
        if cascade and not (before.resource["spec"].get("abort") or {}).get("cascade"):
            state = "was aborted" if before.is_finished else "is being aborted"
            raise InvalidInputError.of_field("cascade", f"Task {id} {state} without its children; abort them")
        return before

    def suspend(self, id: str) -> Run:
        """Suspend a run: its current pod runs to its end, and no further pod starts.

        Args:
            id: name of the TaskRun.

        Raises:
            TaskNotFoundError: there is no such run.
            TaskFinishedError: it has already finished.
        """
        return self._suspend(id, "suspend", value=True)

    def resume(self, id: str) -> Run:
        """Continue a suspended run, or one that was restored from a backup.

        Args:
            id: name of the TaskRun.

        Raises:
            TaskNotFoundError: there is no such run.
            TaskFinishedError: it has already finished.
        """
        return self._suspend(id, "resume", value=False)

    def reschedule(self, id: str, *, start_at: datetime | None = None, delay: float | timedelta | None = None) -> Run:
        """Let a run that has not started yet start at another time; without `start_at` and `delay`, at once.

        Waits up to 5 s for an operator to take note of it, because the run may be starting at the same moment.

        Args:
            id: name of the TaskRun.
            start_at: earliest time of the start; needs a time zone.
            delay: seconds from now, instead of a time; a whole number, less than 355 days.

        Raises:
            TaskNotFoundError: there is no such run.
            TaskStartedError: it has already started.
            TaskFinishedError: it has already finished.
            InvalidInputError: an argument is not valid.
        """
        wanted = arguments.new_start(delay=delay, start_at=start_at)
        before = run_of(self._get(id))
        try:
            if not _has_started(before):
                before = self._acknowledged(self._patch(id, wanted))
                if wanted["startAt"] is None or not _started_before(before, wanted["startAt"]):
                    return before
        except InvalidInputError:
            before = run_of(self._get(id))  # it may have started in the meantime
            if not _has_started(before):
                raise
        if before.is_finished:
            raise _finished("reschedule", before)
        raise TaskStartedError(
            "Cannot reschedule a task that has already started!", {"id": before.id, "status": before.status}
        )

    def _acknowledged(self, changed: Run) -> Run:
        """Return the run when an operator has seen its change; as it is then if none does so in time."""
        newest, generation = changed, changed.resource["metadata"]["generation"]
        with contextlib.suppress(WaitTimeoutError), self.watch(changed.id, _ACKNOWLEDGED_WITHIN_SECONDS) as states:
            for state in states:
                newest = state
                if (state.resource.get("status") or {}).get("observedGeneration", -1) >= generation:
                    break
        return newest

    def _suspend(self, id: str, verb: str, *, value: bool) -> Run:
        before = run_of(self._get(id))
        if before.is_finished:
            raise _finished(verb, before)
        was_restored = not value and before.reason == "Restored"
        return self._patch(id, {"suspend": value}, _FORGET_THE_BACKUP if was_restored else {})

    def _patch(self, id: str, spec: Resource, metadata: Resource | None = None) -> Run:
        patch = {"spec": spec, **({"metadata": metadata} if metadata else {})}
        with following.about(id):
            return run_of(self._resources.patch(names.TASK_RUNS, self.namespace, id, patch))

    def signal(
        self,
        id: str,
        signal: str,
        payload: InputValue = None,
        *,
        decision: Literal["Approve", "Reject"] | None = None,
        key: str | None = None,
    ) -> Signal:
        """Send a signal to a run. It is kept until an iteration of the run that waits for it consumes it, once.

        Args:
            id: id of the run.
            signal: name of the signal, for example payment.
            payload: a JSON object or a pydantic model, at most 64 KiB.
            decision: for a signal that is an approval.
            key: identifies the event, so that a repeated call has no effect; None: each call sends another signal.

        Returns:
            The signal as sent, or its current state if it was sent before.

        Raises:
            TaskNotFoundError: there is no such run.
            TaskFinishedError: it has finished.
            InvalidInputError: the task does not understand the signal, or the payload is not valid.
            SignalConflictError: the run has a different signal with this key.
        """
        value = payload.model_dump(mode="json", by_alias=True) if isinstance(payload, BaseModel) else payload
        given = None if value is None else dict(value)
        return signals.send(self._resources, self._checker, self.namespace, id, signal, given, decision, key)

    def signals(self, id: str) -> Signals:
        """Return the signals that were sent to a run, oldest first.

        Args:
            id: id of the run.
        """
        return signals.find(self._resources, self.namespace, id)

    def delete(self, id: str) -> None:
        """Delete a run in any phase, with its pods, records and children. Returns before they are gone.

        Args:
            id: name of the TaskRun.

        Raises:
            TaskNotFoundError: there is no such run.
        """
        with following.about(id):
            self._resources.delete(names.TASK_RUNS, self.namespace, id)

    def wait(self, id: str, timeout: float | None = None) -> Run:
        """Wait until a run has finished, and return it. Its status shows how it ended.

        Args:
            id: id of the run.
            timeout: seconds to wait; None: without a limit.

        Raises:
            TaskNotFoundError: the run does not exist, or was deleted.
            WaitTimeoutError: the run has not finished in time.
        """
        with self.watch(id, timeout) as states:
            return deque(states, maxlen=1)[0]

    def watch(self, id: str, timeout: float | None = None) -> Stream[Run]:
        """Return the states of a run: the current one, then each new one, until the run has finished.

        Args:
            id: id of the run.
            timeout: seconds to wait; None: without a limit.

        Raises (while it is read):
            TaskNotFoundError: the run does not exist, or was deleted.
            WaitTimeoutError: the run has not finished in time.
        """
        return Stream(
            lambda cancellation: following.states(self._resources, self.namespace, id, Deadline(timeout), cancellation)
        )

    def events(
        self,
        *,
        definition: DefinitionRef | None = None,
        parent: str | None = None,
        all_namespaces: bool = False,
        existing: bool = False,
        timeout: float | None = None,
    ) -> Stream[RunEvent]:
        """Return the events of runs from now on: created, changed, finished, deleted.

        While the API server is unavailable, no lasting change is missed: its event follows later. Intermediate states
        may be missed.

        Args:
            definition: only runs of this definition.
            parent: only direct children of this run.
            all_namespaces: runs of the whole cluster.
            existing: begin with an event of type `existing` for each run that already exists.
            timeout: seconds after which the stream ends; None: never.

        Raises:
            InvalidInputError: a filter is not valid.
        """
        fields = arguments.run_selector(definition, None, parent)
        query = Query(names.TASK_RUNS, None if all_namespaces else self.namespace, fields=fields)
        return Stream(
            lambda cancellation: following.events(
                self._resources, query, Deadline(timeout), cancellation, with_existing=existing
            )
        )

    def logs(
        self,
        id: str,
        *,
        follow: bool = False,
        iteration: int | None = None,
        console: bool = False,
        tail: int | None = None,
    ) -> Stream[LogLine]:
        """Return the structured log lines of a run, in order, across iterations.

        Args:
            id: id of the run.
            follow: continue with new lines until the run has finished or was deleted.
            iteration: only lines of this iteration; 0: only those of pods that ran nothing but lifecycle hooks.
            console: also what the pods have printed, as lines of the type output: the last 16 KiB of each pod.
            tail: only this many of the last existing lines; None: all.

        Raises (while it is read):
            TaskNotFoundError: there is no such run.
        """
        return Stream(
            lambda cancellation: following.lines(
                self._resources,
                self.namespace,
                id,
                iteration,
                cancellation,
                is_followed=follow,
                console=console,
                tail=tail,
            )
        )

    def doctor(self) -> Findings:
        """Check why runs of the namespace do not start or make no progress, and return the results of all checks.

        The most basic checks come first. It only reads; a check that the caller's rights do not permit is reported as
        unknown.
        """
        return [*Doctor(self._client, self._resources, self.namespace, version("podrelay")).findings()]


def _age(run: Run) -> tuple[datetime, str, str]:
    return run.created_on, run.namespace, run.id


def _has_started(run: Run) -> bool:
    return run.is_finished or run.started_on is not None


def _started_before(run: Run, start: str) -> bool:
    return run.started_on is not None and run.started_on + _PRECISION < datetime.fromisoformat(start)


def _finished(verb: str, run: Run) -> ServiceError:
    message = f"Cannot {verb} a task that is not pending or running!"
    return TaskFinishedError(message, {"id": run.id, "status": run.status})
