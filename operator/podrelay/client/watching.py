"""Follows resources: lists and watches them, resumes broken watches, and lists again when too much was missed."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, Literal

from podrelay.client.resources import ExpiredError, Query, Resource, Resources
from podrelay.client.stream import Cancellation, Deadline

OUTAGE_SECONDS: Final = 300.0
"""A stream survives an API server that is unavailable for this long."""
_SHORTEST_WATCH: Final = 1.0
"""The minimum time between two watches, in seconds, even if the first one breaks at once."""


@dataclass(frozen=True)
class Change:
    """A change that follow() yields.

    Attributes:
        type: SYNCED follows the last resource of a list; what comes later has happened since.
        resource: the resource; its last state for DELETED; empty for SYNCED.
    """

    type: Literal["ADDED", "MODIFIED", "DELETED", "SYNCED"]
    resource: Resource


def follow(
    resources: Resources,
    query: Query,
    cancellation: Cancellation,
    deadline: Deadline,
    order: Callable[[Resource], Any] | None = None,
) -> Generator[Change]:
    """Yield the existing resources, then every change. Ends when it is cancelled or the deadline is past.

    Changes during an interruption of the watch are found by comparing lists, so no final state and no deletion is
    missed; intermediate states may be.

    Args:
        resources: the API server.
        query: selects the resources.
        cancellation: ends it.
        deadline: also ends it.
        order: key by which the resources of a list are sorted; None: by namespace and name.

    Raises:
        RequestRefusedError: the request is forbidden.
        ApiUnavailableError: the API server was unavailable for 5 minutes, or until the deadline.
    """
    known: dict[str, Resource] = {}
    while not (cancellation.is_set or deadline.is_past):
        try:
            version = yield from _listed(resources, query, cancellation, deadline, known, order)
            if cancellation.is_set:
                return
            yield Change("SYNCED", {})
            yield from _watched(resources, query, version, cancellation, deadline, known)
        except ExpiredError:
            continue


def _listed(
    resources: Resources,
    query: Query,
    cancellation: Cancellation,
    deadline: Deadline,
    known: dict[str, Resource],
    order: Callable[[Resource], Any] | None,
) -> Generator[Change, None, str]:
    """Yield the differences between the list and the known resources; return the list's resourceVersion."""
    items: list[Resource] = []
    version = ""
    for page in resources.pages(query, cancellation=cancellation, patience=deadline.within(OUTAGE_SECONDS)):
        items += page["items"]
        version = page["metadata"]["resourceVersion"]
    if cancellation.is_set:
        return version  # the list is incomplete and must not be compared
    listed = {item["metadata"]["uid"] for item in items}
    for uid in [uid for uid in known if uid not in listed]:
        yield Change("DELETED", known.pop(uid))
    for item in sorted(items, key=order) if order else items:
        before = known.get(item["metadata"]["uid"])
        if before is None or _version(before) != _version(item):
            known[item["metadata"]["uid"]] = item
            yield Change("ADDED" if before is None else "MODIFIED", item)
    return version


def _watched(
    resources: Resources,
    query: Query,
    version: str,
    cancellation: Cancellation,
    deadline: Deadline,
    known: dict[str, Resource],
) -> Generator[Change]:
    while not (cancellation.is_set or deadline.is_past):
        pause = Deadline(_SHORTEST_WATCH)
        patience = deadline.within(OUTAGE_SECONDS)
        for event in resources.watch(query, version, cancellation, deadline, patience):
            version = _version(event["object"])
            if event["type"] == "BOOKMARK":
                continue
            _remember(known, event)
            yield Change(event["type"], event["object"])
            if cancellation.is_set or deadline.is_past:
                return
        cancellation.wait(deadline.within(pause.within(_SHORTEST_WATCH)))


def _remember(known: dict[str, Resource], event: Resource) -> None:
    uid = event["object"]["metadata"]["uid"]
    if event["type"] == "DELETED":
        known.pop(uid, None)
    else:
        known[uid] = event["object"]


def _version(resource: Resource) -> str:
    version: str = resource["metadata"]["resourceVersion"]
    return version
