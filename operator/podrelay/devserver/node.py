"""The node: a thread that runs the kubelet, and does what controllers of Kubernetes do in the background."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from podrelay.api import names
from podrelay.kube.errors import AlreadyExistsError, ApiError, NotFoundError
from podrelay.local.history import Event
from podrelay.local.inbox import Inbox
from podrelay.local.kinds import KINDS, NAMESPACES, SERVICE_ACCOUNTS
from podrelay.local.kubelet import Kubelet, Runtime
from podrelay.local.memory_api import PODS, MemoryApi

NAMESPACE: Final = "default"
_EVENTS: Final = "events"
_EVENT_AGE: Final = timedelta(hours=1)
"""As in Kubernetes."""
_MOST_EVENTS: Final = 5000
_LONGEST_WAIT: Final = 60.0
"""Seconds. After this time at the latest, the clock is checked again, because the computer may have been suspended."""
_GRACE: Final = timedelta(seconds=5)
"""How long containers may take to end when the node is stopped."""


class Node:
    """The node and its controllers.

    Args:
        api: the API server, which must call `take` with each change.
        runtime: starts containers.
        folder: directory for files of the containers; only this user may have access to it.
        changed: called with each change, in the thread of the node.
    """

    def __init__(self, api: MemoryApi, runtime: Runtime, folder: Path, changed: Callable[[Event], None]) -> None:
        self._api = api
        self._changed = changed
        self._kubelet = Kubelet(api, runtime, folder, lambda: datetime.now(UTC))
        self._inbox = Inbox()
        self._stop_at: datetime | None = None
        self._is_killing = threading.Event()
        self._swept_at = datetime.now(UTC)

    def take(self, event: Event) -> None:
        """Process a change later. May be called by any thread."""
        self._inbox.put(event)

    def wake(self) -> None:
        """Check all containers again. May be called by any thread."""
        self._inbox.wake()

    def stop(self) -> None:
        """Ask all containers to end, then return from `run`; a second call kills them. May be called by any thread."""
        if self._stop_at is not None:
            self._is_killing.set()
        else:
            self._stop_at = datetime.now(UTC) + _GRACE
        self.wake()

    def run(self) -> None:
        """Work until the node is stopped and no container runs."""
        for pod in self._api.find(PODS).items:
            self._kubelet.see(pod, is_deletion=False)
        self._kubelet.report_lost()
        is_stopping = False
        while True:
            if self._stop_at is not None and not is_stopping:
                is_stopping = True
                self._kubelet.shut_down()
            self._settle()
            if is_stopping and not self._kubelet.is_busy:
                return
            if not self._kubelet.start_next():
                self._wait()

    def _settle(self) -> None:
        self._drain()
        while self._api.collect_garbage() | self._kubelet.sync():
            self._drain()
        if self._stop_at is not None and (datetime.now(UTC) >= self._stop_at or self._is_killing.is_set()):
            self._kubelet.kill_all()
        if datetime.now(UTC) - self._swept_at > timedelta(seconds=_LONGEST_WAIT):
            self._swept_at = datetime.now(UTC)
            self._remove_old_events()

    def _wait(self) -> None:
        due = [at for at in (self._kubelet.next_due(), self._stop_at) if at is not None]
        left = (min(due) - datetime.now(UTC)).total_seconds() if due else _LONGEST_WAIT
        if self._stop_at is not None:
            left = min(left, 0.2) if left > 0 else 0.2
        self._inbox.wait(min(left, _LONGEST_WAIT))

    def _drain(self) -> None:
        for event in self._inbox.taken():
            if event.plural == PODS:
                self._kubelet.see(event.object, is_deletion=event.is_deletion)
            elif event.plural == names.TASK_ITERATIONS:
                self._kubelet.read_output(event.object)  # a pod prints before it answers, so that is shown first
            elif event.plural == NAMESPACES:
                self._namespace_changed(event)
            self._changed(event)

    # --- what controllers of Kubernetes do ----------------------------------------------------------------------------

    def _namespace_changed(self, event: Event) -> None:
        name = event.object["metadata"]["name"]
        if event.is_deletion:
            self._empty(name)
        elif event.type == "ADDED":
            try:
                self._api.create(SERVICE_ACCOUNTS, name, {"metadata": {"name": "default"}})
            except (AlreadyExistsError, NotFoundError):
                return

    def _empty(self, namespace: str) -> None:
        """Delete everything in a namespace that was deleted."""
        for plural, kind in KINDS.items():
            for item in self._api.find(plural, namespace).items if kind.is_namespaced else ():
                self._delete(plural, item)

    def _remove_old_events(self) -> None:
        items = self._api.find(_EVENTS).items
        oldest = f"{datetime.now(UTC) - _EVENT_AGE:%Y-%m-%dT%H:%M:%SZ}"
        items.sort(key=_last_time)
        for place, item in enumerate(items):
            if _last_time(item) < oldest or len(items) - place > _MOST_EVENTS:
                self._delete(_EVENTS, item)

    def _delete(self, plural: str, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        try:
            self._api.delete(plural, metadata.get("namespace", ""), metadata["name"], uid=metadata["uid"])
        except ApiError:
            return  # deleted or changed meanwhile


def _last_time(event: dict[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])
