"""Kubernetes Events about what no status can tell: `kubectl describe` shows them.

A status that the API server refuses cannot tell anybody about itself. One Event tells it, under a name that follows
from the run, so that neither a second operator nor the same one after a restart makes a second. And an operator has no
status at all: what it does with its Lease is told on that.
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
PERMISSIONS: Final = (
    Permission("", (EVENTS.plural,), ("create",)),
    Permission("", (EVENTS.plural,), ("create",), own_namespace=True),
)

STATUS_REFUSED: Final = "StatusRefused"
WRITE_REFUSED: Final = "WriteRefused"
LEASE_GIVEN_AWAY: Final = "LeaseGivenAway"
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
        about = {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": run.name, "uid": run.uid}
        await self._create(run.namespace, _event(about, run.namespace, name, reason, message, now))

    async def lease_given_away(self, lease: dict[str, str], namespace: str, identity: str, why: str) -> None:
        """Tell on its Lease that a leader has given it away. Never raises for a failure.

        Args:
            lease: apiVersion, kind, name and uid of it.
            namespace: where it is.
            identity: who has given it away.
            why: what the leader could not do.
        """
        now = self._clock()
        name = f"{lease['name']}.{int(now.timestamp() * 1000):x}.{LEASE_GIVEN_AWAY.lower()}"
        message = f"{identity} leaves the lead to another replica: {why}"
        await self._create(namespace, _event(lease, namespace, name, LEASE_GIVEN_AWAY, message, now))

    async def _create(self, namespace: str, event: dict[str, Any]) -> None:
        try:
            await self._client.create(EVENTS, namespace, event)
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            if getattr(error, "api_reason", "") != "AlreadyExists":
                log.warning("no Event could be made: %s", str(error) or type(error).__name__)


def _event(
    about: dict[str, str], namespace: str, name: str, reason: str, message: str, now: datetime
) -> dict[str, Any]:
    moment = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {**about, "namespace": namespace},
        "type": "Warning",
        "reason": reason,
        "message": limits.cut(message, _MESSAGE_LENGTH),
        "source": {"component": "podrelay-operator"},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
