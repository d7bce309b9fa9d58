"""Starts and lists the children of a run, for `controller.task`.

The name of a child is derived from its definition and input, so a retry finds the children that an earlier attempt
created, and a request whose response was lost can be repeated.
"""

import threading
from collections import Counter
from typing import Any, Final
from urllib.parse import urlencode

from podrelay.api import names, run_names
from podrelay.api.wanted_run import WantedRun, check_same
from podrelay.runner.api_client import ApiClient, Deadline, path
from podrelay.runner.environment import Environment
from podrelay.runner.runs import task_run
from podrelay.sdk.errors import ApiRefusedError
from podrelay.sdk.task import TaskRun

_PAGE_SIZE: Final = 500


class Children:
    """The children of this pod's run. Its methods are thread-safe.

    Args:
        client: client for the API server; only this object may use it from now on.
        me: the environment of this pod.
        deadline: when to stop retrying requests.
    """

    def __init__(self, client: ApiClient, me: Environment, deadline: Deadline) -> None:
        self._client = client
        self._me = me
        self._deadline = deadline
        self._lock = threading.Lock()
        self._equal_calls: Counter[str] = Counter()

    def trigger(self, child: WantedRun) -> TaskRun:
        """Create a child, or return it if it already exists.

        Raises:
            TriggerConflictError: a different run with its name already exists.
            ApiRefusedError, ApiUnreachableError: the child cannot be created.
        """
        with self._lock:
            what = run_names.canonical([child.definition, child.input])
            stored = self._create(_manifest(self._me, child, self._name(child, what)))
            if child.key is None:
                self._equal_calls[what] += 1  # only now: a call that is repeated after an error means the same child
            return self._read(stored)

    def find(self, definition: str | None) -> list[TaskRun]:
        """Return the children, all of them or those of one definition, oldest first.

        Raises:
            ApiRefusedError, ApiUnreachableError: the children cannot be read.
        """
        with self._lock:
            mine = [stored for stored in self._list(definition) if self._is_mine(stored)]
            mine.sort(key=lambda stored: (stored["metadata"]["creationTimestamp"], stored["metadata"]["name"]))
            return [self._read(stored) for stored in mine]

    def _name(self, child: WantedRun, what: str) -> str:
        me = self._me
        if child.key is None:
            identity = [me.origin_uid, me.iteration, what, self._equal_calls[what]]
        else:
            identity = [me.origin_uid, child.definition, child.key]
        return run_names.name_for(child.definition, *identity)

    def _create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        namespace, name = self._me.namespace, manifest["metadata"]["name"]
        while True:
            status, answer = self._client.request("POST", path(namespace, names.TASK_RUNS), manifest, self._deadline)
            if status < 300:
                return answer
            if status != 409:
                raise ApiRefusedError(status, str(answer.get("message", "")))
            if answer.get("reason") == "AlreadyExists":
                stored = self._client.read(namespace, names.TASK_RUNS, name, self._deadline)
                if stored is not None:
                    return _as_requested(stored, manifest)
            # The run was deleted in between, or this is another kind of conflict, such as about a quota.
            self._client.wait_after_conflict(answer, self._deadline)

    def _list(self, definition: str | None) -> list[dict[str, Any]]:
        selector = f"spec.parent={self._me.run}" + (f",spec.definition={definition}" if definition else "")
        found: list[dict[str, Any]] = []
        more = ""
        while True:
            query = {"fieldSelector": selector, "limit": str(_PAGE_SIZE)} | ({"continue": more} if more else {})
            url = f"{path(self._me.namespace, names.TASK_RUNS)}?{urlencode(query)}"
            status, answer = self._client.request("GET", url, None, self._deadline)
            if status == 410 and more:  # the continue token has expired; start again
                found, more = [], ""
                continue
            if status != 200:
                raise ApiRefusedError(status, str(answer.get("message", "")))
            found += answer.get("items") or []
            more = (answer.get("metadata") or {}).get("continue") or ""
            if not more:
                return found

    def _is_mine(self, stored: dict[str, Any]) -> bool:
        """Whether it is a child of this run, and not of an earlier run of this name that is being garbage-collected."""
        owners = [owner for owner in stored["metadata"].get("ownerReferences") or () if owner["kind"] == "TaskRun"]
        return not owners or any(owner["uid"] == self._me.run_uid for owner in owners)

    def _read(self, stored: dict[str, Any]) -> TaskRun:
        name = (stored.get("status") or {}).get("outputFrom")
        if not name:
            return task_run(stored)
        record = self._client.read(self._me.namespace, names.TASK_ITERATIONS, name, self._deadline) or {}
        return task_run(stored, (record.get("response") or {}).get("output"))


def _manifest(me: Environment, child: WantedRun, name: str) -> dict[str, Any]:
    manifest = child.manifest(
        namespace=me.namespace, resource_name=name, parent={"metadata": {"name": me.run, "uid": me.run_uid}}
    )
    if child.key is None:
        # Only attempts of this iteration request this child again; a child with a key, any iteration may request.
        manifest["metadata"].setdefault("annotations", {})[names.ANNOTATION_PARENT_ITERATION] = str(me.iteration)
    return manifest


def _as_requested(stored: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    stored["spec"].setdefault("input", {})
    check_same(stored, manifest)
    return stored
