"""Kubernetes Events: `kubectl describe` shows them, exporters and alerts collect them.

What happens to a run (`event_rules`) is told beside the work, by at most five Events a second: in a burst those of runs
that go well are left out first. An Event has a name that follows from what it tells, so that neither a second operator
nor the same one after a restart makes a second.

What no status can tell is told at once: that the API server refuses the status of a run. And an operator has no status
at all: what it does with its Lease is told on that.
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
from podrelay.operator.objects import Metadata
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
"""Of an Event, by its schema."""
_PER_SECOND: Final = 5.0
_BURST: Final = 25
_MOST_NORMAL: Final = 50
"""Of runs that go well: news of them is worth little ten seconds later."""
_MOST_WARNINGS: Final = 1000


class Events:
    """Creates Events, each once an hour.

    Args:
        client: the API server.
        clock: returns the current time, aware, UTC.
        dropped: called for each Event that is left out because there are too many at once.
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
        self._told: dict[str, datetime] = {}
        self._waiting: dict[bool, deque[tuple[str, dict[str, Any]]]] = {True: deque(), False: deque()}
        """Namespace and Event, by whether it is a warning."""
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Make the Events that wait, until cancelled."""
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
        """Take what has happened to a run, to be told soon. Returns at once."""
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
        await self._create(run.namespace, _event(_about(run), run.namespace, name, reason, message, now))

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
        except (ApiError, TransportError, TimeoutError) as error:
            if getattr(error, "api_reason", "") != "AlreadyExists":
                log.warning("no Event could be made: %s", str(error) or type(error).__name__)


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
