"""The record of this try: claimed before user code, updated while it runs, closed by the response.

Two locks. `_write_lock` is held from reading what is to be stored until the API server's answer, so that the task's
thread and the flusher never write over each other. `_news_lock` guards progress and logs and is never held during a
request, so that a task that reports does not wait for the network. A write that was answered with 2xx is safe; every
method that says "stored" returns only then. A write of a record that is claimed waits for a missing right until its
deadline: there is work behind it.
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
    """Somebody else's response stands in the record: this one came too late."""


def now() -> str:
    """Return the time now as RFC 3339, UTC, with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Record:
    """The TaskIteration of this pod.

    Args:
        client: the API server; after the claim this record has it for itself.
        me: what this pod is.
        now: returns the time that is written into it.
        console: what the task prints, if that is to be recorded.
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
        self.size = 1024
        """Bytes of the record as it was written last."""

    # --- the claim --------------------------------------------------------------------------------------------------

    def claim(self, deadline: Deadline) -> None:
        """Create the record: from now on this pod, and no other of its name, may run user code.

        Raises:
            SupersededError: another pod has claimed the name.
            ApiRefusedError, ApiUnreachableError: it cannot be created.
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
            # Our own write, whose answer was lost? Nobody else can have both this UID and this time.
            if stored is not None and _claimed_by(stored) == _claimed_by(body):
                self._body = stored
                return
            if stored is not None or answer.get("reason") == "AlreadyExists":
                raise SupersededError("another pod of this name has run before")
            # A conflict about something else, for example a resource quota that many have used at once.
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
        """Take progress; it is stored with the next write."""
        progress: dict[str, Any] = {"message": message, "at": self.now()}
        if percent is not None:
            progress["percent"] = percent
        with self._news_lock:
            self._progress = progress
            self._heartbeat_at = progress["at"]
            self._is_dirty = True

    def heartbeat(self) -> None:
        """Take a sign of life; it is stored with the next write."""
        with self._news_lock:
            self._heartbeat_at = self.now()
            self._is_dirty = True

    def add_log(self, item: dict[str, Any]) -> None:
        """Take a log line; it is stored with the next write. The oldest are dropped where there are too many."""
        size = _bytes(item) + 1
        if size > LOG_BYTES:  # it would push out all others, and then itself
            refused = {"refused": f"{size} bytes are too large for the record, the limit is {LOG_BYTES}; see stdout"}
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
        """Store input and output as they are now.

        Raises:
            SupersededError, ApiRefusedError, ApiUnreachableError: as `answer`.
        """
        self.heartbeat()
        with self._write_lock:
            before = self._body.get("checkpoint")
            self._body["checkpoint"] = numbers.as_stored(state)
            try:
                self._put(deadline)
            except ApiRefusedError:
                # What is refused once would be refused with every later write, the answer included.
                del self._body["checkpoint"]
                if before is not None:
                    self._body["checkpoint"] = before
                raise

    def flush(self, deadline: Deadline) -> None:
        """Store progress, logs and signs of life, if there are any new ones."""
        with self._write_lock:
            if self._is_dirty:
                self._put(deadline)

    # --- the end ----------------------------------------------------------------------------------------------------

    def answer(self, response: dict[str, Any], deadline: Deadline) -> None:
        """Store the response, and all news with it.

        Raises:
            ResponseLostError: the record holds another response already.
            SupersededError: the record is not this pod's any more.
            ApiRefusedError: it cannot be stored, but another answer may be.
            ApiUnreachableError: it cannot be stored.
        """
        response = numbers.as_stored(response)  # a copy: what is left out of it for want of room is still the task's
        with self._write_lock:
            checkpoint = self._body.get("checkpoint")
            self._body["response"] = response
            self._body["finishedAt"] = self.now()
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
        """Store how a hook ended.

        Raises:
            SupersededError: the record is not this pod's any more.
            ApiRefusedError, ApiUnreachableError: it cannot be stored.
        """
        with self._write_lock:
            self._body["hooks"] = [*self._body.get("hooks", []), outcome]
            if self._me.only_hooks:
                self._body["finishedAt"] = self.now()
            self._put(deadline)

    def _make_room(self, response: dict[str, Any]) -> None:
        """An error with checkpoint, output and data can be larger than a record: keep what is still needed."""
        if self._me.is_final_attempt and not response.get("retryable"):
            self._body.pop("checkpoint", None)  # nobody will start from it
        else:
            response.pop("output", None)  # the checkpoint has it
        if _bytes(self._body) > RECORD_BYTES and "data" in response["error"]:
            response["error"]["data"] = {"refused": "there was no room for it beside input and output"}

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
        """After a refusal: is what we wanted there already, or can it be tried again? Raises if neither."""
        if stored is None or _claimed_by(stored) != _claimed_by(self._body):
            raise SupersededError("the record of this pod is gone")
        response = self._body.get("response")
        if stored.get("response") is not None:
            if stored["response"] != response:
                raise ResponseLostError(status, "another response was stored first")
            if stored.get("hooks") == self._body.get("hooks"):
                return True
        if status == 422 and stored["metadata"]["resourceVersion"] == self._body["metadata"]["resourceVersion"]:
            raise ApiRefusedError(status, str(answer.get("message", "")))
        # Who changed the record did not mean to take it from its run; a policy would refuse it without its owner.
        self._body["metadata"] = {**stored["metadata"], "ownerReferences": self._owners}
        return False

    def _document(self) -> dict[str, Any]:
        """Return the whole record as it is to be stored, news included, cut to what a record may hold."""
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
