"""The actions on records: write responses for pods, claim, confirm by a live read, adopt and delete."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from podrelay.api import names
from podrelay.api.errors import PodrelayError
from podrelay.kube.api import JSON_PATCH
from podrelay.kube.errors import AlreadyExistsError, ApiError, ConflictError, InvalidError, NotFoundError
from podrelay.kube.resources import TASK_ITERATIONS, Key
from podrelay.operator.executor import pod_builder, pod_logs, record_builder
from podrelay.operator.executor.payloads import Payloads, StateGoneError
from podrelay.operator.executor.pods import Lease
from podrelay.operator.executor.requests import Requests
from podrelay.operator.objects.answers import StorableResponse
from podrelay.operator.objects.records import Record
from podrelay.operator.plan import (
    Action,
    AdoptRecord,
    ClaimRecord,
    ConfirmLost,
    ConfirmSilent,
    DeleteRecord,
    ReadRecord,
    WriteRecord,
)
from podrelay.operator.planner import due_pod, termination_message
from podrelay.operator.pods import Pod
from podrelay.operator.rbac import Permission
from podrelay.operator.view import Silence, View

PERMISSIONS: Final = (
    # The virtual verb `manage` lets the operator write records that are not its own; see the chart's policies.
    Permission(names.GROUP, (names.TASK_ITERATIONS,), ("get", "create", "patch", "delete", "manage")),
)

_decode_record = msgspec.json.Decoder(Record).decode


class RecordActions:
    """Carries out the actions on records.

    Args:
        requests: sends requests to the API server.
        payloads: reads and keeps states and outputs.
        release_pod: removes the finalizer of a pod.
        lease: shows whether the cache is that of the leader.
        reads_logs: whether a record that the operator writes for a pod includes the log of the pod.
    """

    def __init__(
        self,
        requests: Requests,
        payloads: Payloads,
        release_pod: Callable[[Key, Pod], Awaitable[None]],
        lease: Lease,
        *,
        reads_logs: bool,
    ) -> None:
        self._requests = requests
        self._store = requests.store
        self._payloads = payloads
        self._release_pod = release_pod
        self._lease = lease
        self._reads_logs = reads_logs

    @property
    def handlers(self) -> Mapping[type[Action], Callable[[Key, View, Any], Awaitable[None]]]:
        """The handler of each kind of action, called by `Executor.carry_out`."""
        return {
            WriteRecord: self._write_record,
            ClaimRecord: self._claim_record,
            ConfirmLost: self._confirm_lost,
            ReadRecord: self._settle_record,
            ConfirmSilent: self._confirm_silent,
            AdoptRecord: self._adopt_record,
            DeleteRecord: self._delete_record,
        }

    async def _write_record(self, key: Key, view: View, action: WriteRecord) -> None:
        """Write the response of a pod that could not write it itself, unless the pod has stored one after all."""
        has_no_token = action.pod is not None and action.pod.reports_by_message
        if has_no_token and due_pod.record_named(view, action.target.name) is None:
            await self._unless_refused(key, view, action, self._create_record(key, view, action))
        else:
            await self._unless_refused(key, view, action, self._respond_in_record(key, view, action))

    async def _claim_record(self, key: Key, view: View, action: ClaimRecord) -> None:
        manifest = record_builder.claim(view.run, action, self._requests.clock())
        await self._unless_refused(key, view, action, self._post_record(key, view, manifest))

    async def _unless_refused(
        self, key: Key, view: View, action: WriteRecord | ClaimRecord, written: Awaitable[object]
    ) -> None:
        try:
            await written
        except (ConflictError, AlreadyExistsError, InvalidError) as error:
            # The pod's own response came first, or the record has changed.
            record = await self._refresh_record(key, view, action.target.name)
            if isinstance(error, InvalidError) and (record is None or record.response is None):
                self._requests.refused(view.run, action.target.name, "RecordRefused", error.message)
        except ApiError as error:
            if error.is_transient or isinstance(error, NotFoundError):
                raise
            if error.is_end_of_namespace and action.pod is not None and action.pod.is_held:
                await self._release_pod(key, action.pod)  # the run is deleted after its pods
            self._requests.refused(view.run, action.target.name, "RecordRefused", error.message)
        else:
            self._store.accepted(view.run)

    async def _create_record(self, key: Key, view: View, action: WriteRecord) -> None:
        response = await self._complete(key, view, action)
        printed = await self._printed(key, view, action)
        manifest = record_builder.new(view.run, action, response, self._requests.clock(), printed)
        record = await self._post_record(key, view, manifest)
        self._payloads.keep(record, manifest["response"])

    async def _post_record(self, key: Key, view: View, manifest: dict[str, Any]) -> Record:
        """Create a record, unless the run has made progress.

        The cache may be old: then the record may have existed, with the real answer, and have been deleted since as one
        of too many. That happens only after the status contains its answer, which a live read shows. The cache cannot
        be old if no other replica can have processed the run.

        Raises:
            ConflictError: the run has made progress, which the cache has now.
        """
        if not (view.creates_alone and self._leads()):
            run = await self._requests.refresh_run(key, view.run.metadata.uid)
            if run is None or run.metadata.uid != view.run.metadata.uid or run.status != view.run.status:
                raise ConflictError(409, "Conflict", f"TaskRun {key.name} has changed")
        body = await self._requests.write(
            "create_record", self._requests.client.create(TASK_ITERATIONS, key.namespace, manifest)
        )
        record = _decode_record(body)
        self._store.records.apply(record)
        return record

    def _leads(self) -> bool:
        try:
            self._lease.require()
        except PodrelayError:
            return False
        return True

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
        patch = record_builder.patch(msgspec.json.decode(body), action, self._requests.clock(), printed)
        written = await self._requests.write(
            "patch_record",
            self._requests.client.patch(TASK_ITERATIONS, key.namespace, name, patch, content_type=JSON_PATCH),
        )
        self._store.records.apply(_decode_record(written))

    async def _printed(self, key: Key, view: View, action: WriteRecord) -> dict[str, Any] | None:
        if not self._reads_logs or (view.definition is not None and not view.definition.spec.record_logs):
            return None
        return await pod_logs.of(self._requests.client, key.namespace, action.pod)

    async def _refresh_record(self, key: Key, view: View, name: str) -> Record | None:
        record = await self._get_record(key, name)
        if record is None:
            return None
        if not view.owns(record):
            message = f"TaskIteration {name} already exists and does not belong to this run; delete it"
            self._requests.refused(view.run, name, "NameTaken", message)
            return None
        self._store.records.restore(record)
        return record

    async def _complete(self, key: Key, view: View, action: WriteRecord) -> StorableResponse:
        """Return the response with the input and output so far, which a pod that reports by message need not repeat."""
        response = action.response
        if action.pod is None or not action.pod.reports_by_message:
            return response
        # Which signals its answer has consumed is fixed: all that it was given, but none with an error.
        consumed = () if response.status == "error" else action.pod.signals
        response = msgspec.structs.replace(response, signals=consumed)
        has_state = action.target.state is not None or action.target.checkpoint is not None
        if response.status != "continue" and (response.output is not None or not has_state):
            return response
        try:
            state = await self._payloads.state_for(key, view, action.target)
        except StateGoneError as error:
            if response.status != "continue":
                return response
            return termination_message.refused(
                f"{error}; it contained the state that this answer is based on", error.reason
            )
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
            now = self._requests.clock()
            self._store.confirm_silent(view.run, Silence(action.record, action.heartbeat_at, now, now))

    async def _get_record(self, key: Key, name: str) -> Record | None:
        body = await self._read_record(key, name)
        return _decode_record(body) if body is not None else None

    async def _read_record(self, key: Key, name: str) -> bytes | None:
        try:
            return await self._requests.client.get(TASK_ITERATIONS, key.namespace, name)
        except NotFoundError:
            return None

    async def _adopt_record(self, key: Key, view: View, action: AdoptRecord) -> None:
        about = action.record.metadata
        owners = [pod_builder.owner_reference(view.run, controller=False)]
        patch = {
            "metadata": {"uid": about.uid, "resourceVersion": about.resource_version, "ownerReferences": owners},
        }
        try:
            body = await self._requests.write(
                "adopt_record", self._requests.client.patch(TASK_ITERATIONS, key.namespace, about.name, patch)
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
            await self._requests.write(
                "delete_record",
                self._requests.client.delete(TASK_ITERATIONS, key.namespace, action.name, uid=action.uid),
            )
        self._store.records.forget(key, action.name, action.uid)
