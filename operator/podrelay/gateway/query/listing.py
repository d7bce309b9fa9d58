"""Lists of tasks and logs: from `where`, `sort`, `limit`, `after` and `search` to a page of the cache."""

import asyncio
import contextlib
import math
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Generic, TypeVar

from podrelay.api import names
from podrelay.gateway.cache import Age, Candidates
from podrelay.gateway.call import MAX_PAYLOAD_BYTES, Call
from podrelay.gateway.objects import Cached, Record, Run
from podrelay.gateway.payloads import Object, Payloads
from podrelay.gateway.query import filters
from podrelay.gateway.query.fields import PHASES, Field, Kind, log_fields, task_fields
from podrelay.gateway.query.filters import Condition, Predicate
from podrelay.gateway.query.sorting import Order, Page, Pager
from podrelay.kube.resources import Key

DEFAULT_LIMIT: Final = 50
_PART: Final = 100
"""How many objects are searched at a time: less than 1 ms."""
MAX_SEARCHED: Final = 250
"""Logs that are read to find a page of logs with certain lines."""
_READ_AT_ONCE: Final = 10

T = TypeVar("T", bound=Cached)


@dataclass(frozen=True)
class Listing:
    """The arguments of a list.

    Attributes:
        where: the conditions.
        sort: the sorters, the most important one first.
        limit: the size of a page; None or less than 1 means 50.
        after: the cursor of the previous page.
        search: words that must all occur.
        items: for logs: conditions that a single line of the log must meet.
        also: for tasks: a further condition, which no field shows.
    """

    where: Sequence[Condition] = ()
    sort: Sequence[str] = ()
    limit: float | None = None
    after: str | None = None
    search: str | None = None
    items: Sequence[Condition] = ()
    also: Predicate[Run] | None = None


async def tasks(call: Call, listing: Listing, parent: Run | None = None) -> Page[Run]:
    """Return a page of runs; with `parent`, only of its children. The caller's access has been checked before.

    Raises:
        ValidationError: a filter or the cursor is invalid.
        LimitError: too many runs would have to be searched.
    """
    runs, fields = call.cache.runs, task_fields(call.cache.definitions)
    if parent is not None:
        candidates = runs.candidates(parent.metadata.namespace, {"parent": [parent.metadata.name]})
    else:
        candidates = _candidates(call, fields, listing)
    return await _Look(call, candidates, fields, listing, runs.age, listing.also).page()


async def logs(call: Call, payloads: Payloads, listing: Listing, run: Key | None = None) -> Page[Record]:
    """Return a page of records; with `run`, only of that run. The caller's access has been checked before.

    Raises:
        ValidationError: a filter or the cursor is invalid.
        LimitError: too many records would have to be searched.
    """
    records, fields = call.cache.records, log_fields(call.cache.runs)
    of_tasks = [run.name] if run else filters.wanted(fields, listing.where, "task")
    namespace = run.namespace if run else call.scope.namespace
    candidates = records.candidates(namespace, {} if of_tasks is None else {"run": of_tasks})
    if listing.items:
        return await _with_items(call, payloads, listing, candidates, fields)
    return await _Look(call, candidates, fields, listing, records.age).page()


class _Look(Generic[T]):
    """Searches candidates in parts: between parts, other requests get their turn; the operation's budget is charged.

    Raises:
        ValidationError: a filter or the cursor is invalid.
    """

    def __init__(
        self,
        call: Call,
        candidates: Candidates[T],
        fields: Mapping[str, Field[T]],
        listing: Listing,
        age: Callable[[Key], Age | None],
        also: Predicate[T] | None = None,
    ) -> None:
        self._call = call
        self._candidates = candidates
        matches = filters.predicate(fields, listing.where, listing.search)
        self._matches = matches if also is None else lambda obj: also(obj) and matches(obj)
        self._order = Order(fields, listing.sort, age)
        self._limit = page_size(call, listing.limit)
        self._after = listing.after
        self._weight = filters.weight(listing.where, listing.search) + len(listing.sort)
        self._oldest, self._newest = filters.created_between(listing.where)
        is_by_phase = candidates.index == "phase" and len(listing.where) == 1
        self._all_match = also is None and not listing.search and (not listing.where or is_by_phase)

    async def page(self) -> Page[T]:
        """Return the requested page."""
        if self._order.newest_first is not None:
            return await self._page_by_age(newest_first=self._order.newest_first)
        pager = Pager(self._matches, self._order, self._limit, self._after)
        async for part in self._parts(_PART):
            pager.add(part)
        return pager.page()

    async def _page_by_age(self, *, newest_first: bool) -> Page[T]:
        """Return the page in the order of the cache: the search stops when the page is full."""
        start = self._order.age_of(self._after) if self._after else None
        found: list[T] = []
        async for part in self._parts(min(_PART, self._limit + 1), start, newest_first=newest_first):
            found += filter(self._matches, part)
            if len(found) > self._limit:
                break
        items = found[: self._limit]
        cursor = self._order.cursor(items[-1]) if len(found) > self._limit else None
        return Page(items, cursor, self._count)

    async def _count(self) -> int:
        if self._all_match:
            return len(self._candidates)
        count = 0
        async for part in self._parts(_PART):
            count += sum(map(self._matches, part))
        return count

    async def _parts(
        self, size: int, start: Age | None = None, *, newest_first: bool = True
    ) -> AsyncGenerator[list[T], None]:
        """Yield the candidates after a position whose time of creation matches the filter."""
        after = self._bounded(start, newest_first=newest_first)
        while True:
            await self._call.services.turns.give()
            part = self._candidates.part(after, size, newest_first=newest_first)
            self._call.budget.take_looks(self._weight * len(part))
            within = [obj for age, obj in part if self._oldest <= age[0] <= self._newest]
            if within:
                yield within
            if len(part) < size or len(within) < len(part):
                return
            after = part[-1][0]

    def _bounded(self, start: Age | None, *, newest_first: bool) -> Age:
        """Return the position after which the first candidate can be."""
        no_key = Key("", "")
        if newest_first:
            return min(start or (math.inf, 0, no_key), (self._newest, sys.maxsize, no_key))
        return max(start or (-math.inf, 0, no_key), (self._oldest, -1, no_key))


