"""The node: runs the container of each pod, and writes the pod's status like a kubelet.

Like a kubelet it is level-based: `sync` compares pods with containers and acts on the difference, `start_next` starts
one container. The runtime decides whether a container is a process or a call.
"""

import base64
import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from podrelay.api import limits, names
from podrelay.kube.errors import ConflictError, NotFoundError
from podrelay.local.kinds import SECRETS
from podrelay.local.memory_api import PODS, MemoryApi, Object
from podrelay.runner.main import ENV_TERMINATION_MESSAGE_PATH

NODE: Final = "localhost"
_MEMORY_SECONDS: Final = 0.5
"""How often the memory of a container with a limit is measured: only the kernel of a node is notified by itself."""
_UNITS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS_OF_TWO: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_LOST: Final = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
}


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

    def memory(self) -> int:
        """Return how many bytes of memory it uses; 0 if that is unknown."""


class Runtime(Protocol):
    """Starts containers."""

    def obstacle(self, pod: Object) -> str | None:
        """Return why the container of a pod cannot be started now; None if it can."""

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
    memory_limit: int | None = None
    container: Container | None = None
    kill_at: datetime | None = None
    is_killed: bool = False
    is_overdue: bool = False
    is_out_of_memory: bool = False

    def deadline(self, pod: Object) -> datetime:
        """Return when the container must end. A kubelet notices that within a second; here, it is noticed at once."""
        is_ending = names.ANNOTATION_ENDING_SINCE in _annotations(pod)
        return self.started_at + timedelta(seconds=0 if is_ending else pod["spec"]["activeDeadlineSeconds"])

    def next_due(self, pod: Object, now: datetime) -> datetime:
        """Return when the container needs attention, unless it ends by itself before."""
        if self.is_killed:
            return datetime.max.replace(tzinfo=UTC)
        due = self.kill_at or self.deadline(pod)
        return due if self.memory_limit is None else min(due, now + timedelta(seconds=_MEMORY_SECONDS))


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
        self._is_shutting_down = False

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

    def read_output(self, record: Object) -> None:
        """Process everything that the container which has written a record has printed so far."""
        watched = self._watched.get(record["podUID"])
        if watched is not None and watched.container is not None:
            watched.container.read_output()

    def sync(self) -> bool:
        """Act on running containers and deleted pods as necessary; return whether anything was done."""
        moved = [uid for uid, pod in list(self._pods.items()) if self._attend(uid, pod)]  # a list, to process all pods
        return bool(moved)

    def next_due(self) -> datetime | None:
        """Return when `sync` must be called again at the latest."""
        now = self._now()
        return min((watched.next_due(self._pods[uid], now) for uid, watched in self._watched.items()), default=None)

    def start_next(self) -> bool:
        """Start the container of the pod that has waited longest; return whether there was one."""
        for uid, pod in self._pods.items():
            if self._is_shutting_down or not self._is_waiting(uid, pod) or pod["spec"].get("schedulingGates"):
                continue
            reason, message = self._obstacle(pod)
            if reason:
                self._report_waiting(pod, reason, message)
                continue
            self._start(uid, pod)
            return True
        return False

    def report_lost(self) -> None:
        """Report the end of containers that a former process has started, as a node does after a reboot."""
        for uid, pod in list(self._pods.items()):
            if pod["status"].get("phase") == "Running" and uid not in self._watched:
                began = datetime.fromisoformat(pod["status"]["startTime"])
                self._report(pod, _Watched(began, Path()), "Failed", {"terminated": _LOST})

    def shut_down(self) -> None:
        """Ask all containers to end, as a node that is shut down does, and start no others."""
        self._is_shutting_down = True
        for watched in list(self._watched.values()):
            if watched.container is not None:
                watched.container.terminate()

    def kill_all(self) -> None:
        """End every container at once."""
        for watched in list(self._watched.values()):
            if watched.container is not None:
                watched.container.kill()

    # --- the life of a container ------------------------------------------------------------------------------------

    def _is_waiting(self, uid: str, pod: Object) -> bool:
        is_pending = pod["status"].get("phase", "Pending") == "Pending"
        return is_pending and uid not in self._watched and "deletionTimestamp" not in pod["metadata"]

    def _obstacle(self, pod: Object) -> tuple[str, str]:
        """Return why the container of a pod cannot be started yet, as reason and message; empty if it can."""
        secret = _secret_of(pod)
        if secret is not None:
            try:
                self._api.get(SECRETS, pod["metadata"]["namespace"], secret)
            except NotFoundError:
                return "ContainerCreating", f'secret "{secret}" not found'
        message = self._runtime.obstacle(pod)
        return ("ErrImagePull", message) if message else ("", "")

    def _report_waiting(self, pod: Object, reason: str, message: str) -> None:
        state = {"waiting": {"reason": reason, "message": message}}
        shown = (pod["status"].get("containerStatuses") or [{}])[0].get("state")
        if shown != state:
            self._bind(pod)
            self._report(pod, _Watched(self._now(), Path()), "Pending", state)

    def _bind(self, pod: Object) -> None:
        metadata = pod["metadata"]
        self._api.patch(PODS, metadata["namespace"], metadata["name"], {"spec": {"nodeName": NODE}})

    def _start(self, uid: str, pod: Object) -> None:
        message_file = self._folder / uid
        self._bind(pod)
        limit = ((container_of(pod).get("resources") or {}).get("limits") or {}).get("memory")
        watched = self._watched[uid] = _Watched(self._now(), message_file, _bytes(limit) if limit else None)
        self._report(pod, watched, "Running", {"running": {"startedAt": watched.started_at.isoformat()}})
        variables = {**_variables(pod), ENV_TERMINATION_MESSAGE_PATH: str(message_file)}

        def started(container: Container) -> None:
            watched.container = container

        try:
            if names.ENV_SECRET_PATH in variables:
                variables[names.ENV_SECRET_PATH] = str(self._mount_secret(uid, pod))
            self._runtime.start(pod, variables, started)
        except (OSError, NotFoundError) as error:
            message = f"the container cannot be started: {error}"
            self._end(uid, pod, watched, {"exitCode": 128, "reason": "StartError", "message": message})

    def _mount_secret(self, uid: str, pod: Object) -> Path:
        """Write the Secret of a pod into a folder, one file for each key, and return the folder."""
        secret = self._api.get(SECRETS, pod["metadata"]["namespace"], _secret_of(pod) or "")
        folder = self._folder / f"{uid}-secret"
        folder.mkdir(mode=0o700)
        for key, value in (secret.get("data") or {}).items():
            (folder / key).write_bytes(base64.b64decode(value))
        return folder

    def _attend(self, uid: str, pod: Object) -> bool:
        watched = self._watched.get(uid)
        if watched is None:
            return self._fail_if_overdue(uid, pod) or self._remove_if_deleted(pod)
        if watched.container is None:
            return False
        code = watched.container.exit_code()
        if code is not None:
            message = self._message(watched, watched.container, code)
            reason = "OOMKilled" if watched.is_out_of_memory else "Completed" if code == 0 else "Error"
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
        elif watched.memory_limit is not None and watched.container.memory() > watched.memory_limit:
            watched.is_out_of_memory = watched.is_killed = True
            watched.container.kill()
        return False

    def _fail_if_overdue(self, uid: str, pod: Object) -> bool:
        """Report the end of a pod whose container could not be started in time."""
        if not self._is_waiting(uid, pod) or names.ANNOTATION_ENDING_SINCE not in _annotations(pod):
            return False
        watched = _Watched(self._now(), Path(), is_overdue=True)
        self._report(pod, watched, "Failed", {"waiting": {"reason": "ContainerCreating"}})
        return True

    def _end(self, uid: str, pod: Object, watched: _Watched, terminated: dict[str, Any]) -> None:
        del self._watched[uid]
        watched.message_file.unlink(missing_ok=True)
        shutil.rmtree(self._folder / f"{uid}-secret", ignore_errors=True)
        times = {"startedAt": watched.started_at.isoformat(), "finishedAt": self._now().isoformat()}
        phase = "Succeeded" if terminated["exitCode"] == 0 and not watched.is_overdue else "Failed"
        self._report(pod, watched, phase, {"terminated": terminated | times})

    def _report(self, pod: Object, watched: _Watched, phase: str, state: dict[str, Any]) -> None:
        container = container_of(pod)
        status = {
            "phase": phase,
            "startTime": watched.started_at.isoformat(),
            "containerStatuses": [{"name": container["name"], "image": container.get("image", ""), "state": state}],
        }
        if watched.is_overdue and phase == "Failed":
            status |= {"reason": "DeadlineExceeded", "message": "Pod was active longer than the specified deadline"}
        elif self._is_shutting_down and phase == "Failed":
            status |= {"reason": "Terminated", "message": "podrelay was stopped"}
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


