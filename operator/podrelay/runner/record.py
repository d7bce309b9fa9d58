"""The record of this attempt: claimed before user code runs, updated while it runs, completed by the response.

There are two locks. `_write_lock` is held from reading the data to store until the response of the API server, so that
the task's thread and the flusher never overwrite each other's data. `_news_lock` guards progress and logs and is never
held during a request, so that reporting does not wait for the network. Data is stored once the API server has answered
a write with 2xx; methods that store something return only then. After the claim, writes wait for a missing permission
until their deadline, because otherwise work would be lost.
"""

import json
import math
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from podrelay.api import limits, names, numbers, protocol
from podrelay.runner.api_client import ApiClient, Deadline, path
from podrelay.runner.console import Console
from podrelay.runner.environment import Environment
from podrelay.sdk.errors import ApiRefusedError, SupersededError

RECORD_BYTES: Final = 700 * limits.KIB
LOG_ITEMS: Final = 200
LOG_BYTES: Final = 64 * limits.KIB


class ResponseLostError(ApiRefusedError):
    """The record already contains another response: this one came too late."""


def now() -> str:
    """Return the current time as RFC 3339, UTC, with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Record:
    """The TaskIteration of this pod.

    Args:
        client: client for the API server; after the claim only this record may use it.
        me: the environment of this pod.
        now: returns the time that is written into the record.
        console: the output of the task, if it must be recorded.
    """

    def __init__(
        self,
        client: ApiClient,
        me: Environment,
        now: Callable[[], str] = now,
        console: Console | None = None,
    ) -> None:
        self._client = client
        self._me = me
        self.now = now
        self._console = console
        self._write_lock = threading.Lock()
        self._body: dict[str, Any] = {}
        self._owners: list[dict[str, Any]] = []
        self._news_lock = threading.Lock()
        self._progress: dict[str, Any] | None = None
        self._logs: deque[tuple[dict[str, Any], int]] = deque()
        self._log_bytes = 0
        self._dropped_logs = 0
        self._heartbeat_at: str | None = None
        self._is_dirty = False
        self.is_quiet = False
        """Whether nothing of the task runs any longer."""
        self.size = 1024
        """Size in bytes of the last written version of the record."""

    # --- the claim --------------------------------------------------------------------------------------------------

    def claim(self, deadline: Deadline) -> None:
        """Create the record. After that, this pod is the only one of its name that may run user code.

        Raises:
            SupersededError: another pod has claimed the name.
            ApiRefusedError, ApiUnreachableError: the record cannot be created.
        """
        body = self._claim_body()
        self._owners = body["metadata"]["ownerReferences"]
        url = path(self._me.namespace, names.TASK_ITERATIONS)
        while True:
            status, answer = self._client.request("POST", url, body, deadline)
            if status < 300:
                self._body = answer
                return
            if status != 409:
                raise ApiRefusedError(status, str(answer.get("message", "")))
            stored = self._client.read(self._me.namespace, names.TASK_ITERATIONS, self._me.pod_name, deadline)
            # If both UID and time match, this is our own write, and its response was lost.
            if stored is not None and _claimed_by(stored) == _claimed_by(body):
                self._body = stored
                return
            if stored is not None or answer.get("reason") == "AlreadyExists":
                raise SupersededError("another pod of this name has run before")
            # Another kind of conflict, for example about a resource quota that is updated concurrently.
            self._client.wait_after_conflict(answer, deadline)

    def _claim_body(self) -> dict[str, Any]:
        me = self._me
        body: dict[str, Any] = {
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
            "protocol": protocol.VERSION,
            "startedAt": self.now(),
        }
        if me.node_name:
            body["nodeName"] = me.node_name
        if me.image:
            body["image"] = me.image
        if me.only_hooks:
            body["hook"] = me.only_hooks[0]
        return body

    # --- while the task runs ----------------------------------------------------------------------------------------

    def set_progress(self, percent: float | None, message: str) -> None:
        """Set the progress; it is stored with the next write."""
        progress: dict[str, Any] = {"message": message, "at": self.now()}
        if percent is not None:
            progress["percent"] = percent
        with self._news_lock:
            self._progress = progress
            self._heartbeat_at = progress["at"]
            self._is_dirty = True

    def heartbeat(self) -> None:
        """Set the time of the last heartbeat; it is stored with the next write."""
        with self._news_lock:
            self._heartbeat_at = self.now()
            self._is_dirty = True

    def add_log(self, item: dict[str, Any]) -> None:
        """Add a log line; it is stored with the next write. If there are too many, the oldest are dropped."""
        size = _bytes(item) + 1
        if size > LOG_BYTES:  # it would displace all other lines, and then itself
            refused = {"refused": f"{size} bytes exceed the limit of {LOG_BYTES} for log lines of a record; see stdout"}
            item = {**item, "data": refused}
            item.pop("error", None)
            size = _bytes(item) + 1
        with self._news_lock:
            self._logs.append((item, size))
            self._log_bytes += size
            self._drop_logs(LOG_ITEMS, LOG_BYTES)
            self._heartbeat_at = self.now()
            self._is_dirty = True

    def checkpoint(self, state: dict[str, Any], deadline: Deadline) -> None:
        """Store the current input and output.

        Raises:
            SupersededError, ApiRefusedError, ApiUnreachableError: as for `answer`.
        """
        self.heartbeat()
        with self._write_lock:
            before = self._body.get("checkpoint")
            self._body["checkpoint"] = numbers.as_stored(state)
            try:
                self._put(deadline)
            except ApiRefusedError:
                # A rejected checkpoint would make every later write fail, including the answer.
                del self._body["checkpoint"]
                if before is not None:
                    self._body["checkpoint"] = before
                raise

    def flush(self, deadline: Deadline) -> None:
        """Store progress, logs and heartbeats, if there are new ones."""
        with self._write_lock:
            if self._is_dirty:
                self._put(deadline)

    # --- the end ----------------------------------------------------------------------------------------------------

    def answer(self, response: dict[str, Any], deadline: Deadline) -> None:
        """Store the response, together with new progress and logs.

        Raises:
            ResponseLostError: the record already contains another response.
            SupersededError: the record no longer belongs to this pod.
            ApiRefusedError: this response cannot be stored, but another one might be.
            ApiUnreachableError: the response cannot be stored.
        """
        response = numbers.as_stored(response)  # a copy, because parts may be removed to save space
        with self._write_lock:
            checkpoint = self._body.get("checkpoint")
            self._body["response"] = response
            self._body["finishedAt"] = self.now()
            if self.is_quiet and response["status"] == "continue":
                self._body["quiet"] = True
            if response["status"] != "error":
                self._body.pop("checkpoint", None)
            elif _bytes(self._body) > RECORD_BYTES:
                self._make_room(response)
            try:
                self._put(deadline)
            except ApiRefusedError:
                if checkpoint is not None:
                    self._body["checkpoint"] = checkpoint
                raise

    def add_hook(self, outcome: dict[str, Any], deadline: Deadline) -> None:
        """Store the outcome of a hook.

        Raises:
            SupersededError: the record no longer belongs to this pod.
            ApiRefusedError, ApiUnreachableError: the outcome cannot be stored.
        """
        with self._write_lock:
            self._body["hooks"] = [*self._body.get("hooks", []), outcome]
            if self._me.only_hooks:
                self._body["finishedAt"] = self.now()
            self._put(deadline)

    def _make_room(self, response: dict[str, Any]) -> None:
        """Remove what is not needed: an error with checkpoint, output and data can be too large for a record."""
        if self._me.is_final_attempt and not response.get("retryable"):
            self._body.pop("checkpoint", None)  # no attempt will start from it
        else:
            response.pop("output", None)  # the checkpoint has it
        if _bytes(self._body) > RECORD_BYTES and "data" in response["error"]:
            response["error"]["data"] = {"refused": "there was no space for it in addition to input and output"}

    def _put(self, deadline: Deadline) -> None:
        url = path(self._me.namespace, names.TASK_ITERATIONS, self._me.pod_name)
        document = self._document()
        try:
            while True:
                status, answer = self._client.request("PUT", url, document, deadline, math.inf)
                if status < 300:
                    self._body["metadata"] = answer["metadata"]
                    return
                if status not in {409, 422}:
                    raise ApiRefusedError(status, str(answer.get("message", "")))
                stored = self._client.read(
                    self._me.namespace, names.TASK_ITERATIONS, self._me.pod_name, deadline, math.inf
                )
                if self._is_stored(stored, status, answer):
                    return
                document["metadata"] = self._body["metadata"]
                self._client.wait_after_conflict(answer, deadline)
        except BaseException:
            with self._news_lock:
                self._is_dirty = True
            raise

    def _is_stored(self, stored: dict[str, Any] | None, status: int, answer: dict[str, Any]) -> bool:
        """Return whether a rejected write was already stored; False if it can be retried. Raise if neither is true."""
        if stored is None or _claimed_by(stored) != _claimed_by(self._body):
            raise SupersededError("the record of this pod was deleted")
        response = self._body.get("response")
        if stored.get("response") is not None:
            if stored["response"] != response:
                raise ResponseLostError(status, "another response was stored first")
            if stored.get("hooks") == self._body.get("hooks"):
                return True
        if status == 422 and stored["metadata"]["resourceVersion"] == self._body["metadata"]["resourceVersion"]:
            raise ApiRefusedError(status, str(answer.get("message", "")))
        # Keep the owner, also if another client has removed it: a policy rejects a record without its owner.
        self._body["metadata"] = {**stored["metadata"], "ownerReferences": self._owners}
        return False

    def _document(self) -> dict[str, Any]:
        """Return the complete record to store, with new progress and logs, cut to the size limit of records."""
        size = _bytes(self._body)
        document = dict(self._body)
        console = self._console.tail() if self._console is not None else None
        if console is not None:
            if size + _bytes(console) > RECORD_BYTES - limits.KIB:
                console = {"text": "", "droppedBytes": console.get("droppedBytes", 0) + len(console["text"].encode())}
            document["console"] = console
            size += _bytes(console)
        with self._news_lock:
            self._drop_logs(LOG_ITEMS, RECORD_BYTES - size - limits.KIB)  # the KiB is for progress and field names
            if self._progress is not None:
                document["progress"] = self._progress
            if self._logs:
                document["logs"] = [item for item, _ in self._logs]
            if self._dropped_logs:
                document["droppedLogs"] = self._dropped_logs
            if self._heartbeat_at is not None:
                document["heartbeatAt"] = self._heartbeat_at
            self.size = size + self._log_bytes
            self._is_dirty = False
        return document

    def _drop_logs(self, items: int, size: int) -> None:
        while self._logs and (len(self._logs) > items or self._log_bytes > size):
            self._log_bytes -= self._logs.popleft()[1]
            self._dropped_logs += 1


def _claimed_by(record: dict[str, Any]) -> tuple[Any, Any]:
    return record.get("podUID"), record.get("startedAt")


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