def page_size(call: Call, limit: float | None) -> int:
    """Return the size of a page: as requested, within the gateway's limit."""
    wanted = DEFAULT_LIMIT if limit is None or limit < 1 else limit
    return int(min(wanted, call.services.limits.max_page))


_INDEXED: Final = (
    ("definition", "definitionId"),
    ("phase", "taskStatus"),
    ("parent", "parentId"),
    ("schedule", "scheduleId"),
)


def _candidates(call: Call, fields: Mapping[str, Field[Run]], listing: Listing) -> Candidates[Run]:
    """Return the runs to search: only a few if the filter names values of an index."""
    runs, namespace = call.cache.runs, call.scope.namespace
    ids = filters.wanted(fields, listing.where, "id")
    if ids is not None and namespace is not None:
        return runs.some(Key(namespace, name) for name in ids)
    indexes: dict[str, list[str]] = {}
    for index, name in _INDEXED:
        values = filters.wanted(fields, listing.where, name)
        if values is not None:
            indexes[index] = _spelled_as_stored(index, values)
    return runs.candidates(namespace, indexes)


def _spelled_as_stored(index: str, values: list[str]) -> list[str]:
    if index == "definition":
        return [names.definition_name(value) for value in values]
    if index == "phase":
        return [PHASES[value] for value in values if value in PHASES]
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
    call: Call,
    payloads: Payloads,
    listing: Listing,
    candidates: Candidates[Record],
    fields: Mapping[str, Field[Record]],
) -> Page[Record]:
    """Return a page of the records that have a line which meets the conditions.

    Records are read in order until the page is full, or until a limit is reached and the search continues on the next
    page: the lines of 10,000 records would be half a gigabyte. So a page may be short or empty without being the last.
    """
    matches = filters.predicate(ITEM_FIELDS, listing.items, None)
    order, limit = Order(fields, listing.sort, call.cache.records.age), page_size(call, listing.limit)
    found: list[Record] = []
    read = 0
    last: Record | None = None

    async def total() -> int:
        return len(found)

    async with contextlib.aclosing(_read(call, payloads, listing, candidates, fields)) as records:
        async for record, stored in records:
            is_enough = read >= MAX_SEARCHED or call.budget.payload_bytes < MAX_PAYLOAD_BYTES // 2
            if last is not None and (is_enough or len(found) == limit):
                return Page(found, order.cursor(last), total)
            read, last = read + 1, record
            if any(matches(item) for item in stored.get("logs") or ()):
                found.append(record)
    return Page(found, None, total)


async def _read(
    call: Call,
    payloads: Payloads,
    listing: Listing,
    candidates: Candidates[Record],
    fields: Mapping[str, Field[Record]],
) -> AsyncGenerator[tuple[Record, Object], None]:
    """Yield the records that have lines, each with its complete object, in the requested order and after the cursor."""
    asked = replace(listing, limit=_PART)
    while True:
        page = await _Look(call, candidates, fields, asked, call.cache.records.age, _has_lines).page()
        for start in range(0, len(page.items), _READ_AT_ONCE):
            part = page.items[start : start + _READ_AT_ONCE]
            stored: list[Object] = await asyncio.gather(*(payloads.record(record.key) for record in part))
            for found in zip(part, stored, strict=True):
                await call.services.turns.give()
                yield found
        if page.cursor is None:
            return
        asked = replace(asked, after=page.cursor)


def _has_lines(record: Record) -> bool:
    return bool(record.logs)
