"""The actions on pods: create, confirm by a live read, open the gate, end, delete and release."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from podrelay.api import names
from podrelay.kube.api import STRATEGIC_MERGE_PATCH, WRITE_TIMEOUT_SECONDS
from podrelay.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    InvalidError,
    NotFoundError,
    TransportError,
)
from podrelay.kube.resources import PODS, Key
from podrelay.operator import object_rules
from podrelay.operator.executor import pod_builder
from podrelay.operator.executor.payloads import Payloads, StateGoneError
from podrelay.operator.executor.requests import Requests
from podrelay.operator.executor.signals import SignalActions
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import (
    Action,
    ConfirmAbsent,
    ConfirmGone,
    CreatePod,
    DeletePod,
    EndPod,
    OpenGate,
    ReleasePod,
    Target,
)
from podrelay.operator.pods import Pod
from podrelay.operator.rbac import Permission
from podrelay.operator.view import Refusal, View

PERMISSIONS: Final = (Permission("", ("pods",), ("get", "create", "patch", "delete")),)

TOO_LATE: Final = "TooLate"
QUOTA_EXCEEDED: Final = "QuotaExceeded"
POD_FORBIDDEN: Final = "PodForbidden"
"""Also for a service account that does not exist."""

_decode_pod = msgspec.json.Decoder(Pod).decode


class Lease(Protocol):
    """Shows whether this process is the leader."""

    def require(self) -> None:
        """Return if this process holds the Lease for longer than a request can take.

        Raises:
            PodrelayError: it does not.
        """

    def good_until(self) -> datetime | None:
        """Return until when, by the API server's clock, this process surely is the leader; None if that is unknown."""


