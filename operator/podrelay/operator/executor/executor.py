"""Carries plans out: every write to the API server on behalf of a run is made here, one at a time for each run.

An answer that shows that the plan was made on an old view (a conflict, an object that is no more) is not an error: the
store learns the truth and the run is planned again. Whatever is written comes back into the store at once.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import msgspec

from podrelay.api import names
from podrelay.kube.api import JSON_PATCH, STRATEGIC_MERGE_PATCH, WRITE_TIMEOUT_SECONDS, Api
from podrelay.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    InvalidError,
    NotFoundError,
    TransportError,
)
from podrelay.kube.resources import PODS, TASK_ITERATIONS, TASK_RUNS, Key
from podrelay.operator import object_rules
from podrelay.operator.cache.store import Store
from podrelay.operator.event_recorder import Events
from podrelay.operator.executor import input_values, pod_builder, pod_logs, record_builder
from podrelay.operator.executor.children import ChildActions
from podrelay.operator.executor.payloads import Payloads, StateGoneError
from podrelay.operator.executor.status_patch import add_result, status_patch
from podrelay.operator.objects import Record, StorableResponse, TaskRun
from podrelay.operator.plan import (
    Action,
    AdoptRecord,
    AnnotateRun,
    ClaimRecord,
    ConfirmAbsent,
    ConfirmGone,
    ConfirmLost,
    ConfirmSilent,
    CreatePod,
    DeletePod,
    DeleteRecord,
    DeleteRun,
    EndPod,
    OpenGate,
    Plan,
    ReadInput,
    ReadRecord,
    ReleasePod,
    ReturnSlot,
    TakeSlot,
    Target,
    WriteRecord,
)
from podrelay.operator.planner import due_pod, termination_message
from podrelay.operator.pods import Pod
from podrelay.operator.rbac import Permission
from podrelay.operator.view import InputCheck, Refusal, Silence, View
from podrelay.schemas.process import SchemaProcess
from podrelay.schemas.verdict import Verdict

log = logging.getLogger(__name__)

PERMISSIONS: Final = (
    Permission("", ("pods",), ("get", "create", "patch", "delete")),
    Permission(names.GROUP, (names.TASK_RUNS,), ("get", "patch", "delete")),
    Permission(names.GROUP, (f"{names.TASK_RUNS}/status",), ("patch",)),
    # The virtual verb `manage` lets the operator write records that are not its own; see the chart's policies.
    Permission(names.GROUP, (names.TASK_ITERATIONS,), ("get", "create", "patch", "delete", "manage")),
)

QUOTA_EXCEEDED: Final = "QuotaExceeded"
POD_FORBIDDEN: Final = "PodForbidden"
"""Also for a service account that is not there."""
_START_RETRY_SECONDS: Final = (1.0, 60.0)
_REFUSALS: Final = frozenset({400, 403, 405, 413, 422, 500})
"""Of these somebody has to hear: time alone does not change a rule, a role, or a webhook that does not work."""

_decode_pod = msgspec.json.Decoder(Pod).decode
_decode_record = msgspec.json.Decoder(Record).decode
_decode_run = msgspec.json.Decoder(TaskRun).decode


class Lease(Protocol):
    """What says whether this process leads."""

    def require(self) -> None:
        """Return if the Lease is ours for longer than a request can take.

        Raises:
            PodrelayError: it is not.
        """


class Schemas(Protocol):
    """Checks inputs against schemas."""

    async def check(self, schema: dict[str, Any], input: dict[str, Any] | None = None) -> Verdict:
        """Return what is wrong with `input` by `schema`, or with `schema` alone."""


class Executor:
    """Writes to the API server what the planner wants.

    Args:
        client: the API server.
        store: learns every answer.
        lease: must be ours while pods are created.
        clock: returns the current time, aware, UTC.
        schemas: checks inputs; by default a process of this executor's own.
        events: tells what the API server refuses; default: one of its own.
        count: called before each write with what it does, for metrics.
        reads_logs: whether a record that is written for a pod takes along what the pod has printed.
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
        self._client = client
        self._reads_logs = reads_logs
        self._payloads = Payloads(client)
        self._events = events or Events(client, clock)
        self._store = store
        self._lease = lease
        self._clock = clock
        self._schemas = schemas or SchemaProcess()
        self._count = count
        child_actions = ChildActions(client, store, self._write, self._refresh_run)
        self._handlers: Mapping[type[Action], Callable[[Key, View, Any], Awaitable[None]]] = {
            ReadInput: self._read_input,
            TakeSlot: self._take_slot,
            ReturnSlot: self._return_slot,
            CreatePod: self._create_pod,
            ConfirmGone: self._confirm_gone,
            ConfirmAbsent: self._confirm_absent,
            ConfirmLost: self._confirm_lost,
            ReadRecord: self._settle_record,
            ConfirmSilent: self._confirm_silent,
            OpenGate: self._open_gate,
            EndPod: self._end_pod,
            DeletePod: self._delete_pod,
            ReleasePod: self._release_pod,
            AdoptRecord: self._adopt_record,
            AnnotateRun: self._annotate_run,
            WriteRecord: self._write_record,
            ClaimRecord: self._claim_record,
            DeleteRecord: self._delete_record,
            DeleteRun: self._delete_run,
            **child_actions.handlers,
        }

    async def carry_out(self, key: Key, view: View, action: Action) -> None:
        """Do one thing. Plan again afterwards, whatever came of it.

        Raises:
            ApiError: the API server refused for a reason that has nothing to do with an old view.
            LeadershipLostError: the Lease is not ours any more.
            TimeoutError, TransportError: no answer; the write may or may not have happened.
        """
        try:
            await self._handlers[type(action)](key, view, action)
        except ApiError as error:
            if error.status in _REFUSALS:
                await self._events.write_refused(view.run.metadata, error.message)
            raise

    async def write_status(self, key: Key, view: View, plan: Plan) -> bool:
        """Write the status that `plan` wants, on the version of the run that it was planned on.

        Return whether it is written; if not, the run has changed meanwhile.

        Raises:
            as `carry_out`.
        """
        assert plan.status is not None  # noqa: S101 - the loop has looked
        wanted = msgspec.to_builtins(plan.status)
        if plan.payload_from:
            add_result(wanted, plan.payload_from, await self._payloads.result_of(key, view, plan.payload_from))
        if plan.error_data is not None:
            wanted["error"] = {**wanted["error"], "data": dict(plan.error_data)}
        patch = status_patch(view.run, msgspec.to_builtins(view.run.status), wanted)
        try:
            body = await self._write(
                "status",
                self._client.patch(
                    TASK_RUNS, key.namespace, key.name, patch, subresource="status", content_type=JSON_PATCH
                ),
            )
        except (ConflictError, InvalidError, NotFoundError) as error:
            run = await self._refresh_run(key, view.run.metadata.uid)
            # A patch made on an old status may not even fit the new one; on the newest it must.
            if isinstance(error, InvalidError) and run is not None and not _has_changed(run, view.run):
                await self._events.status_refused(run.metadata, error.message)
                raise
            return False
        self._store.runs.apply(_decode_run(body))
        return True

    # --- before a pod -------------------------------------------------------------------------------------------------

    async def _take_slot(self, _key: Key, view: View, action: TakeSlot) -> None:
        self._store.take_slot(view.run, action.value)

    async def _return_slot(self, _key: Key, view: View, _action: ReturnSlot) -> None:
        self._store.return_slot(view.run)

    async def _read_input(self, key: Key, view: View, _action: ReadInput) -> None:
        assert view.definition is not None  # noqa: S101 - the planner has looked
        # Only a new run's input is judged; of one that has begun, a limit that came later wants to know the value.
        schema = view.definition.spec.input_schema if object_rules.is_new(view.run.status) else None
        concurrency = view.definition.spec.concurrency
        try:
            given = await self._payloads.input_of(key, view)
        except NotFoundError:
            await self._refresh_run(key, view.run.metadata.uid)
            return
        verdict = Verdict() if schema is None else await self._schemas.check(schema, given)
        value = input_values.concurrency_key(given, concurrency.key) if concurrency is not None else None
        self._store.input_read(view.run, view.definition, InputCheck(verdict.problem, verdict.fields, value))

    # --- pods ---------------------------------------------------------------------------------------------------------

    async def _create_pod(self, key: Key, view: View, action: CreatePod) -> None:
        assert view.definition is not None  # noqa: S101 - the planner has looked
        name = action.target.name
        try:
            manifest = pod_builder.build(
                view.run,
                view.definition,
                action.target,
                await self._input_for_message(key, view, action.target),
                view.run.metadata.annotations.created_by or (view.parent.created_by if view.parent else None),
            )
        except (pod_builder.TemplateError, pod_builder.InputTooLargeError) as error:
            self._refused(view.run, name, error.reason, f"TaskDefinition {view.run.spec.definition}: {error}")
            return
        except StateGoneError as error:
            self._store.confirm_lost(view.run, error.record)
            return
        lease = self._lease.require
        try:
            body = await self._write(
                "create_pod", self._client.create(PODS, key.namespace, manifest, strict=True, before=lease)
            )
        except AlreadyExistsError:
            await self._adopt_pod(key, view, name)
        except (ApiError, TransportError, TimeoutError) as error:
            if isinstance(error, ApiError) and (not error.is_transient or error.status == 500):
                # 500 too: an admission webhook that does not work is something that a user has to see.
                self._refused(view.run, name, _refusal(error), error.message)
            else:
                await self._pod_not_made(key, view, name, error)
        else:
            self._store.pods.apply(_decode_pod(body))
            self._store.accepted(view.run)

    async def _input_for_message(self, key: Key, view: View, target: Target) -> dict[str, Any] | None:
        """Return what a pod that cannot read its state itself is to work on."""
        if view.definition is None or view.definition.spec.reporting != names.REPORTING_TERMINATION_MESSAGE:
            return None
        return (await self._payloads.state_for(key, view, target)).input

    async def _adopt_pod(self, key: Key, view: View, name: str) -> None:
        """A pod of that name exists: ours, made before a crash or a lost answer, or somebody else's."""
        pod = await self._get_pod(key, name)
        if pod is None:
            return
        owner = pod.metadata.owner_run()
        if owner is not None and owner.uid == view.run.metadata.uid:
            self._store.pods.restore(pod)
            self._store.accepted(view.run)
        else:
            self._refused(view.run, name, "NameTaken", f"pod {name} exists and does not belong to this run; delete it")

    async def _pod_not_made(self, key: Key, view: View, name: str, error: Exception) -> None:
        """Tell an API server that is away from one that fails at this pod only: the latter is shown, the second time.

        Raises:
            the error: it is the first one, or the API server answers nothing else either.
        """
        pod = await self._get_pod(key, name)  # it may have been made all the same
        if pod is not None:
            await self._adopt_pod(key, view, name)
            return
        reason, message = _failure_in_words(error)
        before = self._refusal_so_far(view.run, name)
        if before is None:
            now = self._clock()
            self._store.refused(view.run, Refusal(name, reason, message, now, now))
            raise error
        at_least = error.retry_after or 0.0 if isinstance(error, ApiError) else 0.0
        self._refused(view.run, name, reason, message, at_least)

    def _refused(self, run: TaskRun, name: str, reason: str, message: str, at_least_seconds: float = 0.0) -> None:
        now = self._clock()
        before = self._refusal_so_far(run, name)
        shortest, longest = _START_RETRY_SECONDS
        since = before.since if before is not None else now
        pause = max(at_least_seconds, min(longest, max(shortest, (now - since).total_seconds())))
        self._store.refused(run, Refusal(name, reason, message, since, now + timedelta(seconds=pause)))

    def _refusal_so_far(self, run: TaskRun, name: str) -> Refusal | None:
        """Return the last refusal of this name; a run that was suspended since then has its whole time again."""
        before = self._store.refusal(run)
        longest = timedelta(seconds=_START_RETRY_SECONDS[1] + WRITE_TIMEOUT_SECONDS)
        goes_on = before is not None and before.name == name and self._clock() < before.retry_at + longest
        return before if goes_on else None

    async def _confirm_gone(self, key: Key, view: View, action: ConfirmGone) -> None:
        pod = await self._get_pod(key, action.name)
        if pod is None or pod.metadata.uid != action.uid:
            self._store.confirm_gone(view.run, action.name, action.uid)
            return
        self._store.confirm_still_there(view.run, await self._reclaim(key, view, pod))

    async def _confirm_absent(self, key: Key, view: View, action: ConfirmAbsent) -> None:
        pod = await self._get_pod(key, action.name)
        owner = pod.metadata.owner_run() if pod is not None else None
        if pod is not None and owner is not None and owner.uid == view.run.metadata.uid:
            self._store.pods.restore(pod)
        else:
            self._store.confirm_absent(view.run, action.name)

    async def _reclaim(self, key: Key, view: View, pod: Pod) -> Pod:
        """Give a pod that is the run's by its UID back what shows it: its label, for our watch, and its owner."""
        patch: dict[str, Any] = {}
        if names.LABEL_RUN not in pod.metadata.labels:
            patch["labels"] = {names.LABEL_RUN: key.name}
        owner = pod.metadata.owner_run()
        if owner is None or owner.uid != view.run.metadata.uid:
            is_free = not any(reference.controller for reference in pod.metadata.owner_references)
            patch["ownerReferences"] = [pod_builder.owner_reference(view.run, controller=is_free)]
        if not patch:
            return pod
        body = await self._write(
            "reclaim_pod",
            self._client.patch(
                PODS,
                key.namespace,
                pod.metadata.name,
                {"metadata": {"uid": pod.metadata.uid, **patch}},
                content_type=STRATEGIC_MERGE_PATCH,
            ),
        )
        return _decode_pod(body)

    async def _open_gate(self, key: Key, view: View, action: OpenGate) -> None:
        pod = action.pod
        name, uid = pod.metadata.name, pod.metadata.uid
        gates = [{"name": gate.name} for gate in pod.spec.scheduling_gates if gate.name != names.CLAIM_GATE]
        patch = {"metadata": {"uid": uid}, "spec": {"schedulingGates": gates or None}}
        try:
            body = await self._write("open_gate", self._client.patch(PODS, key.namespace, name, patch))
        except (ConflictError, InvalidError, NotFoundError) as error:
            await self._refresh_pod(key, view.run, name, uid)
            if isinstance(error, InvalidError) and pod in self._store.pods.of(key):
                raise  # it is not for another UID that the patch was refused
        else:
            self._store.pods.apply(_decode_pod(body))

    async def _end_pod(self, key: Key, view: View, action: EndPod) -> None:
        pod = action.pod
        annotations = {names.ANNOTATION_ENDING_SINCE: self._clock().isoformat()}
        if action.reason is not None:
            annotations[names.ANNOTATION_ENDING_REASON] = action.reason
        patch = {
            "metadata": {"resourceVersion": pod.metadata.resource_version, "annotations": annotations},
            "spec": {"activeDeadlineSeconds": 1},
        }
        name = pod.metadata.name
        try:
            body = await self._write("end_pod", self._client.patch(PODS, key.namespace, name, patch))
        except (ConflictError, NotFoundError):
            await self._refresh_pod(key, view.run, name, pod.metadata.uid)
        else:
            self._store.pods.apply(_decode_pod(body))

    async def _delete_pod(self, key: Key, view: View, action: DeletePod) -> None:
        with contextlib.suppress(ConflictError, NotFoundError):
            await self._write(
                "delete_pod",
                self._client.delete(
                    PODS, key.namespace, action.name, uid=action.uid, resource_version=action.resource_version
                ),
            )
        await self._refresh_pod(key, view.run, action.name, action.uid)

    async def release_pod(self, key: Key, pod: Pod) -> None:
        """Take our finalizer off a pod.

        Raises:
            as `carry_out`.
        """
        about = pod.metadata
        others = [finalizer for finalizer in about.finalizers if finalizer != names.ANSWER_FINALIZER]
        patch = {
            "metadata": {"uid": about.uid, "resourceVersion": about.resource_version, "finalizers": others or None}
        }
        try:
            body = await self._write("release_pod", self._client.patch(PODS, key.namespace, about.name, patch))
        except (ConflictError, InvalidError, NotFoundError) as error:
            current = await self._get_pod(key, about.name)
            if current is None or current.metadata.uid != about.uid:
                self._store.pods.forget(key, about.name, about.uid)
                return
            self._store.pods.restore(current)
            if isinstance(error, InvalidError) and current == pod:
                raise
        else:
            released = _decode_pod(body)
            if others or about.deletion_timestamp is None:
                self._store.pods.apply(released)
            else:
                self._store.pods.remove(released, was_seen=False)  # that was all that kept it

    async def _release_pod(self, key: Key, _view: View, action: ReleasePod) -> None:
        await self.release_pod(key, action.pod)

    async def _refresh_pod(self, key: Key, run: TaskRun, name: str, uid: str) -> None:
        pod = await self._get_pod(key, name)
        if pod is None or pod.metadata.uid != uid:
            self._store.confirm_gone(run, name, uid)
        else:
            self._store.pods.restore(pod)

    async def _get_pod(self, key: Key, name: str) -> Pod | None:
        try:
            return _decode_pod(await self._client.get(PODS, key.namespace, name))
        except NotFoundError:
            return None

    # --- records and runs ---------------------------------------------------------------------------------------------

    async def _write_record(self, key: Key, view: View, action: WriteRecord) -> None:
        """Write what a pod could not write itself. Its own response, should there be one after all, comes first."""
        makes_none = action.pod is not None and action.pod.reports_by_message
        if makes_none and due_pod.record_named(view, action.target.name) is None:
            await self._unless_refused(key, view, action, self._create_record(key, view, action))
        else:
            await self._unless_refused(key, view, action, self._respond_in_record(key, view, action))

    async def _claim_record(self, key: Key, view: View, action: ClaimRecord) -> None:
        manifest = record_builder.claim(view.run, action, self._clock())
        await self._unless_refused(key, view, action, self._post_record(key, manifest))

    async def _unless_refused(
        self, key: Key, view: View, action: WriteRecord | ClaimRecord, written: Awaitable[object]
    ) -> None:
        try:
            await written
        except (ConflictError, AlreadyExistsError, InvalidError) as error:
            # The pod's own response came first, or the record is not what it was.
            record = await self._refresh_record(key, view, action.target.name)
            if isinstance(error, InvalidError) and (record is None or record.response is None):
                self._refused(view.run, action.target.name, "RecordRefused", error.message)
        except ApiError as error:
            if error.is_transient or isinstance(error, NotFoundError):
                raise
            if error.is_end_of_namespace and action.pod is not None and action.pod.is_held:
                await self.release_pod(key, action.pod)  # the run goes when its pods have gone
            self._refused(view.run, action.target.name, "RecordRefused", error.message)
        else:
            self._store.accepted(view.run)

    async def _create_record(self, key: Key, view: View, action: WriteRecord) -> None:
        response = await self._complete(key, view, action)
        printed = await self._printed(key, view, action)
        manifest = record_builder.new(view.run, action, response, self._clock(), printed)
        record = await self._post_record(key, manifest)
        self._payloads.keep(record, manifest["response"])

    async def _post_record(self, key: Key, manifest: dict[str, Any]) -> Record:
        body = await self._write("create_record", self._client.create(TASK_ITERATIONS, key.namespace, manifest))
        record = _decode_record(body)
        self._store.records.apply(record)
        return record

    async def _respond_in_record(self, key: Key, view: View, action: WriteRecord) -> None:
        name = action.target.name
        body = await self._read_record(key, name)
        if body is None:
            await self._create_record(key, view, action)
            return
        record = _decode_record(body)
        if not view.owns(record) or record.response is not None or record.pod_uid != action.pod_uid:
            raise AlreadyExistsError(409, "AlreadyExists", f"{name} has an answer, or another owner")
        printed = await self._printed(key, view, action)
        patch = record_builder.patch(msgspec.json.decode(body), action, self._clock(), printed)
        written = await self._write(
            "patch_record",
            self._client.patch(TASK_ITERATIONS, key.namespace, name, patch, content_type=JSON_PATCH),
        )
        self._store.records.apply(_decode_record(written))

    async def _printed(self, key: Key, view: View, action: WriteRecord) -> dict[str, Any] | None:
        if not self._reads_logs or (view.definition is not None and not view.definition.spec.record_logs):
            return None
        return await pod_logs.of(self._client, key.namespace, action.pod)

    async def _refresh_record(self, key: Key, view: View, name: str) -> Record | None:
        record = await self._get_record(key, name)
        if record is None:
            return None
        if not view.owns(record):
            message = f"TaskIteration {name} exists already and does not belong to this run; delete it"
            self._refused(view.run, name, "NameTaken", message)
            return None
        self._store.records.restore(record)
        return record

    async def _complete(self, key: Key, view: View, action: WriteRecord) -> StorableResponse:
        """Return the response with what a pod that reports by message need not repeat: input and output so far."""
        response = action.response
        if action.pod is None or not action.pod.reports_by_message:
            return response
        has_state = action.target.state is not None or action.target.checkpoint is not None
        if response.status != "continue" and (response.output is not None or not has_state):
            return response
        try:
            state = await self._payloads.state_for(key, view, action.target)
        except StateGoneError as error:
            if response.status != "continue":
                return response
            return termination_message.refused(f"{error}; it held the state that this answer builds upon", error.reason)
        return termination_message.carried_on(response, state.input, state.output)

    async def _confirm_lost(self, key: Key, view: View, action: ConfirmLost) -> None:
        record = await self._get_record(key, action.record)
        if record is not None and view.owns(record):
            self._store.records.restore(record)
        else:
            self._store.confirm_lost(view.run, action.record)

    async def _settle_record(self, key: Key, view: View, action: ReadRecord) -> None:
        record = await self._get_record(key, action.record)
        if record is not None and view.owns(record):
            self._store.records.restore(record)
        self._store.confirm_settled(view.run, action.record)

    async def _confirm_silent(self, key: Key, view: View, action: ConfirmSilent) -> None:
        record = await self._get_record(key, action.record)
        if record is not None:
            self._store.records.restore(record)
        if record is None or record.heartbeat_at == action.heartbeat_at:
            now = self._clock()
            self._store.confirm_silent(view.run, Silence(action.record, action.heartbeat_at, now, now))

    async def _get_record(self, key: Key, name: str) -> Record | None:
        body = await self._read_record(key, name)
        return _decode_record(body) if body is not None else None

    async def _read_record(self, key: Key, name: str) -> bytes | None:
        try:
            return await self._client.get(TASK_ITERATIONS, key.namespace, name)
        except NotFoundError:
            return None

    async def _adopt_record(self, key: Key, view: View, action: AdoptRecord) -> None:
        about = action.record.metadata
        owners = [pod_builder.owner_reference(view.run, controller=False)]
        patch = {
            "metadata": {"uid": about.uid, "resourceVersion": about.resource_version, "ownerReferences": owners},
        }
        try:
            body = await self._write(
                "adopt_record", self._client.patch(TASK_ITERATIONS, key.namespace, about.name, patch)
            )
        except (ConflictError, InvalidError, NotFoundError) as error:
            record = await self._get_record(key, about.name)
            if isinstance(error, InvalidError) and record == action.record:
                raise
            if record is None:
                self._store.records.forget(key, about.name, about.uid)
            else:
                self._store.records.apply(record)
        else:
            self._store.records.apply(_decode_record(body))

    async def _delete_record(self, key: Key, _view: View, action: DeleteRecord) -> None:
        with contextlib.suppress(ConflictError, NotFoundError):
            await self._write(
                "delete_record",
                self._client.delete(TASK_ITERATIONS, key.namespace, action.name, uid=action.uid),
            )
        self._store.records.forget(key, action.name, action.uid)

    async def _delete_run(self, key: Key, _view: View, action: DeleteRun) -> None:
        with contextlib.suppress(ConflictError, NotFoundError):
            await self._write(
                "delete_run",
                self._client.delete(
                    TASK_RUNS, key.namespace, key.name, uid=action.uid, resource_version=action.resource_version
                ),
            )
        await self._refresh_run(key, action.uid)

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
                # Runs that kubectl has made lack it; for that alone nothing would be written.
                "labels": {names.LABEL_DEFINITION: view.run.spec.definition},
            }
        }
        try:
            body = await self._write("annotate_run", self._client.patch(TASK_RUNS, key.namespace, key.name, patch))
        except (ConflictError, InvalidError, NotFoundError) as error:
            run = await self._refresh_run(key, about.uid)
            if isinstance(error, InvalidError) and run is not None and not _has_changed(run, view.run):
                raise
        else:
            self._store.runs.apply(_decode_run(body))

    async def _refresh_run(self, key: Key, uid: str) -> TaskRun | None:
        try:
            run = _decode_run(await self._client.get(TASK_RUNS, key.namespace, key.name))
        except NotFoundError:
            self._store.runs.forget(key, key.name, uid)
            return None
        self._store.runs.apply(run)
        return run

    async def _write(self, kind: str, request: Awaitable[bytes]) -> bytes:
        self._count(kind)
        return await request


def _has_changed(run: TaskRun, before: TaskRun) -> bool:
    return run.metadata.resource_version != before.metadata.resource_version


def _refusal(error: ApiError) -> str:
    if error.is_quota:
        return QUOTA_EXCEEDED
    return {403: POD_FORBIDDEN, 404: "NamespaceNotFound", 500: "InternalError"}.get(error.status, "PodInvalid")


def _failure_in_words(error: Exception) -> tuple[str, str]:
    """Return the reason and the message for an API server that does not say whether it makes a pod."""
    advice = "it answers other requests, so look after the admission webhooks that see pods"
    match error:
        case ApiError(status=429):
            return "TooManyRequests", f"the API server puts the pod off: {error.message}; it is tried again"
        case ApiError(status=504) | TimeoutError():
            words = f"the API server has not answered within {WRITE_TIMEOUT_SECONDS:g} s whether it makes the pod"
            return "AdmissionTimeout", f"{words}; {advice}"
        case ApiError():
            return "ServiceUnavailable", f"the API server cannot make the pod: {error}; {advice}"
        case _:
            return "ServiceUnavailable", f"the API server ends the connection when it is to make the pod; {advice}"