def _annotations(pod: Object) -> dict[str, str]:
    return pod["metadata"].get("annotations") or {}


def container_of(pod: Object) -> dict[str, Any]:
    """Return the container that does the work."""
    containers: list[dict[str, Any]] = pod["spec"]["containers"]
    name = _annotations(pod).get(names.ANNOTATION_CONTAINER)
    return next((item for item in containers if item["name"] == name), containers[0])


def _secret_of(pod: Object) -> str | None:
    """Return the name of the Secret that the run of a pod names."""
    volumes = pod["spec"].get("volumes") or ()
    found = next((volume for volume in volumes if volume["name"] == names.SECRET_VOLUME), None)
    return found["secret"]["secretName"] if found else None


def _bytes(quantity: str) -> int | None:
    """Return a quantity of Kubernetes, such as 64Mi, in bytes; None if it is not valid."""
    number = str(quantity).rstrip("kMGTi")
    unit = (_UNITS | _UNITS_OF_TWO).get(str(quantity)[len(number) :])
    try:
        return int(float(number) * unit) if unit else None
    except ValueError:
        return None


def _variables(pod: Object) -> dict[str, str]:
    """Return the container's variables, except for those from a Secret or a ConfigMap, which do not exist here."""
    fields = {"metadata.uid": pod["metadata"]["uid"], "spec.nodeName": NODE}
    variables = {}
    for item in container_of(pod)["env"]:
        path = ((item.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath")
        if "value" in item:
            variables[item["name"]] = str(item["value"]).replace("$$", "$")
        elif path in fields:
            variables[item["name"]] = fields[path]
    return variables
