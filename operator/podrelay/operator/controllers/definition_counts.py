"""Shows in the status of each TaskDefinition how many of its runs have a pod, and how many wait for a slot.

It is level-based: it compares the current numbers with those in the status, regardless of the event that triggered it.
The condition Ready in the same status belongs to another module; the merge patches do not touch each other's fields.
"""

import asyncio
from typing import Any, Final

import msgspec

from podrelay.api import names
from podrelay.kube.client import Client
from podrelay.kube.errors import NotFoundError
from podrelay.kube.resources import TASK_DEFINITIONS, Key
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.controller import Controller
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.metrics import DEFINITION_WRITES
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.rbac import Permission

PERMISSIONS: Final = (Permission(names.GROUP, (f"{names.TASK_DEFINITIONS}/status",), ("patch",)),)
INTERVAL_SECONDS: Final = 15.0
"""Each definition's numbers are written at most this often."""

_SPACING_SECONDS: Final = 0.05
"""Pause after each write, so that there are at most 20 a second, regardless of the number of busy definitions."""

_decode = msgspec.json.Decoder(TaskDefinition).decode


class DefinitionCountsController:
    """Writes the numbers of runs.

    Args:
        client: the API server.
        store: knows the numbers.
        queue: the definitions to check.
    """

    def __init__(self, client: Client, store: Store, queue: WorkQueue[Key]) -> None:
        self._client = client
        self._store = store
        self._queue = queue
        self._written: dict[Key, float] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        await Controller(
            self._queue, self._reconcile, failed="runs of a definition not counted", kind="definition", workers=1
        ).run()

    async def _reconcile(self, key: Key) -> None:
        definition = self._store.definition(*key)
        if definition is None:
            self._written.pop(key, None)
            return
        wanted = {"activeRuns": self._store.slots.active(key), "queuedRuns": self._store.slots.queued(key)}
        shown = {"activeRuns": definition.status.active_runs, "queuedRuns": definition.status.queued_runs}
        changes: dict[str, Any] = {name: number for name, number in wanted.items() if number != (shown[name] or 0)}
        if not changes:
            return
        now = asyncio.get_running_loop().time()
        due = self._written.get(key, now - INTERVAL_SECONDS) + INTERVAL_SECONDS
        if now < due:
            self._queue.add_after(key, due - now)
            return
        self._written[key] = now
        try:
            body = await self._client.patch(
                TASK_DEFINITIONS, key.namespace, key.name, {"status": changes}, subresource="status"
            )
        except NotFoundError:
            return
        DEFINITION_WRITES.labels("counts").inc()
        self._store.definitions.apply(_decode(body))
        await asyncio.sleep(_SPACING_SECONDS)
