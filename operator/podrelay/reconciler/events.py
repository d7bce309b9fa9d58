"""Kubernetes Events about runs that the operator cannot help: `kubectl describe trun` shows them.

A status that the API server refuses cannot tell anybody about itself. One Event tells it, under a name that follows
from the run, so that neither a second operator nor the same one after a restart makes a second.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp

from podrelay.api import limits, names
from podrelay.kube.client import Client, Resource
from podrelay.kube.errors import ApiError
from podrelay.reconciler.objects import Metadata
from podrelay.reconciler.permissions import Permission

log = logging.getLogger(__name__)

EVENTS: Final = Resource("", "v1", "events")
PERMISSIONS: Final = (Permission("", (EVENTS.plural,), ("create",)),)

STATUS_REFUSED: Final = "StatusRefused"
WRITE_REFUSED: Final = "WriteRefused"
_AGAIN_AFTER: Final = timedelta(hours=1)
"""The API server forgets Events after an hour."""
_MOST_KNOWN: Final = 1000
_MESSAGE_LENGTH: Final = 1024
"""Of an Event, by its schema."""


class Events:
    """Creates Events, each once an hour.

    Args:
        client: the API server.
        clock: returns the current time, aware, UTC.
    """

    def __init__(self, client: Client, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._client = client
        self._clock = clock
        self._told: dict[str, datetime] = {}

    async def status_refused(self, run: Metadata, refusal: str) -> None:
        """Tell that the status of a run cannot be written, in the API server's words. Never raises for a failure."""
        message = (
            "the API server refuses the status of this run, so nothing of it is shown and it may never end; "
            f"please report it, and delete the run: {refusal}"
        )
        await self._tell(run, STATUS_REFUSED, message)

    async def write_refused(self, run: Metadata, refusal: str) -> None:
        """Tell that something cannot be done for a run, in the API server's words. Never raises for a failure."""
        message = (
            "the API server refuses what the operator has to do for this run, such as ending its pod; it is tried "
            f"again, mend what refuses it: {refusal}"
        )
        await self._tell(run, WRITE_REFUSED, message)

    async def _tell(self, run: Metadata, reason: str, message: str) -> None:
        name, now = f"{run.name}.{run.uid}.{reason.lower()}", self._clock()
        if now - self._told.get(name, now - _AGAIN_AFTER) < _AGAIN_AFTER:
            return
        if len(self._told) >= _MOST_KNOWN:
            self._told.clear()
        self._told[name] = now
        log.error("%s", message, extra={"run": f"{run.namespace}/{run.name}"})
        try:
            await self._client.create(EVENTS, run.namespace, _event(run, name, reason, message, now))
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            if getattr(error, "api_reason", "") != "AlreadyExists":
                log.warning("no Event could be made: %s", str(error) or type(error).__name__)


def _event(run: Metadata, name: str, reason: str, message: str, now: datetime) -> dict[str, Any]:
    moment = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": run.namespace},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": "TaskRun",
            "namespace": run.namespace,
            "name": run.name,
            "uid": run.uid,
        },
        "type": "Warning",
        "reason": reason,
        "message": limits.cut(message, _MESSAGE_LENGTH),
        "source": {"component": "podrelay-operator"},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
