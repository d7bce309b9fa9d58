"""The promises about single pods and their records: who may end, delete, release or answer for which pod, and when."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from podrelay.api import hooks as hook_names
from podrelay.api import names
from tests.support.modelapi import FINISHED
from tests.support.relaymodel.processes import Process, has_token

if TYPE_CHECKING:
    from tests.support.relaymodel.world import World

KUBELETS_TAKE: Final = timedelta(seconds=30)
"""A pod that was asked to end is deleted so long after its grace period."""
POD_ENDS: Final = timedelta(minutes=1)
"""A deleted pod that is not gone by then is treated as one on a lost node."""
LONGEST_PAUSE: Final = timedelta(seconds=61)
"""After so long, a pod that was refused is tried again."""
_WAITS: Final = {"Waiting", "WaitingForChildren", "WaitingForSignal", "Suspended", "DefinitionSuspended"}


class PodPromises:
    """Checks each new version of a pod and of a record.

    Args:
        world: the world.
        break_promise: called with the words for each broken promise.
    """

    def __init__(self, world: "World", break_promise: Callable[[str], None]) -> None:
        self._world = world
        self._break = break_promise
        self._pods: dict[str, dict[str, Any]] = {}
        """The last version of each pod, by UID."""
        self._named_at: dict[str, datetime] = {}
        """When a status named a pod for the first time, by UID of the pod."""
        self._answered: set[str] = set()
        """The UIDs of records with an answer."""
        self._max_iterations = 0

    def see_definition(self, obj: dict[str, Any]) -> None:
        """A definition was created or changed."""
        self._max_iterations = max(self._max_iterations, obj["spec"].get("maxIterations", 100))

    def see_status(self, status: dict[str, Any]) -> None:
        """A run has this status."""
        current = status.get("current")
        if current is None or current["podUID"] in self._named_at:
            return
        self._named_at[current["podUID"]] = self._world.api.now
        pod, promises = self._pods.get(current["podUID"]), self._world.promises
        if pod is None or names.ANNOTATION_AFTER not in pod["metadata"]["annotations"]:
            return
        # An operator that is alone has deleted it itself. It does not wait for ever, because the node may be lost.
        deleted = pod["metadata"].get("deletionTimestamp")
        is_overdue = deleted is not None and self._world.api.now >= datetime.fromisoformat(deleted) + POD_ENDS
        is_known = promises.are_slots_certain and current["podUID"] not in promises.taken
        is_held_by_others = "example.com/hold" in (pod["metadata"].get("finalizers") or ())
        if deleted is not None and is_known and not (is_overdue or is_held_by_others):
            self._break(f"{current['podName']} is released although it was deleted while it was held back")

    def see_pod(self, event: str, pod: dict[str, Any]) -> None:
        """A pod of a run was created, changed or removed."""
        uid = pod["metadata"]["uid"]
        before = self._pods.get(uid)
        self._pods[uid] = pod
        if event == "ADDED":
            self._see_new(pod)
        if before is None or event == "DELETED":
            return
        if _is_gated(before) and not _is_gated(pod) and uid not in self._named_at:
            self._break(f"the gate of {pod['metadata']['name']} was removed, and no status has named this pod")
        process = self._world.processes.get(uid)
        if process is None or process.has_ended or process.node in self._world.nodes.ever_lost:
            return
        if "deletionTimestamp" in pod["metadata"] and "deletionTimestamp" not in before["metadata"]:
            self._see_deletion(pod, process)
        if _ending_since(pod) is not None and _ending_since(before) is None:
            self._see_ending(pod, process)

    def _see_new(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        if not hook_names.is_hook_pod(name) and names.iteration_of(name) > self._max_iterations:
            self._break(f"{name} was created, maxIterations is {self._max_iterations}")

    def _see_deletion(self, pod: dict[str, Any], process: Process) -> None:
        """A pod that works is asked to end, and keeps its logs; it is deleted only if that did not help."""
        world, uid = self._world, process.uid
        if uid in world.promises.taken or process.me.after or self._run_of(process) is None:
            return
        since = _ending_since(pod)
        if since is None:
            self._break(f"{process.pod} was deleted while it works, and had not been asked to end")
        elif world.api.now < since + _grace_of(pod) + KUBELETS_TAKE:
            self._break(f"{process.pod} was deleted {world.api.now - since} after it had been asked to end")

    def _see_ending(self, pod: dict[str, Any], process: Process) -> None:
        """A pod that has not answered is ended after its time, which counts from its release."""
        run = self._run_of(process)
        has_other_cause = names.ANNOTATION_ENDING_REASON in pod["metadata"]["annotations"] or process.answered
        if run is None or has_other_cause or self._world.nodes.skew < timedelta() or not process.runs_user_code:
            return
        is_over = run["spec"].get("abort") or run.get("status", {}).get("phase") in FINISHED
        if is_over or "deletionTimestamp" in run["metadata"]:
            return
        since = self._named_at.get(process.uid) if process.me.after else process.started_at
        takes = self._time_of(process, names.ANNOTATION_ITERATION_TIMEOUT)
        if since is not None and self._world.api.now < since + takes - timedelta(seconds=1):
            self._break(f"{process.pod} was ended {self._world.api.now - since} after its release, it had {takes}")

    def see_record(self, event: str, record: dict[str, Any]) -> None:
        """A record was created, changed or deleted: only its pod may answer in it, as long as it can."""
        uid, process = record["metadata"]["uid"], self._world.processes.get(record["podUID"])
        response = record.get("response")
        if event == "DELETED" or response is None or uid in self._answered:
            return
        self._answered.add(uid)
        if process is None or process.answered is not None or process.has_ended or not process.has_begun:
            return
        run = self._run_of(process)
        was_stopped = process.stopping_since is not None or _ending_since(self._pods[process.uid]) is not None
        created = datetime.fromisoformat(self._pods[process.uid]["metadata"]["creationTimestamp"])
        could_not_start = self._world.api.now >= created + self._time_of(process, names.ANNOTATION_PENDING_TIMEOUT)
        if was_stopped or could_not_start or (run is not None and run["spec"].get("abort") is not None):
            return
        if process.node not in self._world.nodes.ever_lost and has_token(self._world.api, process):
            said = response["status"]
            self._break(f"the record of {process.pod} says {said}, and the pod has not answered and still can")

    def see_idle(self) -> None:
        """The operator has done everything that is due: no pod is held back for a run that waits or has ended."""
        for pod in self._world.pods():
            about = pod["metadata"]
            process = self._world.processes.get(about["uid"])
            is_held_back = names.ANNOTATION_AFTER in about["annotations"] and about["uid"] not in self._named_at
            if not is_held_back:
                continue
            has_ended = process.has_ended if process is not None else "nodeName" not in pod["spec"]
            if "deletionTimestamp" in about and has_ended and names.ANSWER_FINALIZER in about.get("finalizers", ()):
                self._break(f"{about['name']} was deleted while it was held back, and has ended, but is kept")
            if "deletionTimestamp" in about or (process is not None and process.has_ended):
                continue
            owner = about["ownerReferences"][0]
            run = self._world.api.objects.get(("taskruns", owner["name"]))
            if run is None or run["metadata"]["uid"] != owner["uid"] or "deletionTimestamp" in run["metadata"]:
                continue
            status = run.get("status", {})
            waits = status.get("current") is None and status.get("reason") in _WAITS
            if (status.get("iterations") or 0) >= names.iteration_of(about["name"]):
                continue  # an operator with an old view has created it again; it ends as soon as it starts
            if waits or status.get("phase") in FINISHED:
                self._break(f"{about['name']} is held back, its run is {status['phase']} ({status['reason']})")

    def was_given_back(self, uid: str) -> bool:
        """Return whether a pod was created ahead, and deleted; it is replaced if something keeps it for too long."""
        about = self._pods[uid]["metadata"] if uid in self._pods else {}
        return names.ANNOTATION_AFTER in about.get("annotations", {}) and "deletionTimestamp" in about

    def is_name_free(self, run: str, run_uid: str) -> bool:
        """Return whether nothing else has had the name of a pod of this run for some time."""
        now = self._world.api.now
        for plural, _, obj, _ in self._world.api.events:
            about = obj["metadata"]
            if plural not in {"pods", "taskiterations"} or names.run_of(about["name"]) != run:
                continue
            removed = self._world.api.removed_at.get(about["uid"])
            is_foreign = all(owner["uid"] != run_uid for owner in about.get("ownerReferences") or ())
            if is_foreign and (removed is None or now <= removed + LONGEST_PAUSE):
                return False
        return True

    def _time_of(self, process: Process, annotation: str) -> timedelta:
        return timedelta(seconds=int(self._pods[process.uid]["metadata"]["annotations"][annotation]))

    def _run_of(self, process: Process) -> dict[str, Any] | None:
        run = self._world.api.objects.get(("taskruns", process.run))
        return run if run is not None and run["metadata"]["uid"] == process.run_uid else None


def _is_gated(pod: dict[str, Any]) -> bool:
    return any(gate["name"] == names.CLAIM_GATE for gate in pod["spec"].get("schedulingGates") or ())


def _ending_since(pod: dict[str, Any]) -> datetime | None:
    since = (pod["metadata"].get("annotations") or {}).get(names.ANNOTATION_ENDING_SINCE)
    return datetime.fromisoformat(since) if since is not None else None


def _grace_of(pod: dict[str, Any]) -> timedelta:
    return timedelta(seconds=pod["spec"].get("terminationGracePeriodSeconds", 30))
