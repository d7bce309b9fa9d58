"""Follows resources: lists and watches them, resumes broken watches, and lists again when too much was missed."""

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from podrelay.client.resources import ExpiredError, Query, Resource, Resources
from podrelay.client.stream import Cancellation, Deadline

OUTAGE_SECONDS: Final = 300.0
"""A stream survives an API server that is unavailable for this long."""
_SHORTEST_WATCH: Final = 1.0
"""The minimum time between two watches, in seconds, even if the first one breaks at once."""


@dataclass(frozen=True)
class Change:
    """A change of a followed resource.

    Attributes:
        type: SYNCED follows the last resource of a list; what comes later has happened since.
        resource: the resource; its last state for DELETED; empty for SYNCED.
    """

    type: Literal["ADDED", "MODIFIED", "DELETED", "SYNCED"]
    resource: Resource


@dataclass(frozen=True)
class Follower:
    """Follows the resources of a query until it is cancelled or the deadline is past.

    Attributes:
        resources: the API server.
        query: selects the resources.
        cancellation: ends it.
        deadline: also ends it.
        order: key by which the resources of a list are sorted; None: by namespace and name.
    """

    resources: Resources
    query: Query
    cancellation: Cancellation
    deadline: Deadline
    order: Callable[[Resource], Any] | None = None
    _known: dict[str, Resource] = field(default_factory=dict, init=False)

    def changes(self) -> Generator[Change]:
        """Yield the existing resources, then every change.

        Changes during an interruption of the watch are found by comparing lists, so no final state and no deletion is
        missed; intermediate states may be.

        Raises:
            RequestRefusedError: the request is forbidden.
            ApiUnavailableError: the API server was unavailable for 5 minutes, or until the deadline.
        """
        while not self._is_over():
            with contextlib.suppress(ExpiredError):
                version = yield from self._listed()
                if self.cancellation.is_set:
                    return
                yield Change("SYNCED", {})
                yield from self._watched(version)

    def _listed(self) -> Generator[Change, None, str]:
        """Yield the differences between the list and the known resources; return the list's resourceVersion."""
        items: list[Resource] = []
        version, patience = "", self.deadline.within(OUTAGE_SECONDS)
        for page in self.resources.pages(self.query, cancellation=self.cancellation, patience=patience):
            items += page["items"]
            version = page["metadata"]["resourceVersion"]
        if self.cancellation.is_set:
            return version  # the list is incomplete and must not be compared
        listed = {item["metadata"]["uid"] for item in items}
        for uid in [uid for uid in self._known if uid not in listed]:
            yield Change("DELETED", self._known.pop(uid))
        for item in sorted(items, key=self.order) if self.order else items:
            before = self._known.get(item["metadata"]["uid"])
            if before is None or _version(before) != _version(item):
                self._known[item["metadata"]["uid"]] = item
                yield Change("ADDED" if before is None else "MODIFIED", item)
        return version

    def _watched(self, version: str) -> Generator[Change]:
        while not self._is_over():
            pause = Deadline(_SHORTEST_WATCH)
            patience = self.deadline.within(OUTAGE_SECONDS)
            for event in self.resources.watch(self.query, version, self.cancellation, self.deadline, patience):
                version = _version(event["object"])
                if event["type"] == "BOOKMARK":
                    continue
                self._remember(event)
                yield Change(event["type"], event["object"])
                if self._is_over():
                    return
            self.cancellation.wait(self.deadline.within(pause.within(_SHORTEST_WATCH)))

    def _remember(self, event: Resource) -> None:
        uid = event["object"]["metadata"]["uid"]
        if event["type"] == "DELETED":
            self._known.pop(uid, None)
        else:
            self._known[uid] = event["object"]

    def _is_over(self) -> bool:
        return self.cancellation.is_set or self.deadline.is_past


def _version(resource: Resource) -> str:
    version: str = resource["metadata"]["resourceVersion"]
    return version
