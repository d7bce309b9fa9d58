"""The record of this try: claimed before user code, updated while it runs, closed by the response.

All writes go through one lock, because the task's thread and the flusher's share them. A write that was answered with
2xx is safe; every method that says "stored" returns only then.
"""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from podrelay.api import limits, names
from podrelay.runner.api_client import ApiClient, path
from podrelay.runner.environment import Environment
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError, SupersededError

RECORD_BYTES: Final = 700 * limits.KIB
LOG_ITEMS: Final = 200
LOG_BYTES: Final = 64 * limits.KIB


class ResponseLostError(ApiRefusedError):
    """Somebody else's response stands in the record: this one came too late."""


def now() -> str:
    """Return the time now as RFC 3339, UTC, with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Record:
    """The TaskIteration of this pod.

    Args:
        client: the API server; this record has it for itself.
        me: what this pod is.
        clock: time in seconds, as deadlines are given.
    """

    def __init__(self, client: ApiClient, me: Environment, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._me = me
        self._clock = clock
        self._lock = threading.Lock()
        self._body: dict[str, Any] = {}
        self._log_sizes: list[int] = []
        self._is_dirty = False
        self.size = 1024

    # --- the claim ------------------------------------------------------------------------------------------------------

    def claim(self, deadline: float) -> None:
        """Create the record: from now on this pod, and no other of its name, may run user code.

        Raises:
            SupersededError: another pod has claimed the name.
            ApiRefusedError, ApiUnreachableError: it cannot be created.
        """
        me = self._me
        body = {
            "apiVersion": names.API_VERSION,
            "kind": "TaskIteration",
            "metadata": {
                "name": me.pod_name,
                "namespace": me.namespace,
                "labels": {
                    names.LABEL_RUN: me.run,
                    names.LABEL_DEFINITION: me.definition,
                    names.LABEL_ITERATION: str(me.iteration),
                    names.LABEL_TRY: str(me.attempt),
                },
                "ownerReferences": [
                    {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": me.run, "uid": me.run_uid}
                ],
            },
            "runName": me.run,
            "iteration": me.iteration,
            "try": me.attempt,
            "podName": me.pod_name,
            "podUID": me.pod_uid,
            "startedAt": now(),
        }
        if me.node_name:
            body["nodeName"] = me.node_name
        if me.image:
            body["image"] = me.image
        status, answer = self._client.request("POST", path(me.namespace, names.TASK_ITERATIONS), body, deadline)
        if status == 409:
            stored = self._client.read(me.namespace, names.TASK_ITERATIONS, me.pod_name, deadline)
            # Our own write, whose answer was lost? Nobody else can have both this UID and this time.
            if stored is None or stored.get("podUID") != me.pod_uid or stored.get("startedAt") != body["startedAt"]:
                raise SupersededError("another pod of this name has run before")
            answer = stored
        elif status >= 300:
            raise ApiRefusedError(status, str(answer.get("message", "")))
        self._body = answer

    # --- while the task runs --------------------------------------------------------------------------------------------

    def set_progress(self, percent: float | None, message: str) -> None:
        """Take progress; it is stored with the next write."""
        progress: dict[str, Any] = {"message": limits.cut(message, 256), "at": now()}
        if percent is not None:
            progress["percent"] = percent
        with self._lock:
            self._body["progress"] = progress
            self._is_dirty = True

    def add_log(self, item: dict[str, Any]) -> None:
        """Take a log line; it is stored with the next write. The oldest are dropped where there are too many."""
        size = len(json.dumps(item, ensure_ascii=False).encode())
        with self._lock:
            logs: list[dict[str, Any]] = self._body.setdefault("logs", [])
            logs.append(item)
            self._log_sizes.append(size)
            self._drop_logs(LOG_ITEMS, LOG_BYTES)
            self._is_dirty = True

    def checkpoint(self, state: dict[str, Any], deadline: float) -> None:
        """Store input and output as they are now."""
        with self._lock:
            self._body["checkpoint"] = state
            self._put(deadline)

    def flush(self, deadline: float) -> None:
        """Store progress and logs, if there are any new ones."""
        with self._lock:
            if self._is_dirty:
                self._put(deadline)

    # --- the end --------------------------------------------------------------------------------------------------------

    def answer(self, response: dict[str, Any], deadline: float) -> None:
        """Store the response.

        Raises:
            ResponseLostError: the record holds another response already.
            SupersededError: the record is not this pod's any more.
            ApiRefusedError, ApiUnreachableError: it cannot be stored.
        """
        with self._lock:
            self._body["response"] = response
            self._body["finishedAt"] = now()
            if response["status"] != "error":
                self._body.pop("checkpoint", None)
            self._put(deadline)

    def _put(self, deadline: float) -> None:
        self._fit()
        url = path(self._me.namespace, names.TASK_ITERATIONS, self._me.pod_name)
        while True:
            status, answer = self._client.request("PUT", url, self._body, deadline)
            if status < 300:
                self._body["metadata"] = answer["metadata"]
                self._is_dirty = False
                return
            if status not in {409, 422}:
                raise ApiRefusedError(status, str(answer.get("message", "")))
            stored = self._client.read(self._me.namespace, names.TASK_ITERATIONS, self._me.pod_name, deadline)
            if self._is_stored(stored, status, answer):
                return
            if self._clock() >= deadline:
                raise ApiUnreachableError(f"the record changes faster than it can be written: {answer.get('message')}")

    def _is_stored(self, stored: dict[str, Any] | None, status: int, answer: dict[str, Any]) -> bool:
        """After a refusal: is what we wanted there already, or can it be tried again? Raises if neither."""
        if stored is None or stored.get("podUID") != self._me.pod_uid:
            raise SupersededError("the record of this pod is gone")
        response = self._body.get("response")
        if stored.get("response") is not None:
            if stored["response"] == response:
                return True
            raise ResponseLostError(status, "another response was stored first")
        if status == 422 and stored["metadata"]["resourceVersion"] == self._body["metadata"]["resourceVersion"]:
            raise ApiRefusedError(status, str(answer.get("message", "")))
        self._body["metadata"] = stored["metadata"]
        return False

    def _fit(self) -> None:
        self.size = len(json.dumps(self._body, ensure_ascii=False, separators=(",", ":")).encode())
        if self.size > RECORD_BYTES:
            spare = max(0, sum(self._log_sizes) - (self.size - RECORD_BYTES))
            self._drop_logs(LOG_ITEMS, spare)

    def _drop_logs(self, items: int, size: int) -> None:
        logs = self._body.get("logs") or []
        while logs and (len(logs) > items or sum(self._log_sizes) > size):
            logs.pop(0)
            self._log_sizes.pop(0)
            self._body["droppedLogs"] = self._body.get("droppedLogs", 0) + 1
