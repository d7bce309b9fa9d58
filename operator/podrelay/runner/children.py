"""Starts and lists the children of a run, for `controller.task`.

The name of a child follows from what it is to do, so a retried try finds the children that an earlier one has made, and
a request whose answer was lost is harmless.
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
    """The children of the run that this pod works for. Its methods may be called by several threads.

    Args:
        client: the API server; from now on only the children's.
        me: what this pod is.
        deadline: until when the API server is tried.
    """

    def __init__(self, client: ApiClient, me: Environment, deadline: Deadline) -> None:
        self._client = client
        self._me = me
        self._deadline = deadline
        self._lock = threading.Lock()
        self._equal_calls: Counter[str] = Counter()

    def trigger(self, child: WantedRun) -> TaskRun:
        """Create a child, or find it where it has been created already.

        Raises:
            TriggerConflictError: there is one of its name that was asked for otherwise.
            ApiRefusedError, ApiUnreachableError: it cannot be created.
        """
        with self._lock:
            what = run_names.canonical([child.definition, child.input])
            stored = self._create(_manifest(self._me, child, self._name(child, what)))
            if child.key is None:
                self._equal_calls[what] += 1  # not before: who tries again after an error means the same child
            return self._read(stored)

    def find(self, definition: str | None) -> list[TaskRun]:
        """Return the children, those of one definition or all, by their age.

        Raises:
            ApiRefusedError, ApiUnreachableError: they cannot be read.
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
                    return _as_asked_for(stored, manifest)
            # It was deleted in between, or the conflict is about something else, such as a quota used by many at once.
            self._client.wait_after_conflict(answer, self._deadline)

    def _list(self, definition: str | None) -> list[dict[str, Any]]:
        selector = f"spec.parent={self._me.run}" + (f",spec.definition={definition}" if definition else "")
        found: list[dict[str, Any]] = []
        more = ""
        while True:
            query = {"fieldSelector": selector, "limit": str(_PAGE_SIZE)} | ({"continue": more} if more else {})
            url = f"{path(self._me.namespace, names.TASK_RUNS)}?{urlencode(query)}"
            status, answer = self._client.request("GET", url, None, self._deadline)
            if status == 410 and more:  # the rest of the list is too old; from the beginning again
                found, more = [], ""
                continue
            if status != 200:
                raise ApiRefusedError(status, str(answer.get("message", "")))
            found += answer.get("items") or []
            more = (answer.get("metadata") or {}).get("continue") or ""
            if not more:
                return found

    def _is_mine(self, stored: dict[str, Any]) -> bool:
        """Whether it is not the child of an earlier run of this name, which garbage collection is about to remove."""
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
        # Only tries of this iteration ask for it again; for one with a key every iteration may.
        manifest["metadata"].setdefault("annotations", {})[names.ANNOTATION_PARENT_ITERATION] = str(me.iteration)
    return manifest


def _as_asked_for(stored: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    stored["spec"].setdefault("input", {})
    check_same(stored, manifest)
    return stored