class PodActions:
    """Carries out the actions on pods.

    Args:
        requests: sends requests to the API server.
        payloads: reads the state that a pod starts from.
        lease: must be held while pods are created.
        signals: reads the signals that a pod is given.
    """

    def __init__(self, requests: Requests, payloads: Payloads, lease: Lease, signals: SignalActions) -> None:
        self._signals = signals
        self._requests = requests
        self._store = requests.store
        self._payloads = payloads
        self._lease = lease

    @property
    def handlers(self) -> Mapping[type[Action], Callable[[Key, View, Any], Awaitable[None]]]:
        """The handler of each kind of action, called by `Executor.carry_out`."""
        return {
            CreatePod: self._create_pod,
            ConfirmGone: self._confirm_gone,
            ConfirmAbsent: self._confirm_absent,
            OpenGate: self._open_gate,
            EndPod: self._end_pod,
            DeletePod: self._delete_pod,
            ReleasePod: self._release_pod,
        }

    async def _create_pod(self, key: Key, view: View, action: CreatePod) -> None:
        assert view.definition is not None  # noqa: S101 - the planner has checked it
        name = action.target.name
        given = await self._signals.give(key, action.target.signals or ())
        if given is None:
            return  # the cache has the current state now, with which the run is planned again
        try:
            manifest = pod_builder.build(
                view.run,
                view.definition,
                action.target,
                await self._input_for_message(key, view, action.target),
                [signal.content for signal in given],
                view.run.metadata.annotations.created_by or (view.parent.created_by if view.parent else None),
            )
        except (
            pod_builder.TemplateError,
            pod_builder.InputTooLargeError,
            pod_builder.OverridesNotAllowedError,
        ) as error:
            if action.target.after:
                self._store.note_not_ahead(view.run, name)
                return
            self._requests.refused(view.run, name, error.reason, f"TaskDefinition {view.run.spec.definition}: {error}")
            return
        except StateGoneError as error:
            self._store.confirm_lost(view.run, error.record)
            return
        has_deadline = self._set_deadline(view, manifest)
        starts_unclaimed = action.may_start_unclaimed and has_deadline
        if starts_unclaimed:
            pod_builder.let_start_unclaimed(manifest)
        lease, timeout = self._lease.require, self._store.creations.request_seconds
        try:
            body = await self._requests.write(
                "create_pod",
                self._requests.client.create(
                    PODS, key.namespace, manifest, strict=True, timeout_seconds=timeout, before=lease
                ),
            )
        except AlreadyExistsError:
            await self._adopt_pod(key, view, action.target)
        except (ApiError, TransportError, TimeoutError) as error:
            if starts_unclaimed and _may_have_effect(error):
                self._store.creation_unanswered(view.run)
            await self._not_created(key, view, action.target, manifest, error)
        else:
            self._store.pods.apply(_decode_pod(body))
            self._store.accepted(view.run)

    async def _not_created(
        self, key: Key, view: View, target: Target, manifest: dict[str, Any], error: Exception
    ) -> None:
        """Note why a pod was not created, and when to try again.

        Raises:
            the same errors as `_creation_failed`.
        """
        name = target.name
        if target.after:
            # Such as a quota that has room for one pod only. It is created when the pod before it has ended.
            self._store.note_not_ahead(view.run, name)
        elif _came_too_late(manifest, error):
            now, before = self._requests.clock(), self._requests.refusal_so_far(view.run, name)
            since = before.since if before is not None else now
            self._store.refused(view.run, Refusal(name, TOO_LATE, str(error), since, now))
        elif isinstance(error, ApiError) and (not error.is_transient or error.status == 500):
            # This includes 500: a user must see that an admission webhook is broken.
            self._requests.refused(view.run, name, _refusal(error), error.message)
        else:
            await self._creation_failed(key, view, target, error)

    def _set_deadline(self, view: View, manifest: dict[str, Any]) -> bool:
        """Set the time until which the API server may create the pod, so that a delayed request creates nothing.

        Mutating admission may take longer than the Lease is valid. A pod that was refused for that reason is created
        without a deadline. Return whether there is one.
        """
        name = manifest["metadata"]["name"]
        refusal, deadline = self._requests.refusal_so_far(view.run, name), self._lease.good_until()
        if deadline is None or (refusal is not None and refusal.reason == TOO_LATE):
            return False
        manifest["metadata"]["annotations"][names.ANNOTATION_GOOD_UNTIL] = f"{deadline:%Y-%m-%dT%H:%M:%SZ}"
        return True

    async def _input_for_message(self, key: Key, view: View, target: Target) -> dict[str, Any] | None:
        """Return the input of a pod that cannot read its state itself; None for other pods."""
        if not object_rules.reports_by_message(view.definition):
            return None
        return (await self._payloads.state_for(key, view, target)).input

    async def _adopt_pod(self, key: Key, view: View, target: Target) -> None:
        """Adopt the run's pod, which was created before a crash or a lost answer, or report that the name is taken."""
        name = target.name
        pod = await self._get_pod(key, name)
        if pod is None:
            return
        owner = pod.metadata.owner_run()
        if owner is not None and owner.uid == view.run.metadata.uid:
            self._store.pods.restore(pod)
            self._store.accepted(view.run)
        elif target.after:
            self._store.note_not_ahead(view.run, name)
        else:
            self._requests.refused(
                view.run, name, "NameTaken", f"pod {name} exists and does not belong to this run; delete it"
            )

    async def _creation_failed(self, key: Key, view: View, target: Target, error: Exception) -> None:
        """Report a failure if the API server fails for this pod only, and not for the first time.

        Raises:
            the error: it is the first one. If the API server does not answer other requests either, their error.
        """
        name = target.name
        pod = await self._get_pod(key, name)  # it may have been created nevertheless
        if pod is not None:
            await self._adopt_pod(key, view, target)
            return
        reason, message = _failure_in_words(error)
        before = self._requests.refusal_so_far(view.run, name)
        if before is None:
            now = self._requests.clock()
            self._store.refused(view.run, Refusal(name, reason, message, now, now))
            raise error
        at_least = error.retry_after or 0.0 if isinstance(error, ApiError) else 0.0
        self._requests.refused(view.run, name, reason, message, at_least)

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
        """Restore the label (for the watch) and the owner of a pod whose UID shows that it is the run's."""
        patch: dict[str, Any] = {}
        if names.LABEL_RUN not in pod.metadata.labels:
            patch["labels"] = {names.LABEL_RUN: key.name}
        owner = pod.metadata.owner_run()
        if owner is None or owner.uid != view.run.metadata.uid:
            is_free = not any(reference.controller for reference in pod.metadata.owner_references)
            patch["ownerReferences"] = [pod_builder.owner_reference(view.run, controller=is_free)]
        if not patch:
            return pod
        body = await self._requests.write(
            "reclaim_pod",
            self._requests.client.patch(
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
            body = await self._requests.write(
                "open_gate", self._requests.client.patch(PODS, key.namespace, name, patch)
            )
        except (ConflictError, InvalidError, NotFoundError) as error:
            await self._refresh_pod(key, view.run, name, uid)
            if isinstance(error, InvalidError) and pod in self._store.pods.of(key):
                raise  # the patch was refused, and not because of another UID
        else:
            self._store.pods.apply(_decode_pod(body))

    async def _end_pod(self, key: Key, view: View, action: EndPod) -> None:
        pod = action.pod
        annotations = {names.ANNOTATION_ENDING_SINCE: self._requests.clock().isoformat()}
        if action.reason is not None:
            annotations[names.ANNOTATION_ENDING_REASON] = action.reason
        patch = {
            "metadata": {"resourceVersion": pod.metadata.resource_version, "annotations": annotations},
            "spec": {"activeDeadlineSeconds": 1},
        }
        name = pod.metadata.name
        try:
            body = await self._requests.write("end_pod", self._requests.client.patch(PODS, key.namespace, name, patch))
        except (ConflictError, NotFoundError):
            await self._refresh_pod(key, view.run, name, pod.metadata.uid)
        else:
            self._store.confirm_alive(view.run, _decode_pod(body))

    async def _delete_pod(self, key: Key, view: View, action: DeletePod) -> None:
        with contextlib.suppress(ConflictError, NotFoundError):
            await self._requests.write(
                "delete_pod",
                self._requests.client.delete(
                    PODS, key.namespace, action.name, uid=action.uid, resource_version=action.resource_version
                ),
            )
        await self._refresh_pod(key, view.run, action.name, action.uid)

    async def release_pod(self, key: Key, pod: Pod) -> None:
        """Remove the operator's finalizer from a pod.

        Raises:
            the same errors as `Executor.carry_out`.
        """
        about = pod.metadata
        others = [finalizer for finalizer in about.finalizers if finalizer != names.ANSWER_FINALIZER]
        patch = {
            "metadata": {"uid": about.uid, "resourceVersion": about.resource_version, "finalizers": others or None}
        }
        try:
            body = await self._requests.write(
                "release_pod", self._requests.client.patch(PODS, key.namespace, about.name, patch)
            )
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
            # Without finalizers, it still exists until its kubelet has completed the deletion.
            if others or about.deletion_timestamp is None or about.deletion_grace_period_seconds:
                self._store.pods.apply(released)
            else:
                self._store.pods.remove(released, was_seen=False)  # only the finalizer has kept it

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
            return _decode_pod(await self._requests.client.get(PODS, key.namespace, name))
        except NotFoundError:
            return None


def _may_have_effect(error: Exception) -> bool:
    """Return whether a request that failed in this way may have created the pod, or may still do so."""
    return not isinstance(error, ApiError) or error.status >= 500


def _came_too_late(manifest: dict[str, Any], error: Exception) -> bool:
    """Return whether the API server refused a pod because of its deadline."""
    has_deadline = names.ANNOTATION_GOOD_UNTIL in manifest["metadata"]["annotations"]
    return has_deadline and isinstance(error, InvalidError) and names.FENCE_POLICY in error.message


def _refusal(error: ApiError) -> str:
    if error.is_quota:
        return QUOTA_EXCEEDED
    return {403: POD_FORBIDDEN, 404: "NamespaceNotFound", 500: "InternalError"}.get(error.status, "PodInvalid")


def _failure_in_words(error: Exception) -> tuple[str, str]:
    """Return the reason and the message if the API server did not say whether it has created a pod."""
    advice = "it answers other requests, so check the admission webhooks for pods"
    match error:
        case ApiError(status=429):
            return "TooManyRequests", f"the API server postpones the pod: {error.message}; the operator tries again"
        case ApiError(status=504) | TimeoutError():
            words = f"the API server did not answer the request to create the pod within {WRITE_TIMEOUT_SECONDS:g} s"
            return "AdmissionTimeout", f"{words}; {advice}"
        case ApiError():
            return "ServiceUnavailable", f"the API server cannot create the pod: {error}; {advice}"
        case _:
            return "ServiceUnavailable", f"the API server closed the connection instead of creating the pod; {advice}"
