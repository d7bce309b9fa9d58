"""Lists of tasks and logs: from `where`, `sort`, `limit`, `after` and `search` to a page of the cache."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from podrelay.api import names
from podrelay.gateway import filters
from podrelay.gateway.call import Call
from podrelay.gateway.fields import Field, Kind, log_fields, phase_of, task_fields
from podrelay.gateway.filters import Condition
from podrelay.gateway.objects import Key, Record, Run
from podrelay.gateway.payloads import Object, Payloads
from podrelay.gateway.sorting import Order, Page, Pager

DEFAULT_LIMIT: Final = 50
_PART: Final = 100
"""So many objects are looked through at a time: less than 1 ms."""

T = TypeVar("T")


@dataclass(frozen=True)
class Listing:
    """What a list is asked for.

    Attributes:
        where: its conditions.
        sort: its sorters, first the most important one.
        limit: how many on a page; None or less than 1 means 50.
        after: the cursor of the page before.
        search: words that must all occur.
        items: for logs, conditions that one of its lines must fulfil.
    """

    where: Sequence[Condition] = ()
    sort: Sequence[str] = ()
    limit: float | None = None
    after: str | None = None
    search: str | None = None
    items: Sequence[Condition] = ()


async def tasks(call: Call, listing: Listing, parent: Run | None = None) -> Page[Run]:
    """Return a page of runs; with `parent` of its children only. Whether the caller may see them is checked before.

    Raises:
        ValidationError: a filter or cursor that cannot be used.
    """
    fields = task_fields(call.cache.definitions)
    matches = filters.predicate(fields, listing.where, listing.search)
    if parent is not None:
        candidates = call.cache.runs.indexed("parent", parent.metadata.namespace, parent.metadata.name)
    else:
        candidates = _candidates(call, fields, listing)
    order = Order(fields, listing.sort)
    pager = Pager(matches, order, page_size(call, listing.limit), listing.after)
    return await _page(call, candidates, pager, listing)


async def logs(call: Call, payloads: Payloads, listing: Listing, run: Key | None = None) -> Page[Record]:
    """Return a page of records; with `run` of that one only. Whether the caller may see them is checked before.

    Raises:
        ValidationError: a filter or cursor that cannot be used.
        LimitError: log lines of too many records would have to be read.
    """
    fields = log_fields(call.cache.runs)
    matches = filters.predicate(fields, listing.where, listing.search)
    of_tasks = [run.name] if run else filters.wanted(fields, listing.where, "task")
    namespace = run.namespace if run else call.scope.namespace
    candidates = call.cache.records.select(namespace, {} if of_tasks is None else {"run": of_tasks})
    order = Order(fields, listing.sort)
    pager = Pager(matches, order, page_size(call, listing.limit), listing.after)
    if listing.items:
        found: list[Record] = []
        async for part in _parts(call, candidates, listing):
            found += filter(matches, part)
        candidates = await _with_items(call, payloads, found, listing.items)
    return await _page(call, candidates, pager, listing)


async def _page(call: Call, candidates: Iterable[T], pager: Pager[T], listing: Listing) -> Page[T]:
    """Look through all candidates."""
    async for part in _parts(call, candidates, listing):
        pager.add(part)
    return pager.page()


async def _parts(call: Call, objects: Iterable[T], listing: Listing) -> AsyncIterator[list[T]]:
    """Yield all objects, a few at a time, each part in its turn and on account of the operation."""
    weight = filters.weight(listing.where, listing.search) + len(listing.sort)
    everything = list(objects)  # the cache may change between two parts
    for start in range(0, len(everything), _PART):
        await call.services.turns.give()
        part = everything[start : start + _PART]
        call.budget.take_looks(weight * len(part))
        yield part


def page_size(call: Call, limit: float | None) -> int:
    """Return how many are on a page: as many as asked for, within the limit of the gateway."""
    wanted = DEFAULT_LIMIT if limit is None or limit < 1 else limit
    return int(min(wanted, call.services.limits.max_page))


def _candidates(call: Call, fields: Mapping[str, Field[Run]], listing: Listing) -> Iterable[Run]:
    """Return the runs to look through: few, where the filter names values that an index has."""
    runs, namespace = call.cache.runs, call.scope.namespace
    ids = filters.wanted(fields, listing.where, "id")
    if ids is not None and namespace is not None:
        found = (runs.get(Key(namespace, name)) for name in dict.fromkeys(ids))
        return [run for run in found if run is not None]
    indexes: dict[str, list[str]] = {}
    for index, name in (("definition", "definitionId"), ("phase", "taskStatus"), ("parent", "parentId")):
        values = filters.wanted(fields, listing.where, name)
        if values is not None:
            indexes[index] = _spelled_as_stored(index, values)
    return runs.select(namespace, indexes)


def _spelled_as_stored(index: str, values: list[str]) -> list[str]:
    if index == "definition":
        return [names.definition_name(value) for value in values]
    if index == "phase":
        return [phase for value in values if (phase := phase_of(value)) is not None]
    return values


# --- lines of logs ----------------------------------------------------------------------------------------------------


def _time(item: Object) -> datetime:
    return datetime.fromisoformat(item["time"])


ITEM_FIELDS: Final[Mapping[str, Field[Object]]] = {
    "message": Field(Kind.TEXT, lambda item: item["message"]),
    "createdOn": Field(Kind.DATE, _time),
    "type": Field(Kind.TEXT, lambda item: item["type"]),
}
"""The fields of a log line."""


async def _with_items(
    call: Call, payloads: Payloads, records: list[Record], conditions: Sequence[Condition]
) -> list[Record]:
    """Return the records that have a line which fulfils the conditions."""
    matches = filters.predicate(ITEM_FIELDS, conditions, None)
    read: list[Any] = await asyncio.gather(*(payloads.record(record.key) for record in records))
    found: list[Record] = []
    for record, stored in zip(records, read, strict=True):
        await call.services.turns.give()
        if any(matches(item) for item in stored.get("logs") or ()):
            found.append(record)
    return found
