"""Nodes and their containers: kubelets, the pod garbage collector, and the garbage collector of owned objects."""

from datetime import datetime, timedelta
from typing import Any

from podrelay.api import names
from podrelay.kube.errors import NotFoundError
from tests.support.modelapi import ModelApi
from tests.support.relaymodel import processes
from tests.support.relaymodel.processes import Process


class Nodes:
    """All nodes. New pods are started on the newest node; older nodes were cut off, or are back.

    Args:
        api: the API server.
        skew: how wrong the nodes' clocks are.
    """

    def __init__(self, api: ModelApi, skew: timedelta = timedelta()) -> None:
        self.api = api
        self.skew = skew
        self.processes: dict[str, Process] = {}
        self.lost: set[str] = set()
        self.forgets_orphans = False
        """Whether kubelets do not end the containers of pods that were deleted by force."""
        self.ever_lost: set[str] = set()
        self._newest = 1
        self._unreported: dict[str, dict[str, Any]] = {}
        """By pod UID: the end of the pod, which its kubelet reports a moment after that of the container."""

    def clock(self) -> datetime:
        """The time of the nodes' clocks."""
        return self.api.now + self.skew

    def is_lost(self, process: Process) -> bool:
        return process.node in self.lost

    def pods(self) -> list[dict[str, Any]]:
        return self.api.find("pods")

    def pod_of(self, process: Process) -> dict[str, Any] | None:
        """Return the pod of a container, if it still exists."""
        pod = self.api.objects.get(("pods", process.pod))
        return pod if pod is not None and pod["metadata"]["uid"] == process.uid else None

    # --- beginnings and ends --------------------------------------------------------------------------------------

    def start(self, name: str) -> Process | None:
        """Start the container of a pod, if it may be started."""
        pod = self.api.read("pods", name)
        uid = pod["metadata"]["uid"]
        if uid in self.processes or "deletionTimestamp" in pod["metadata"] or pod["spec"].get("schedulingGates"):
            return None
        process = processes.start(self.api, pod, f"node-{self._newest}", self.clock, self._is_cut_off)
        self.processes[uid] = process
        now = self.clock().isoformat()
        running = {"name": "task", "state": {"running": {"startedAt": now}}}
        status = {"phase": "Running", "startTime": now, "containerStatuses": [running]}
        self.api.change("pods", name, {"spec": {"nodeName": process.node}, "status": status})
        return process

    def exit(self, process: Process, code: int, *, is_slow: bool = False, **status: Any) -> None:
        """End a container; with `is_slow`, the end of its pod is reported later than that of the container."""
        if process.has_ended or self.is_lost(process):
            return
        process.runs_user_code, process.calls, process.has_ended, process.exit_code = False, None, True, code
        process.waits_for_end, process.ended_at = False, self.api.now
        if process.by_message and process.answered is not None and code == 0:
            process.stored = process.answered
        pod = self.pod_of(process)
        process.was_asked_to_end = pod is None or self._is_asked_to_end(pod)
        if pod is None:
            return
        now = self.clock().isoformat()
        began = pod["status"]["startTime"]
        terminated = {"exitCode": code, "message": process.message, "startedAt": began, "finishedAt": now}
        end = {"phase": "Succeeded" if code == 0 and not status else "Failed", **status}
        self.api.change(
            "pods",
            process.pod,
            {"status": {"containerStatuses": [{"name": "task", "state": {"terminated": terminated}}]}},
        )
        self._unreported[process.uid] = end
        if not is_slow:
            self.report_ends()

    def report_ends(self) -> None:
        """Kubelets report the ends of pods whose containers have ended."""
        for uid, end in list(self._unreported.items()):
            process = self.processes[uid]
            if self.is_lost(process):
                continue
            del self._unreported[uid]
            pod = self.pod_of(process)
            if pod is not None and not _is_terminal(pod):
                self.api.change("pods", process.pod, {"status": end})

    def evict(self, process: Process) -> None:
        """The node runs short of a resource, and ends the pod."""
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
        self.exit(process, 137, reason="Evicted", conditions=[condition])

    def force_delete(self, name: str) -> None:
        """A user deletes a pod by force; its container keeps running for the grace period."""
        self._orphan(name)
        self.api.remove_pod(name)

    def _orphan(self, name: str) -> None:
        process = self.processes.get(self.api.read("pods", name)["metadata"]["uid"])
        if process is not None and not process.has_ended:
            process.is_orphan = True

    # --- nodes that are lost and found ------------------------------------------------------------------------------

    def lose(self) -> None:
        """The newest node is cut off: its containers keep running, but it reports nothing."""
        self.lost.add(f"node-{self._newest}")
        self.ever_lost.add(f"node-{self._newest}")
        self._newest += 1

    def find(self) -> None:
        """All nodes that were cut off are back."""
        self.lost.clear()
        self.run()

    def collect_pods(self, *, is_slow: bool = False) -> None:
        """The pod garbage collector fails and removes the pods of lost nodes, even if they are still running.

        These are two requests; with `is_slow`, a pod is removed by the next call.
        """
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
        for pod in list(self.pods()):
            process = self.processes.get(pod["metadata"]["uid"])
            if process is None or not self.is_lost(process):
                continue
            is_marked = condition in (pod["status"].get("conditions") or ())
            if not is_marked:
                self._orphan(process.pod)
                self.api.change("pods", process.pod, {"status": {"phase": "Failed", "conditions": [condition]}})
            if is_marked or not is_slow:
                self.force_delete(process.pod)

    def collect_owned(self) -> None:
        """The garbage collector deletes objects whose owner was deleted."""
        self.api.server.collect_garbage()

    def _is_cut_off(self, process: Process) -> bool:
        return self.is_lost(process) or not processes.has_token(self.api, process)

    # --- kubelets -------------------------------------------------------------------------------------------------

    def notice(self) -> None:
        """Kubelets see which containers have to end, and stop them."""
        for process in self.processes.values():
            if (
                not (process.has_ended or self.is_lost(process))
                and process.stopping_since is None
                and self._has_to_end(process)
            ):
                process.stopping_since = self.api.now

    def run(self) -> None:
        """Let kubelets act on passed time: deadlines, grace periods, the end of deleted pods."""
        self.report_ends()
        self.notice()
        for process in list(self.processes.values()):
            if self.is_lost(process):
                continue
            pod = self.pod_of(process)
            if not process.has_ended:
                self._kill(process, pod)
            if pod is not None and process.has_ended:
                self._remove(process)
        for pod in list(self.pods()):
            if pod["metadata"]["uid"] not in self.processes and "deletionTimestamp" in pod["metadata"]:
                self.api.remove_pod(pod["metadata"]["name"])

    def _has_to_end(self, process: Process) -> bool:
        pod = self.pod_of(process)
        if pod is None or "deletionTimestamp" in pod["metadata"] or self._has_deadline_passed(pod):
            return True
        return _is_terminal(pod)  # a kubelet tears down such a pod (pkg/kubelet/pod_workers.go)

    @staticmethod
    def _is_asked_to_end(pod: dict[str, Any]) -> bool:
        metadata = pod["metadata"]
        return "deletionTimestamp" in metadata or names.ANNOTATION_ENDING_SINCE in metadata.get("annotations", {})

    def _kill(self, process: Process, pod: dict[str, Any] | None) -> None:
        """End a container whose grace period is over."""
        is_late = pod is not None and "deletionTimestamp" not in pod["metadata"]
        if process.is_orphan and self.forgets_orphans:
            return
        grace = process.me.grace_period
        if process.stopping_since is not None and self.api.now >= process.stopping_since + timedelta(seconds=grace):
            status: dict[str, Any] = {"reason": "DeadlineExceeded"} if is_late else {}
            self.exit(process, 137, is_slow=False, **status)

    def _has_deadline_passed(self, pod: dict[str, Any]) -> bool:
        started = datetime.fromisoformat(pod["status"]["startTime"])
        return self.clock() >= started + timedelta(seconds=pod["spec"]["activeDeadlineSeconds"])

    def _remove(self, process: Process) -> None:
        try:
            pod = self.api.read("pods", process.pod)
        except NotFoundError:
            return
        if pod["metadata"]["uid"] == process.uid and "deletionTimestamp" in pod["metadata"]:
            self.api.remove_pod(process.pod)


def _is_terminal(pod: dict[str, Any]) -> bool:
    """Return whether a pod is in a final phase, which its kubelet never changes."""
    return pod["status"].get("phase") in {"Succeeded", "Failed"}
