"""Creates Kubernetes Events: `kubectl describe` shows them, exporters and alerts collect them.

Events of runs (`event_rules`) are created in the background, at most five a second; in a burst, Events of healthy runs
are dropped first. The name of an Event is derived from its content, so that neither another replica nor a restarted
operator creates it twice.

Problems that no status can show are reported at once: the API server refuses the status of a run. The operator itself
has no status, so it reports on its Lease why it has released it.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from podrelay.api import limits, names
from podrelay.kube.api import Api
from podrelay.kube.errors import ApiError, TransportError
from podrelay.kube.resources import EVENTS
from podrelay.operator.event_rules import News
from podrelay.operator.objects.metadata import Metadata
from podrelay.operator.rbac import Permission

log = logging.getLogger(__name__)

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
"""The limit of the schema of Events."""
_PER_SECOND: Final = 5.0
_BURST: Final = 25
_MOST_NORMAL: Final = 50
"""Waiting Events of healthy runs; these are of little use ten seconds later."""
_MOST_WARNINGS: Final = 1000


class Events:
    """Creates Events, each at most once an hour.

    Args:
        client: the API server.
        clock: returns the current time, aware, UTC.
        dropped: called for each Event that is dropped because there are too many at once.
    """

    def __init__(
        self,
        client: Api,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._dropped = dropped
        self._clock = clock
        self._reported: dict[str, datetime] = {}
        self._waiting: dict[bool, deque[tuple[str, dict[str, Any]]]] = {True: deque(), False: deque()}
        """Namespace and Event, by whether it is a warning."""
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Create the waiting Events, until cancelled."""
        loop = asyncio.get_running_loop()
        budget, since = float(_BURST), loop.time()
        while True:
            while not any(self._waiting.values()):
                self._news.clear()
                await self._news.wait()
            budget, since = min(_BURST, budget + (loop.time() - since) * _PER_SECOND), loop.time()
            if budget < 1:
                await asyncio.sleep((1 - budget) / _PER_SECOND)
                continue
            budget -= 1
            namespace, event = (self._waiting[True] or self._waiting[False]).popleft()
            await self._create(namespace, event)

    def happened(self, run: Metadata, news: Iterable[News]) -> None:
        """Queue Events about a run, to be created soon. Returns at once."""
        about = _about(run)
        for one in news:
            waiting = self._waiting[one.is_warning]
            if len(waiting) >= (_MOST_WARNINGS if one.is_warning else _MOST_NORMAL):
                self._dropped()
                continue
            digest = hashlib.sha256(f"{run.uid} {one.key}".encode()).hexdigest()[:16]
            event = _event(about, run.namespace, f"{run.name}.{digest}", one.reason, one.message, self._clock())
            waiting.append((run.namespace, event if one.is_warning else event | {"type": "Normal"}))
            self._news.set()

    async def status_refused(self, run: Metadata, refusal: str) -> None:
        """Report that the API server refuses the status of a run, with its message. Never raises on failure."""
        message = (
            "the API server refuses the status of this run, so the status is not updated and the run may never finish; "
            f"please report this, and delete the run: {refusal}"
        )
        await self._report(run, STATUS_REFUSED, message)

    async def write_refused(self, run: Metadata, refusal: str) -> None:
        """Report that a write for a run is refused, with the message of the API server. Never raises on failure."""
        message = (
            "the API server refuses a write of the operator for this run, such as ending its pod; the operator retries "
            f"it until the cause is fixed: {refusal}"
        )
        await self._report(run, WRITE_REFUSED, message)

    async def _report(self, run: Metadata, reason: str, message: str) -> None:
        name, now = f"{run.name}.{run.uid}.{reason.lower()}", self._clock()
        if now - self._reported.get(name, now - _AGAIN_AFTER) < _AGAIN_AFTER:
            return
        if len(self._reported) >= _MOST_KNOWN:
            self._reported.clear()
        self._reported[name] = now
        log.error("%s", message, extra={"run": f"{run.namespace}/{run.name}"})
        await self._create(run.namespace, _event(_about(run), run.namespace, name, reason, message, now))

    async def lease_given_away(self, lease: dict[str, str], namespace: str, identity: str, why: str) -> None:
        """Create an Event on the Lease that says why a leader has released it. Never raises on failure.

        Args:
            lease: its apiVersion, kind, name and uid.
            namespace: the namespace of the Lease.
            identity: the former holder.
            why: the problem of the leader.
        """
        now = self._clock()
        name = f"{lease['name']}.{int(now.timestamp() * 1000):x}.{LEASE_GIVEN_AWAY.lower()}"
        message = f"{identity} has released the Lease, so that another replica can lead: {why}"
        await self._create(namespace, _event(lease, namespace, name, LEASE_GIVEN_AWAY, message, now))

    async def _create(self, namespace: str, event: dict[str, Any]) -> None:
        try:
            await self._client.create(EVENTS, namespace, event)
        except (ApiError, TransportError, TimeoutError) as error:
            if getattr(error, "api_reason", "") != "AlreadyExists":
                log.warning("could not create an Event: %s", str(error) or type(error).__name__)


def _about(run: Metadata) -> dict[str, str]:
    return {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": run.name, "uid": run.uid}


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
