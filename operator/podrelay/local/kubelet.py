"""The node: runs the container of each pod, and writes the pod's status like a kubelet.

Like a kubelet it is level-based: `sync` compares pods with containers and acts on the difference, `start_next` starts
one container. The runtime decides whether a container is a process or a call.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from podrelay.api import limits, names
from podrelay.kube.errors import ConflictError, NotFoundError
from podrelay.local.memory_api import PODS, MemoryApi, Object
from podrelay.runner.main import ENV_TERMINATION_MESSAGE_PATH

NODE: Final = "localhost"
SECRET_FOLDER: Final = "secret"  # noqa: S105 - a name
"""Below the folder of the world; there is only one Secret."""


class Container(Protocol):
    """The started task container of a pod."""

    def exit_code(self) -> int | None:
        """Return the exit code as in Kubernetes (128 + signal); None while it runs."""

    def terminate(self) -> None:
        """Ask it to end, as with SIGTERM."""

    def kill(self) -> None:
        """End it, as with SIGKILL."""

    def last_output(self) -> str:
        """Return the end of its output."""

    def read_output(self) -> None:
        """Process everything that it has printed so far."""


class Runtime(Protocol):
    """Starts containers."""

    def start(self, pod: Object, variables: dict[str, str], started: Callable[[Container], None]) -> None:
        """Start the container of a pod; it may already have ended when this returns.

        Args:
            pod: the pod.
            variables: the resolved environment of the container.
            started: called with the container as soon as it is started.

        Raises:
            OSError: the container cannot be started; the pod fails with this message.
        """


@dataclass
class _Watched:
    """A container and its state."""

    started_at: datetime
    message_file: Path
    container: Container | None = None
    kill_at: datetime | None = None
    is_killed: bool = False
    is_overdue: bool = False

    def deadline(self, pod: Object) -> datetime:
        """Return when the container must end. A kubelet notices that within a second; here, it is noticed at once."""
        is_ending = names.ANNOTATION_ENDING_SINCE in pod["metadata"]["annotations"]
        return self.started_at + timedelta(seconds=0 if is_ending else pod["spec"]["activeDeadlineSeconds"])

    def next_due(self, pod: Object) -> datetime:
        """Return when the container needs attention, unless it ends by itself before."""
        if self.is_killed:
            return datetime.max.replace(tzinfo=UTC)
        return self.kill_at or self.deadline(pod)


class Kubelet:
    """The only node.

    Args:
        api: the API server.
        runtime: starts containers.
        folder: directory for the files of termination messages.
        now: returns the current time in UTC, with a time zone.
    """

    def __init__(self, api: MemoryApi, runtime: Runtime, folder: Path, now: Callable[[], datetime]) -> None:
        self._api = api
        self._runtime = runtime
        self._folder = folder
        self._now = now
        self._pods: dict[str, Object] = {}
        self._watched: dict[str, _Watched] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a container is running."""
        return bool(self._watched)

    def see(self, pod: Object, *, is_deletion: bool) -> None:
        """Process a change of a pod."""
        uid = pod["metadata"]["uid"]
        if is_deletion and uid not in self._watched:
            self._pods.pop(uid, None)
            return
        if is_deletion:  # deleted by force; its container ends like that of any deleted pod
            deletion = {"deletionTimestamp": self._now().isoformat(), "deletionGracePeriodSeconds": None}
            pod = pod | {"metadata": pod["metadata"] | deletion}
        self._pods[uid] = pod

    def read_output(self, pod_name: str) -> None:
        """Process everything that the container of a pod has printed so far."""
        for uid, watched in self._watched.items():
            if watched.container is not None and self._pods[uid]["metadata"]["name"] == pod_name:
                watched.container.read_output()

    def sync(self) -> bool:
        """Act on running containers and deleted pods as necessary; return whether anything was done."""
        moved = [uid for uid, pod in list(self._pods.items()) if self._attend(uid, pod)]  # a list, to process all pods
        return bool(moved)

    def next_due(self) -> datetime | None:
        """Return when `sync` must be called again at the latest."""
        return min((watched.next_due(self._pods[uid]) for uid, watched in self._watched.items()), default=None)

    def start_next(self) -> bool:
        """Start the container of the pod that has waited longest; return whether there was one."""
        for uid, pod in self._pods.items():
            is_new = not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]
            if is_new and not pod["spec"].get("schedulingGates"):
                self._start(uid, pod)
                return True
        return False

    def kill_all(self) -> None:
        """End every container at once."""
        for watched in list(self._watched.values()):
            if watched.container is not None:
                watched.container.kill()

    # --- the life of a container ------------------------------------------------------------------------------------

    def _start(self, uid: str, pod: Object) -> None:
        metadata = pod["metadata"]
        message_file = self._folder / uid
        self._api.patch(PODS, metadata["namespace"], metadata["name"], {"spec": {"nodeName": NODE}})
        watched = self._watched[uid] = _Watched(self._now(), message_file)
        self._report(pod, watched, "Running", {"running": {"startedAt": watched.started_at.isoformat()}})
        variables = {**_variables(pod), ENV_TERMINATION_MESSAGE_PATH: str(message_file)}
        if names.ENV_SECRET_PATH in variables:
            variables[names.ENV_SECRET_PATH] = str(self._folder / SECRET_FOLDER)

        def started(container: Container) -> None:
            watched.container = container

        try:
            self._runtime.start(pod, variables, started)
        except OSError as error:
            message = f"the container cannot be started: {error}"
            self._end(uid, pod, watched, {"exitCode": 128, "reason": "StartError", "message": message})

    def _attend(self, uid: str, pod: Object) -> bool:
        watched = self._watched.get(uid)
        if watched is None:
            return self._remove_if_deleted(pod)
        if watched.container is None:
            return False
        code = watched.container.exit_code()
        if code is not None:
            message = self._message(watched, watched.container, code)
            reason = "Completed" if code == 0 else "Error"
            self._end(uid, pod, watched, {"exitCode": code, "reason": reason, "message": message})
            return True
        now = self._now()
        if watched.kill_at is None and ("deletionTimestamp" in pod["metadata"] or now >= watched.deadline(pod)):
            watched.is_overdue = "deletionTimestamp" not in pod["metadata"]
            watched.kill_at = now + timedelta(seconds=pod["spec"]["terminationGracePeriodSeconds"])
            watched.container.terminate()
            return True
        if watched.kill_at is not None and now >= watched.kill_at and not watched.is_killed:
            watched.is_killed = True
            watched.container.kill()
        return False

    def _end(self, uid: str, pod: Object, watched: _Watched, terminated: dict[str, Any]) -> None:
        del self._watched[uid]
        if watched.container is not None:
            self._api.logs[uid] = watched.container.last_output().encode()
        watched.message_file.unlink(missing_ok=True)
        times = {"startedAt": watched.started_at.isoformat(), "finishedAt": self._now().isoformat()}
        phase = "Succeeded" if terminated["exitCode"] == 0 and not watched.is_overdue else "Failed"
        self._report(pod, watched, phase, {"terminated": terminated | times})

    def _report(self, pod: Object, watched: _Watched, phase: str, state: dict[str, Any]) -> None:
        container = _container(pod)
        status = {
            "phase": phase,
            "startTime": watched.started_at.isoformat(),
            "containerStatuses": [{"name": container["name"], "image": container.get("image", ""), "state": state}],
        }
        if watched.is_overdue and phase == "Failed":
            status |= {"reason": "DeadlineExceeded", "message": "Pod was active longer than the specified deadline"}
        metadata = pod["metadata"]
        with contextlib.suppress(ConflictError, NotFoundError):  # deleted by force
            self._api.patch(PODS, metadata["namespace"], metadata["name"], {"status": status}, subresource="status")

    def _remove_if_deleted(self, pod: Object) -> bool:
        metadata = pod["metadata"]
        if "deletionTimestamp" not in metadata or metadata.get("deletionGracePeriodSeconds") == 0:
            return False  # in the second case, a finalizer keeps the pod
        try:
            self._api.delete(PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"], grace_seconds=0)
        except (ConflictError, NotFoundError):  # it was deleted by force
            self._pods.pop(metadata["uid"], None)
        return True

    @staticmethod
    def _message(watched: _Watched, container: Container, code: int) -> str:
        file = watched.message_file
        message = file.read_bytes()[: limits.TERMINATION_MESSAGE_BYTES] if file.exists() else b""
        return message.decode(errors="replace") or (container.last_output() if code != 0 else "")


def _container(pod: Object) -> dict[str, Any]:
    name = pod["metadata"]["annotations"][names.ANNOTATION_CONTAINER]
    found: dict[str, Any] = next(item for item in pod["spec"]["containers"] if item["name"] == name)
    return found


def _variables(pod: Object) -> dict[str, str]:
    """Return the container's variables, except for those from a Secret or a ConfigMap, which do not exist here."""
    fields = {"metadata.uid": pod["metadata"]["uid"], "spec.nodeName": NODE}
    variables = {}
    for item in _container(pod)["env"]:
        path = ((item.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath")
        if "value" in item:
            variables[item["name"]] = str(item["value"]).replace("$$", "$")
        elif path in fields:
            variables[item["name"]] = fields[path]
    return variables
