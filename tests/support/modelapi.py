"""The API server in memory for tests in virtual time, with one namespace and methods for changes by other clients.

It is the server of `podrelay run`. The integration tests check the same promises with the real API server.
"""

import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any

from podrelay.kube.errors import ApiError
from podrelay.local import patches, schema
from podrelay.local.history import Event
from podrelay.local.kinds import ObjectName
from podrelay.local.memory_api import PODS, Admission, MemoryApi
from podrelay.local.memory_client import MemoryClient

Manifest = dict[str, Any]
FINISHED = {"Succeeded", "Failed", "Aborted"}


class Server(MemoryApi):
    """The server of the product, with changes that no request can make."""

    def change(self, name: ObjectName, patch: Manifest) -> None:
        """Apply a merge patch to an object, including its status."""
        with self._lock:
            before = self.get(*name)
            self._change(name, before, patches.merged(before, patch))

    def remove(self, name: ObjectName) -> None:
        """Remove an object regardless of its finalizers."""
        with self._lock:
            self._remove(name)


class ModelApi(MemoryClient):
    """A client, with the history of all objects.

    Args:
        now: the time; tests change it.
        rules: the validation of stored objects; by default only of changes, so that tests may create minimal objects.
    """

    def __init__(self, now: datetime, rules: Admission = schema.changed) -> None:
        self.now = now
        self._rules = rules
        self.objects: dict[tuple[str, str], Manifest] = {}
        """By kind and name; read-only."""
        self.events: list[Event] = []
        self.decoded: dict[tuple[str, str], Any] = {}
        """Versions of objects as operators see them, by UID and resource version."""
        self.log_error: ApiError | None = None
        """The error of requests for logs, if any."""
        self.removed_at: dict[str, datetime] = {}
        """The time of removal of each object, by UID."""
        self.deleted_at: dict[str, datetime] = {}
        """The deletion timestamp that a removed object had, by UID."""
        self.stamp: datetime | None = None
        """The time that the API server has set in an object before its validating admission; None: now."""
        self.admit: Callable[[str, Manifest], None] = lambda _plural, _body: None
        """Admission of created objects; it rejects an object by raising an error."""
        uids = itertools.count(1)
        self._server = Server(
            lambda: self.stamp or self.now, self._report, admit=self._admitted, new_uid=lambda: f"uid-{next(uids)}"
        )
        super().__init__(self._server)

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        if path.endswith("/log") and self.log_error is not None:
            raise self.log_error
        return await super().request(method, path, **options)

    def _report(self, event: Event) -> None:
        self.events.append(event)
        metadata = event.object["metadata"]
        if event.is_deletion:
            del self.objects[event.plural, metadata["name"]]
            self.removed_at[metadata["uid"]] = self.now
            if "deletionTimestamp" in metadata:
                self.deleted_at[metadata["uid"]] = datetime.fromisoformat(metadata["deletionTimestamp"])
        else:
            self.objects[event.plural, metadata["name"]] = event.object

    def _admitted(self, plural: str, before: Manifest | None, after: Manifest) -> Manifest:
        if before is None:
            self.admit(plural, after)
        return self._rules(plural, before, after)

    # --- reads and writes of other clients ----------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The version of the last change."""
        return self.server.version

    def read(self, plural: str, name: str) -> Manifest:
        """Return an object.

        Raises:
            NotFoundError: it does not exist.
        """
        return self.objects.get((plural, name)) or self.server.get(plural, "", name)

    def find(self, plural: str) -> list[Manifest]:
        """Return all objects of a kind, in the order of their creation."""
        return [obj for (kind, _), obj in self.objects.items() if kind == plural]

    def change(self, plural: str, name: str, patch: Manifest) -> None:
        """Apply a merge patch to an object, including its status."""
        self._server.change(self._name(plural, name), patch)

    def remove(self, plural: str, name: str) -> None:
        """Remove an object regardless of its finalizers."""
        self._server.remove(self._name(plural, name))

    def delete_now(self, plural: str, name: str, grace_seconds: int | None = None) -> None:
        """Delete an object as by a request to the API server."""
        self.server.delete(*self._name(plural, name), grace_seconds=grace_seconds)

    def delete_pod(self, name: str) -> None:
        """Delete a pod: immediately if no kubelet has it, otherwise with its grace period."""
        self.delete_now(PODS, name)

    def remove_pod(self, name: str) -> None:
        """Delete a pod without a grace period: it is removed immediately, or when its finalizers are gone."""
        self.delete_now(PODS, name, 0)

    def prints(self, pod: str, text: bytes) -> None:
        """Let the container of a pod print."""
        self.server.logs.append(self.read(PODS, pod)["metadata"]["uid"], text)

    def _name(self, plural: str, name: str) -> ObjectName:
        return ObjectName(plural, self.read(plural, name)["metadata"]["namespace"], name)
