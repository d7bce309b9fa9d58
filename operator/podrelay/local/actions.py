"""Carries out what the planner wants, on the API server in memory: one function for each action of `reconciler.view`.

It does what the operator's executor does, without what only a network, a second operator or a stranger can do to it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from podrelay.api import names
from podrelay.local.api import PODS, MemoryApi
from podrelay.local.errors import RefusedError
from podrelay.reconciler import inputs, pods, records
from podrelay.reconciler.objects import Pod, Record
from podrelay.reconciler.results import Result, add_result, result_in, status_patch
from podrelay.reconciler.store import Key, Store
from podrelay.reconciler.view import (
    AbortChild,
    Action,
    AdoptRecord,
    AdoptRun,
    AnnotateRun,
    ClaimRecord,
    ConfirmAbsent,
    ConfirmChildren,
    ConfirmGone,
    ConfirmLost,
    ConfirmSilent,
    CreatePod,
    DeletePod,
    DeleteRecord,
    DeleteRun,
    EndPod,
    InputFacts,
    OpenGate,
    Plan,
    ReadInput,
    ReadRecord,
    Refusal,
    ReleasePod,
    ReturnSlot,
    Silence,
    TakeSlot,
    View,
    WriteRecord,
)

_RETRY_REFUSED_AFTER: Final = 60.0
"""Seconds. What is refused here is refused by a template, which does not change while it runs."""


class Actions:
    """The operator's writes.

    Args:
        api: where they go.
        store: learns what cannot be seen from the changes of objects alone.
        now: returns the current time, aware, UTC.
    """

    def __init__(self, api: MemoryApi, store: Store, now: Callable[[], datetime]) -> None:
        self._api = api
        self._store = store
        self._now = now

    def carry_out(self, key: Key, view: View, action: Action) -> None:
        """Do one thing. Plan again afterwards, whatever came of it."""
        HANDLERS[type(action)](self, key, view, action)

    def write_status(self, key: Key, view: View, plan: Plan) -> None:
        """Write the status that `plan` wants."""
        wanted = msgspec.to_builtins(plan.status)
        if plan.payload_from:
            add_result(wanted, plan.payload_from, self._result(key, plan.payload_from))
        if plan.error_data is not None:
            wanted["error"] = {**wanted["error"], "data": dict(plan.error_data)}
        patch = status_patch(view.run, msgspec.to_builtins(view.run.status), wanted)
        # Somebody (a task that aborts, a second thread) may have changed the run since: then it is planned again.
        _unless_changed(lambda: self._api.patch(names.TASK_RUNS, key.namespace, key.name, patch, subresource="status"))

    def _result(self, key: Key, record: str) -> Result:
        stored = self._find(names.TASK_ITERATIONS, key, record)
        return result_in((stored or {}).get("response") or {})

    def _find(self, plural: str, key: Key, name: str) -> dict[str, Any] | None:
        try:
            return self._api.get(plural, key.namespace, name)
        except RefusedError:
            return None

    # --- before a pod -----------------------------------------------------------------------------------------------

    def _read_input(self, key: Key, view: View, _action: ReadInput) -> None:
        assert view.definition is not None  # noqa: S101 - the planner has looked
        run = self._find(names.TASK_RUNS, key, key.name) or {"spec": {}}
        concurrency = view.definition.spec.concurrency
        value = inputs.concurrency_key(run["spec"].get("input") or {}, concurrency.key) if concurrency else None
        # Whether the input fits, the runner finds out: it has the models that the schema was made from.
        self._store.input_read(view.run, view.definition, InputFacts(concurrency_key=value))

    def _take_slot(self, _key: Key, view: View, action: TakeSlot) -> None:
        self._store.take_slot(view.run, action.value)

    def _return_slot(self, _key: Key, view: View, _action: ReturnSlot) -> None:
        self._store.return_slot(view.run)

    # --- parents and children ---------------------------------------------------------------------------------------

    def _confirm_children(self, _key: Key, view: View, action: ConfirmChildren) -> None:
        self._store.confirm_children(view.run, action.record)  # changes are seen in the order in which they happened

    def _abort_child(self, key: Key, _view: View, action: AbortChild) -> None:
        patch = {"spec": {"abort": {"message": action.message, "cascade": True}}}
        _unless_changed(lambda: self._api.patch(names.TASK_RUNS, key.namespace, action.child.name, patch))

    def _adopt_run(self, key: Key, view: View, action: AdoptRun) -> None:
        owner = pods.owner_reference_to(action.parent.name, action.parent.uid)
        patch = {"metadata": {"resourceVersion": view.run.metadata.resource_version, "ownerReferences": [owner]}}
        _unless_changed(lambda: self._api.patch(names.TASK_RUNS, key.namespace, key.name, patch))

    # --- pods -------------------------------------------------------------------------------------------------------

    def _create_pod(self, key: Key, view: View, action: CreatePod) -> None:
        assert view.definition is not None  # noqa: S101 - the planner has looked
        try:
            manifest = pods.build(view.run, view.definition, action.target)
        except pods.TemplateError as error:
            now = self._now()
            message = f"TaskDefinition {view.run.spec.definition}: {error}"
            retry_at = datetime.fromtimestamp(now.timestamp() + _RETRY_REFUSED_AFTER, now.tzinfo)
            self._store.refused(view.run, Refusal(action.target.name, error.reason, message, now, retry_at))
        else:
            del manifest["metadata"]["finalizers"]  # nothing goes unseen here
            self._api.create(PODS, key.namespace, manifest)
            self._store.accepted(view.run)

    def _confirm_gone(self, key: Key, view: View, action: ConfirmGone) -> None:
        pod = self._find(PODS, key, action.name)
        if pod is None or pod["metadata"]["uid"] != action.uid:
            self._store.confirm_gone(view.run, action.name, action.uid)
        else:
            self._store.pods.restore(msgspec.convert(pod, Pod))

    def _confirm_absent(self, _key: Key, view: View, action: ConfirmAbsent) -> None:
        self._store.confirm_absent(view.run, action.name)  # changes are seen in the order in which they happened

    def _release_pod(self, key: Key, _view: View, action: ReleasePod) -> None:
        patch = {"metadata": {"finalizers": None}}
        _unless_changed(lambda: self._api.patch(PODS, key.namespace, action.pod.metadata.name, patch))

    def _annotate_run(self, key: Key, view: View, action: AnnotateRun) -> None:
        about = view.run.metadata
        patch = {
            "metadata": {"resourceVersion": about.resource_version, "annotations": {action.annotation: action.value}}
        }
        _unless_changed(lambda: self._api.patch(names.TASK_RUNS, key.namespace, key.name, patch))

    def _adopt_record(self, key: Key, view: View, action: AdoptRecord) -> None:
        owners = [pods.owner_reference(view.run, controller=False)]
        patch = {"metadata": {"ownerReferences": owners}}
        _unless_changed(
            lambda: self._api.patch(names.TASK_ITERATIONS, key.namespace, action.record.metadata.name, patch)
        )

    def _open_gate(self, key: Key, _view: View, action: OpenGate) -> None:
        gates = [{"name": gate.name} for gate in action.pod.spec.scheduling_gates if gate.name != names.CLAIM_GATE]
        self._api.patch(PODS, key.namespace, action.pod.metadata.name, {"spec": {"schedulingGates": gates or None}})

    def _end_pod(self, key: Key, _view: View, action: EndPod) -> None:
        metadata = action.pod.metadata
        annotations = {names.ANNOTATION_ENDING_SINCE: self._now().isoformat()}
        if action.reason is not None:
            annotations[names.ANNOTATION_ENDING_REASON] = action.reason
        patch = {
            "metadata": {"resourceVersion": metadata.resource_version, "annotations": annotations},
            "spec": {"activeDeadlineSeconds": 1},
        }
        _unless_changed(lambda: self._api.patch(PODS, key.namespace, metadata.name, patch))

    def _delete_pod(self, key: Key, view: View, action: DeletePod) -> None:
        """Delete a pod as the API server does: at once if no kubelet has it or it has ended, else when it has."""
        pod = self._find(PODS, key, action.name)
        if pod is None or pod["metadata"]["uid"] != action.uid:
            return
        version = action.resource_version
        if pod["spec"].get("nodeName") is None or pod["status"].get("phase") in {"Succeeded", "Failed"}:
            _unless_changed(lambda: self._api.delete(PODS, key.namespace, action.name, uid=action.uid, version=version))
            self._store.confirm_gone(view.run, action.name, action.uid)
        elif "deletionTimestamp" not in pod["metadata"]:
            grace = pod["spec"]["terminationGracePeriodSeconds"]
            until = datetime.fromtimestamp(self._now().timestamp() + grace, self._now().tzinfo)
            deletion = {"deletionTimestamp": until.isoformat(), "deletionGracePeriodSeconds": grace}
            if version is not None:
                deletion["resourceVersion"] = version
            _unless_changed(lambda: self._api.patch(PODS, key.namespace, action.name, {"metadata": deletion}))

    # --- records and runs -------------------------------------------------------------------------------------------

    def _write_record(self, key: Key, view: View, action: WriteRecord) -> None:
        stored, name = self._find(names.TASK_ITERATIONS, key, action.target.name), action.target.name
        if stored is None:
            manifest = msgspec.to_builtins(records.new(view.run, action, action.response, self._now()))
            self._api.create(names.TASK_ITERATIONS, key.namespace, manifest)
        else:
            patch = msgspec.to_builtins(records.patch(stored, action, self._now()))
            _unless_changed(lambda: self._api.patch(names.TASK_ITERATIONS, key.namespace, name, patch))
        self._store.accepted(view.run)

    def _claim_record(self, key: Key, view: View, action: ClaimRecord) -> None:
        manifest = msgspec.to_builtins(records.claim(view.run, action, self._now()))
        self._api.create(names.TASK_ITERATIONS, key.namespace, manifest)

    def _confirm_lost(self, key: Key, view: View, action: ConfirmLost) -> None:
        self._reread(key, action.record)
        if self._find(names.TASK_ITERATIONS, key, action.record) is None:
            self._store.confirm_lost(view.run, action.record)

    def _read_record(self, key: Key, view: View, action: ReadRecord) -> None:
        self._reread(key, action.record)
        self._store.confirm_settled(view.run, action.record)

    def _confirm_silent(self, key: Key, view: View, action: ConfirmSilent) -> None:
        record = self._reread(key, action.record)
        if record is None or record.heartbeat_at == action.heartbeat_at:
            now = self._now()
            self._store.confirm_silent(view.run, Silence(action.record, action.heartbeat_at, now, now))

    def _reread(self, key: Key, name: str) -> Record | None:
        stored = self._find(names.TASK_ITERATIONS, key, name)
        if stored is None:
            return None
        record = msgspec.convert(stored, Record)
        self._store.records.restore(record)
        return record

    def _delete_record(self, key: Key, _view: View, action: DeleteRecord) -> None:
        _unless_changed(lambda: self._api.delete(names.TASK_ITERATIONS, key.namespace, action.name, uid=action.uid))

    def _delete_run(self, key: Key, _view: View, action: DeleteRun) -> None:
        _unless_changed(
            lambda: self._api.delete(
                names.TASK_RUNS, key.namespace, key.name, uid=action.uid, version=action.resource_version
            )
        )


def _unless_changed(write: Callable[[], Any]) -> None:
    """Write, but leave it if the object has changed or gone meanwhile: what follows from that is planned anew."""
    try:
        write()
    except RefusedError as error:
        if error.status not in {404, 409}:
            raise


HANDLERS: Final[dict[type[Action], Callable[[Actions, Key, View, Any], None]]] = {
    ReadInput: Actions._read_input,
    TakeSlot: Actions._take_slot,
    ReturnSlot: Actions._return_slot,
    ConfirmChildren: Actions._confirm_children,
    AbortChild: Actions._abort_child,
    AdoptRun: Actions._adopt_run,
    CreatePod: Actions._create_pod,
    ConfirmGone: Actions._confirm_gone,
    ConfirmAbsent: Actions._confirm_absent,
    ReleasePod: Actions._release_pod,
    AnnotateRun: Actions._annotate_run,
    AdoptRecord: Actions._adopt_record,
    ConfirmLost: Actions._confirm_lost,
    ReadRecord: Actions._read_record,
    ConfirmSilent: Actions._confirm_silent,
    OpenGate: Actions._open_gate,
    EndPod: Actions._end_pod,
    DeletePod: Actions._delete_pod,
    WriteRecord: Actions._write_record,
    ClaimRecord: Actions._claim_record,
    DeleteRecord: Actions._delete_record,
    DeleteRun: Actions._delete_run,
}
"""Every action that the planner knows; a test holds this complete."""
