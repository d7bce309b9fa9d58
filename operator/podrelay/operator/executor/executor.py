"""Carries out plans: every write to the API server on behalf of a run is made here, one at a time for each run.

It is not an error if an answer shows that the plan was based on an old view (a conflict, or a deleted object): the
store gets the current state and the run is planned again. The result of each write goes into the store immediately.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.kube.api import JSON_PATCH, Api
from podrelay.kube.errors import ApiError, ConflictError, InvalidError, NotFoundError
from podrelay.kube.resources import TASK_RUNS, Key
from podrelay.operator import object_rules
from podrelay.operator.cache.store import Store
from podrelay.operator.event_recorder import Events
from podrelay.operator.executor import input_values
from podrelay.operator.executor.children import ChildActions
from podrelay.operator.executor.payloads import Payloads
from podrelay.operator.executor.pods import Lease, PodActions
from podrelay.operator.executor.records import RecordActions
from podrelay.operator.executor.requests import Requests
from podrelay.operator.executor.signals import SignalActions, SignalExecutor
from podrelay.operator.executor.status_body import add_result, later_patch, new_status
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import (
    Action,
    AnnotateRun,
    DeleteRun,
    Plan,
    ReadInput,
    ReturnSlot,
    TakeSlot,
)
from podrelay.operator.pods import Pod
from podrelay.operator.rbac import Permission
from podrelay.operator.view import InputCheck, View
from podrelay.schemas.process import SchemaProcess
from podrelay.schemas.verdict import Verdict

PERMISSIONS: Final = (
    Permission(names.GROUP, (names.TASK_RUNS,), ("get", "patch", "delete")),
    Permission(names.GROUP, (f"{names.TASK_RUNS}/status",), ("update", "patch")),
)

_REFUSALS: Final = frozenset({400, 403, 405, 413, 422, 500})
"""Status codes that are reported as an event: time alone does not fix a rule, a role, or a broken webhook."""

_decode_run = msgspec.json.Decoder(TaskRun).decode


class Schemas(Protocol):
    """Checks inputs against schemas."""

    async def check(self, schema: dict[str, Any], input: dict[str, Any] | None = None) -> Verdict:
        """Return what is wrong with `input` according to `schema`; without an input, what is wrong with `schema`."""


class Executor:
    """Carries out the actions of plans, and writes the status of runs.

    Args:
        client: the API server.
        store: is updated with every answer.
        lease: must be held while pods are created.
        clock: returns the current time, aware, UTC.
        schemas: checks inputs; by default, a separate process of this executor.
        events: reports what the API server refuses; by default, an event recorder of this executor.
        count: called before each write with the name of the write, for metrics.
        reads_logs: whether a record that the operator writes for a pod includes the log of the pod.
    """

    def __init__(
        self,
        client: Api,
        store: Store,
        lease: Lease,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        schemas: Schemas | None = None,
        *,
        events: Events | None = None,
        count: Callable[[str], None] = lambda _kind: None,
        reads_logs: bool = True,
    ) -> None:
        self._requests = Requests(client, store, clock, count)
        signals = SignalActions(self._requests)
        self._payloads = Payloads(client)
        self._events = events or Events(client, clock)
        self._store = store
        self._schemas = schemas or SchemaProcess()
        self._pods = PodActions(self._requests, self._payloads, lease, signals)
        records = RecordActions(self._requests, self._payloads, self._pods.release_pod, lease, reads_logs=reads_logs)
        self._handlers: Mapping[type[Action], Callable[[Key, View, Any], Awaitable[None]]] = {
            ReadInput: self._read_input,
            TakeSlot: self._take_slot,
            ReturnSlot: self._return_slot,
            AnnotateRun: self._annotate_run,
            DeleteRun: self._delete_run,
            **self._pods.handlers,
            **records.handlers,
            **ChildActions(self._requests).handlers,
            **signals.handlers,
        }

    @property
    def for_signals(self) -> SignalExecutor:
        """The executor for signals that are judged; it shares clients and caches with this one."""
        return SignalExecutor(self._requests, self._schemas)

    async def carry_out(self, key: Key, view: View, action: Action) -> None:
        """Carry out one action. The run must be planned again afterwards, regardless of the result.

        Raises:
            ApiError: the API server refused the request for a reason other than an old view.
            LeadershipLostError: this process no longer holds the Lease.
            TimeoutError, TransportError: no answer; the write may or may not have happened.
        """
        try:
            await self._handlers[type(action)](key, view, action)
        except ApiError as error:
            if error.status in _REFUSALS:
                await self._events.write_refused(view.run.metadata, error.message)
            raise

    async def release_pod(self, key: Key, pod: Pod) -> None:
        """Remove the operator's finalizer from a pod.

        Raises:
            the same errors as `carry_out`.
        """
        await self._pods.release_pod(key, pod)

    async def write_status(self, key: Key, view: View, plan: Plan) -> bool:
        """Write the status of `plan` if the run still has the version for which the plan was made.

        Return whether the status was written; if not, the run has changed since then.

        Raises:
            the same errors as `carry_out`.
        """
        assert plan.status is not None  # noqa: S101 - the loop has checked it
        wanted = msgspec.to_builtins(plan.status)
        if plan.payload_from:
            add_result(wanted, plan.payload_from, await self._payloads.result_of(key, view, plan.payload_from))
        if plan.output is not None:
            wanted["output"] = dict(plan.output)
        if plan.error_data is not None:
            wanted["error"] = {**wanted["error"], "data": dict(plan.error_data)}
        try:
            body = await self._requests.write("status", self._send_status(key, view.run, wanted))
        except (ConflictError, InvalidError, NotFoundError) as error:
            run = await self._requests.refresh_run(key, view.run.metadata.uid)
            # A status for an old version may be invalid for a newer one; for the newest one it must be valid.
            if isinstance(error, InvalidError) and run is not None and not _has_changed(run, view.run):
                await self._events.status_refused(run.metadata, error.message)
                raise
            return False
        self._store.creations.status_written(view.run)
        self._store.runs.apply(_decode_run(body))
        return True

    async def _send_status(self, key: Key, run: TaskRun, wanted: dict[str, Any]) -> bytes:
        client = self._requests.client
        if run.status.phase in FINISHED:
            patch = later_patch(run, wanted)
            return await client.patch(
                TASK_RUNS, key.namespace, key.name, patch, subresource="status", content_type=JSON_PATCH
            )
        # A patch takes the API server a millisecond more, because it merges and decodes the stored object.
        return await client.replace(TASK_RUNS, key.namespace, key.name, new_status(run, wanted), subresource="status")

    # --- before a pod -------------------------------------------------------------------------------------------------

    async def _take_slot(self, _key: Key, view: View, action: TakeSlot) -> None:
        self._store.take_slot(view.run, action.value)

    async def _return_slot(self, _key: Key, view: View, _action: ReturnSlot) -> None:
        self._store.return_slot(view.run)

    async def _read_input(self, key: Key, view: View, _action: ReadInput) -> None:
        assert view.definition is not None  # noqa: S101 - the planner has checked it
        # Only the input of a new run is validated. For a run that has already begun, only the value of the concurrency
        # key is needed, because of a limit that was added later.
        schema = view.definition.spec.input_schema if object_rules.is_new(view.run.status) else None
        concurrency = view.definition.spec.concurrency
        try:
            given = await self._payloads.input_of(key, view)
        except NotFoundError:
            await self._requests.refresh_run(key, view.run.metadata.uid)
            return
        verdict = Verdict() if schema is None else await self._schemas.check(schema, given)
        value = input_values.concurrency_key(given, concurrency.key) if concurrency is not None else None
        self._store.input_read(view.run, view.definition, InputCheck(verdict.problem, verdict.fields, value))

    # --- runs ---------------------------------------------------------------------------------------------------------

    async def _delete_run(self, key: Key, _view: View, action: DeleteRun) -> None:
        with contextlib.suppress(ConflictError, NotFoundError):
            await self._requests.write(
                "delete_run",
                self._requests.client.delete(
                    TASK_RUNS, key.namespace, key.name, uid=action.uid, resource_version=action.resource_version
                ),
            )
        await self._requests.refresh_run(key, action.uid)

    async def _annotate_run(self, key: Key, view: View, action: AnnotateRun) -> None:
        about = view.run.metadata
        patch = {
            "metadata": {
                "uid": about.uid,
                "resourceVersion": about.resource_version,
                "annotations": {
                    action.annotation: action.value,
                    names.ANNOTATION_ORIGIN: names.origin(about.name, about.origin_uid),
                },
                # Runs that were created with kubectl lack this label; it is not worth a write of its own.
                "labels": {names.LABEL_DEFINITION: view.run.spec.definition},
            }
        }
        try:
            body = await self._requests.write(
                "annotate_run", self._requests.client.patch(TASK_RUNS, key.namespace, key.name, patch)
            )
        except (ConflictError, InvalidError, NotFoundError) as error:
            run = await self._requests.refresh_run(key, about.uid)
            if isinstance(error, InvalidError) and run is not None and not _has_changed(run, view.run):
                raise
        else:
            self._store.runs.apply(_decode_run(body))


def _has_changed(run: TaskRun, before: TaskRun) -> bool:
    return run.metadata.resource_version != before.metadata.resource_version
