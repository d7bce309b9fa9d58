"""Kubernetes Events of a run and of its pods, read with the caller's token, who needs the right to list events."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from podrelay.gateway.call import Budget, Call
from podrelay.gateway.errors import API_FAILURES, from_api
from podrelay.gateway.objects import Run
from podrelay.kube.resources import EVENTS

MAX_PODS: Final = 20
"""The newest pods of a run whose Events are read, with one request each; Events are kept for an hour."""
MAX_EVENTS: Final = 500
"""Events that are read of one object."""
_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


class _Struct(msgspec.Struct, rename="camel", frozen=True):
    pass


class _Metadata(_Struct, frozen=True):
    name: str
    uid: str = ""
    creation_timestamp: datetime | None = None


class _Involved(_Struct, frozen=True):
    kind: str = ""
    name: str = ""
    uid: str = ""


class _Source(_Struct, frozen=True):
    component: str | None = None


class _Series(_Struct, frozen=True):
    count: int = 1
    last_observed_time: datetime | None = None


class _Event(_Struct, frozen=True):
    metadata: _Metadata
    involved_object: _Involved = _Involved()
    reason: str | None = None
    message: str | None = None
    type: str | None = None
    count: int | None = None
    source: _Source | None = None
    reporting_component: str | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: _Series | None = None


class _Events(_Struct, frozen=True):
    items: tuple[_Event, ...] | None = None


@dataclass(frozen=True)
class Event:
    """An Event.

    Attributes:
        id: its UID.
        type: Normal or Warning.
        reason: one word.
        message: the reason in plain text.
        kind: TaskRun or Pod.
        name: name of the object.
        source: the component that reported it.
        count: how many times it happened.
        first_at: when it happened first.
        last_at: when it happened last.
    """

    id: str
    type: str
    reason: str | None
    message: str | None
    kind: str
    name: str
    source: str | None
    count: int
    first_at: datetime | None
    last_at: datetime | None


async def events_of(call: Call, run: Run, pods: Sequence[str], budget: Budget) -> list[Event]:
    """Return the Events of a run and of its pods, newest first; without those of an earlier run with the same name.

    Args:
        call: the call, with the caller's token.
        run: the run.
        pods: names of its pods, newest first.
        budget: what remains for the operation: each object costs a request.

    Raises:
        GatewayError: they cannot be read.
    """
    selectors = [f"involvedObject.uid={run.metadata.uid}"]
    selectors += [f"involvedObject.kind=Pod,involvedObject.name={pod}" for pod in pods[:MAX_PODS]]
    for _ in selectors:
        budget.take_fetch()
    namespace = run.metadata.namespace
    found = await asyncio.gather(*(_list(call, namespace, selector, budget) for selector in selectors))
    recent: list[Event] = []
    for part in found:
        await call.services.turns.give()
        every = map(_of, part)
        recent += [event for event in every if (event.last_at or _BEFORE_ALL) >= run.metadata.creation_timestamp]
    return sorted(recent, key=lambda event: event.last_at or _BEFORE_ALL, reverse=True)


async def _list(call: Call, namespace: str, selector: str, budget: Budget) -> Sequence[_Event]:
    params = {"fieldSelector": selector, "limit": str(MAX_EVENTS)}
    await call.services.turns.give()
    try:
        async with budget.fetching:
            stored = await call.caller.client.request("GET", EVENTS.path(namespace), params=params)
    except API_FAILURES as error:
        raise from_api(error, f"list events in namespace {namespace}") from error
    budget.take_payload(len(stored))
    await call.services.turns.give()
    return msgspec.json.decode(stored, type=_Events).items or ()


def _of(event: _Event) -> Event:
    series = event.series or _Series(event.count or 1)
    first = event.first_timestamp or event.event_time or event.metadata.creation_timestamp
    return Event(
        id=event.metadata.uid,
        type=event.type or "Normal",
        reason=event.reason,
        message=event.message,
        kind=event.involved_object.kind,
        name=event.involved_object.name,
        source=event.reporting_component or (event.source.component if event.source else None),
        count=series.count,
        first_at=first,
        last_at=series.last_observed_time or event.last_timestamp or first,
    )
