"""Carries plans out: every write to the API server on behalf of a run is made here, one at a time for each run.

An answer that shows that the plan was made on an old view (a conflict, an object that is no more) is not an error: the
store learns the truth and the run is planned again. Whatever is written comes back into the store at once.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from podrelay.api import limits, names
from podrelay.kube.client import JSON_PATCH, PODS, Client
from podrelay.kube.errors import AlreadyExistsError, ApiError, ConflictError, InvalidError, NotFoundError
from podrelay.reconciler import pods
from podrelay.reconciler.lease import LeaderElection
from podrelay.reconciler.metrics import WRITES
from podrelay.reconciler.objects import Pod, Record, StorableResponse, TaskRun
from podrelay.reconciler.permissions import Permission
from podrelay.reconciler.resources import TASK_ITERATIONS, TASK_RUNS
from podrelay.reconciler.store import Key, Store
from podrelay.reconciler.view import (
    Action,
    ConfirmGone,
    CreatePod,
    DeletePod,
    DeleteRun,
    EndPod,
    Plan,
    StartFailure,
    View,
    WriteRecord,
)

log = logging.getLogger(__name__)

PERMISSIONS: Final = (
    Permission("", ("pods",), ("get", "create", "patch", "delete")),
    Permission(names.GROUP, (names.TASK_RUNS,), ("get", "delete")),
    Permission(names.GROUP, (f"{names.TASK_RUNS}/status",), ("patch",)),
    # The virtual verb `manage` lets the operator write records that are not its own; see the chart's policies.
    Permission(names.GROUP, (names.TASK_ITERATIONS,), ("get", "create", "patch", "manage")),
)

_START_RETRY_SECONDS: Final = (1.0, 60.0)

_decode_pod = msgspec.json.Decoder(Pod).decode
_decode_record = msgspec.json.Decoder(Record).decode
_decode_run = msgspec.json.Decoder(TaskRun).decode


class Executor:
    """Writes to the API server what the planner wants.

    Args:
        client: the API server.
        store: learns every answer.
        lease: must be ours while pods are created.
        clock: returns the current time, aware, UTC.
        die_before_write: for tests of crashes: the process kills itself right before its n-th write.
        die_after_write: the same, when the API server has answered the n-th write and nobody has seen the answer yet.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        lease: LeaderElection,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        die_before_write: int | None = None,
        die_after_write: int | None = None,
    ) -> None:
        self._client = client
        self._store = store
        self._lease = lease
        self._clock = clock
        self._die_before_write = die_before_write
        self._die_after_write = die_after_write
        self._writes = 0

    async def carry_out(self, key: Key, view: View, action: Action) -> None:
        """Do one thing. Plan again afterwards, whatever came of it.

        Raises:
            ApiError: the API server refused for a reason that has nothing to do with an old view.
            LeadershipLostError: the Lease is not ours any more.
            TimeoutError, aiohttp.ClientError: no answer; the write may or may not have happened.
        """
        match action:
            case CreatePod():
                await self._create_pod(key, view, action)
            case ConfirmGone():
                await self._confirm_gone(key, action)
            case EndPod():
                await self._end_pod(key, action.pod)
            case DeletePod():
                await self._delete_pod(key, action)
            case WriteRecord():
                await self._write_record(key, view, action)
            case DeleteRun():
                await self._delete_run(key, view, action)

    async def write_status(self, key: Key, view: View, plan: Plan) -> None:
        """Write the status that `plan` wants, on the version of the run that it was planned on.

        Raises:
            as `carry_out`.
        """
        assert plan.status is not None  # noqa: S101 - the loop has looked
        wanted = msgspec.to_builtins(plan.status)
        if plan.payload_from:
            wanted |= await self._payload(key, plan.payload_from, wanted)
        patch = status_patch(view.run, msgspec.to_builtins(view.run.status), wanted)
        try:
            body = await self._write(
                "status",
                lambda: self._client.patch(
                    TASK_RUNS, key.namespace, key.name, patch, subresource="status", content_type=JSON_PATCH
                ),
            )
        except (ConflictError, InvalidError, NotFoundError) as error:
            run = await self._refresh_run(key, view)
            # A patch made on an old status may not even fit the new one; on the newest it must.
            if isinstance(error, InvalidError) and run is not None and not _has_changed(run, view.run):
                raise
        else:
            self._store.runs.apply(_decode_run(body))

    # --- pods ---------------------------------------------------------------------------------------------------------

    async def _create_pod(self, key: Key, view: View, action: CreatePod) -> None:
        assert view.definition is not None  # noqa: S101 - the planner has looked
        name = action.target.name
        try:
            manifest = pods.build(view.run, view.definition, action.target)
        except pods.TemplateError as error:
            self._start_failed(key, name, error.reason, f"TaskDefinition {view.run.spec.definition}: {error}")
            return
        self._lease.require()
        try:
            body = await self._write("create_pod", lambda: self._client.create(PODS, key.namespace, manifest))
        except AlreadyExistsError:
            await self._adopt_pod(key, view, name)
        except ApiError as error:
            if error.is_transient and error.status != 500:
                raise
            # 500 too: an admission webhook that does not work is something that a user has to see.
            self._start_failed(key, name, _refusal(error), error.message)
        else:
            self._store.pods.apply(_decode_pod(body))
            self._store.started(key)

    async def _adopt_pod(self, key: Key, view: View, name: str) -> None:
        """A pod of that name exists: ours, made before a crash or a lost answer, or somebody else's."""
        pod = await self._get_pod(key, name)
        if pod is None:
            return
        owner = pod.metadata.owner_run()
        if owner is not None and owner.uid == view.run.metadata.uid:
            self._store.pods.restore(pod)
            self._store.started(key)
        else:
            self._start_failed(key, name, "NameTaken", f"pod {name} exists and does not belong to this run; delete it")

    def _start_failed(self, key: Key, name: str, reason: str, message: str) -> None:
        now = self._clock()
        before = self._store.start_failure(key)
        shortest, longest = _START_RETRY_SECONDS
        # A run that was suspended since it was refused last has its whole time again.
        goes_on = before is not None and before.pod_name == name and now < before.retry_at + timedelta(seconds=longest)
        since = before.since if before is not None and goes_on else now
        pause = min(longest, max(shortest, (now - since).total_seconds()))
        self._store.start_failed(key, StartFailure(name, reason, message, since, now + timedelta(seconds=pause)))

    async def _confirm_gone(self, key: Key, action: ConfirmGone) -> None:
        pod = await self._get_pod(key, action.name)
        if pod is None or pod.metadata.uid != action.uid:
            self._store.confirm_gone(key, action.name, action.uid, self._clock())
            return
        if names.LABEL_RUN not in pod.metadata.labels:
            # Without its label the pod has left our watch, though not the cluster.
            patch = {"metadata": {"labels": {names.LABEL_RUN: key.name}}}
            body = await self._write("label_pod", lambda: self._client.patch(PODS, key.namespace, action.name, patch))
            pod = _decode_pod(body)
        self._store.pods.restore(pod)

    async def _end_pod(self, key: Key, pod: Pod) -> None:
        since = self._clock().isoformat()
        patch = {
            "metadata": {
                "resourceVersion": pod.metadata.resource_version,
                "annotations": {names.ANNOTATION_ENDING_SINCE: since},
            },
            "spec": {"activeDeadlineSeconds": 1},
        }
        name = pod.metadata.name
        try:
            body = await self._write("end_pod", lambda: self._client.patch(PODS, key.namespace, name, patch))
        except (ConflictError, NotFoundError):
            await self._refresh_pod(key, name, pod.metadata.uid)
        else:
            self._store.pods.apply(_decode_pod(body))

    async def _delete_pod(self, key: Key, action: DeletePod) -> None:
        with contextlib.suppress(ConflictError, NotFoundError):
            await self._write(
                "delete_pod",
                lambda: self._client.delete(
                    PODS, key.namespace, action.name, uid=action.uid, resource_version=action.resource_version
                ),
            )
        await self._refresh_pod(key, action.name, action.uid)

    async def _refresh_pod(self, key: Key, name: str, uid: str) -> None:
        pod = await self._get_pod(key, name)
        if pod is None or pod.metadata.uid != uid:
            self._store.confirm_gone(key, name, uid, self._clock())
        else:
            self._store.pods.restore(pod)

    async def _get_pod(self, key: Key, name: str) -> Pod | None:
        try:
            return _decode_pod(await self._client.get(PODS, key.namespace, name))
        except NotFoundError:
            return None

    # --- records and runs ---------------------------------------------------------------------------------------------

    async def _write_record(self, key: Key, view: View, action: WriteRecord) -> None:
        """Write what a pod could not say itself. Its own response, should there be one after all, comes first."""
        name = action.target.name
        try:
            body = await self._client.get(TASK_ITERATIONS, key.namespace, name)
        except NotFoundError:
            manifest = _new_record(view.run, action, self._clock())
            write = self._write("create_record", lambda: self._client.create(TASK_ITERATIONS, key.namespace, manifest))
        else:
            record = _decode_record(body)
            if record.response is not None or record.pod_uid != action.pod_uid:
                self._store.records.apply(record)
                return
            patch = _record_patch(msgspec.json.decode(body), action, self._clock())
            write = self._write(
                "patch_record",
                lambda: self._client.patch(TASK_ITERATIONS, key.namespace, name, patch, content_type=JSON_PATCH),
            )
        try:
            self._store.records.apply(_decode_record(await write))
        except (ConflictError, AlreadyExistsError, InvalidError):
            # The pod's own response came first, or the record is not what it was.
            self._store.records.apply(_decode_record(await self._client.get(TASK_ITERATIONS, key.namespace, name)))

    async def _payload(self, key: Key, record: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """Return the parts of the status that only the record knows: output and the error's data."""
        try:
            body = await self._client.get(TASK_ITERATIONS, key.namespace, record)
        except NotFoundError:
            return {}
        response = msgspec.json.decode(body).get("response") or {}
        found: dict[str, Any] = {}
        output = response.get("output")
        if output is not None:
            found |= {"output": output} if _is_small(output) else {"outputFrom": record}
        data = (response.get("error") or {}).get("data")
        if data is not None and "error" in wanted and _is_small(data):
            found["error"] = {**wanted["error"], "data": data}
        return found

    async def _delete_run(self, key: Key, view: View, action: DeleteRun) -> None:
        with contextlib.suppress(ConflictError, NotFoundError):
            await self._write(
                "delete_run",
                lambda: self._client.delete(
                    TASK_RUNS, key.namespace, key.name, uid=action.uid, resource_version=action.resource_version
                ),
            )
        await self._refresh_run(key, view)

    async def _refresh_run(self, key: Key, view: View) -> TaskRun | None:
        try:
            run = _decode_run(await self._client.get(TASK_RUNS, key.namespace, key.name))
        except NotFoundError:
            self._store.runs.forget(key, key.name, view.run.metadata.uid)
            return None
        self._store.runs.apply(run)
        return run

    async def _write(self, kind: str, send: Callable[[], Awaitable[bytes]]) -> bytes:
        self._writes += 1
        number = self._writes
        if number == self._die_before_write:
            os.kill(os.getpid(), signal.SIGKILL)
        WRITES.labels(kind).inc()
        try:
            return await send()
        finally:
            if number == self._die_after_write:
                os.kill(os.getpid(), signal.SIGKILL)


def _has_changed(run: TaskRun, before: TaskRun) -> bool:
    return run.metadata.resource_version != before.metadata.resource_version


def status_patch(run: TaskRun, before: dict[str, Any], wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the JSON patch that turns one status into the other, refused with 409 unless `run` is the newest version.

    A JSON patch, because a merge patch would drop nulls inside of payloads.
    """
    patch: list[dict[str, Any]] = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": run.metadata.resource_version}
    ]
    if not before:
        return [*patch, {"op": "add", "path": "/status", "value": wanted}]
    patch += [{"op": "remove", "path": f"/status/{field}"} for field in before if field not in wanted]
    patch += [
        {"op": "add", "path": f"/status/{field}", "value": value}
        for field, value in wanted.items()
        if before.get(field) != value
    ]
    return patch


def _refusal(error: ApiError) -> str:
    if error.is_quota:
        return "QuotaExceeded"
    return {403: "PodForbidden", 404: "NamespaceNotFound", 500: "InternalError"}.get(error.status, "PodInvalid")


def _is_small(payload: dict[str, Any]) -> bool:
    return len(msgspec.json.encode(payload)) <= limits.STATUS_OUTPUT_BYTES


def _left_behind(action: WriteRecord) -> dict[str, Any] | None:
    """Return the answer that the runner could not deliver and put into its termination message, if there is one."""
    terminated = action.pod.task.terminated if action.pod is not None else None
    if terminated is None or not terminated.message.startswith('{"response":'):
        return None
    try:
        response = msgspec.json.decode(terminated.message).get("response")
        msgspec.convert(response, StorableResponse)
    except (msgspec.MsgspecError, AttributeError):
        return None
    return response if isinstance(response, dict) else None


def _response(action: WriteRecord, checkpoint: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] | None = _left_behind(action)
    if response is not None:
        return response
    if action.cause is None:
        response = {"status": "aborted", "message": action.message}
    else:
        response = {"status": "error", "error": {"message": action.message, "code": action.code}}
    if checkpoint.get("output") is not None:
        response["output"] = checkpoint["output"]
    return response


def _record_patch(record: dict[str, Any], action: WriteRecord, now: datetime) -> list[dict[str, Any]]:
    metadata, response = record["metadata"], _response(action, record.get("checkpoint") or {})
    patch: list[dict[str, Any]] = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "add", "path": "/response", "value": response},
        {"op": "add", "path": "/finishedAt", "value": _finished_at(action, now)},
    ]
    if action.cause is not None and _left_behind(action) is None:
        annotations = {**(metadata.get("annotations") or {}), names.ANNOTATION_CAUSE: action.cause}
        patch.append({"op": "add", "path": "/metadata/annotations", "value": annotations})
    if response["status"] != "error" and record.get("checkpoint") is not None:
        # Only what failed is tried again from its checkpoint.
        patch.append({"op": "remove", "path": "/checkpoint"})
    return patch


def _new_record(run: TaskRun, action: WriteRecord, now: datetime) -> dict[str, Any]:
    target, pod = action.target, action.pod
    metadata: dict[str, Any] = {
        "name": target.name,
        "namespace": run.metadata.namespace,
        "labels": pods.labels(run, target),
        "ownerReferences": [pods.owner_reference(run, controller=False)],
    }
    if action.cause is not None and _left_behind(action) is None:
        metadata["annotations"] = {names.ANNOTATION_CAUSE: action.cause}
    record: dict[str, Any] = {
        "apiVersion": names.API_VERSION,
        "kind": "TaskIteration",
        "metadata": metadata,
        "runName": run.metadata.name,
        "iteration": target.iteration,
        "try": target.try_,
        "podName": target.name,
        "podUID": action.pod_uid,
        "finishedAt": _finished_at(action, now),
        "response": _response(action, {}),
    }
    if pod is not None and pod.spec.node_name:
        record["nodeName"] = pod.spec.node_name
    terminated = pod.task.terminated if pod is not None else None
    if terminated is not None and terminated.started_at is not None:
        record["startedAt"] = terminated.started_at
    return record


def _finished_at(action: WriteRecord, now: datetime) -> datetime:
    terminated = action.pod.task.terminated if action.pod is not None else None
    return (terminated.finished_at if terminated else None) or now
