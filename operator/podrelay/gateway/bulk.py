"""One mutation of many tasks: those that are named, or a page of those that a filter finds, each with its own outcome.

The API server authorizes each write, as for a single task. A failure of one task does not affect the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeAlias, TypeVar

from podrelay.api import names
from podrelay.gateway.call import Call
from podrelay.gateway.errors import GatewayError, NotAuthorizedError, UnavailableError, ValidationError, masked
from podrelay.gateway.objects import Run
from podrelay.gateway.query import listing
from podrelay.gateway.query.listing import Listing
from podrelay.gateway.query.sorting import Page
from podrelay.kube.resources import Key

T = TypeVar("T")

MAX_TASKS: Final = 100
"""Tasks of one mutation."""
AT_ONCE: Final = 8
"""Writes of one mutation that are in progress at the same time."""

Work: TypeAlias = Callable[[Key, str], Awaitable[T]]
"""Changes one task, given its key and its id."""


@dataclass(frozen=True)
class Selection:
    """Which tasks are changed.

    Attributes:
        ids: their ids; None: those that the listing finds.
        found: a page of a list, in the order of creation; None: those that are named.
    """

    ids: Sequence[str] | None
    found: Listing | None


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What has happened to one task: a result, or an error."""

    ident: str
    result: T | None
    error: GatewayError | None


@dataclass(frozen=True)
class Outcomes(Generic[T]):
    """What has happened to all selected tasks, in their order; `page` is the part of the list that they are on."""

    items: list[Outcome[T]]
    page: Page[Run] | None


async def change(call: Call, selection: Selection, verb: str, work: Work[T]) -> Outcomes[T]:
    """Change the selected tasks, and return what has happened to each of them.

    Args:
        call: the call.
        selection: which tasks.
        verb: what the caller must be allowed to do with them.
        work: changes one task.

    Raises:
        ValidationError: the selection is neither named nor a filter, both, or too large.
        NotAuthorizedError: the caller may not list tasks, which a filter needs.
        LimitError: too many tasks would have to be searched or returned.
    """
    page = await _page(call, selection)
    idents = (
        [call.scope.ident(run.key) for run in page.items] if page is not None else [*dict.fromkeys(selection.ids or ())]
    )
    call.budget.take_rows(len(idents))
    for _ in idents:
        call.budget.take_fetch()
    may_all = await _may_all(call, verb)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(ident: str) -> Outcome[T]:
        async with places:
            return await _outcome(call, ident, verb, work, may_all=may_all)

    return Outcomes([*await asyncio.gather(*map(one, idents))], page)


async def _page(call: Call, selection: Selection) -> Page[Run] | None:
    if (selection.ids is None) is (selection.found is None):
        raise ValidationError("Name the tasks by ids, or select them by where; where: {} selects all.", "ids")
    if selection.ids is not None and len(selection.ids) > MAX_TASKS:
        raise ValidationError(f"ids has more than {MAX_TASKS} ids; send several requests.", "ids")
    if selection.found is None:
        return None
    await call.may("list", names.TASK_RUNS)
    limit = min(listing.page_size(call, selection.found.limit), MAX_TASKS)
    return await listing.tasks(call, replace(selection.found, limit=limit))


async def _may_all(call: Call, verb: str) -> bool:
    """Return whether the caller may do this with all tasks of the scope; otherwise each of them is checked."""
    try:
        await call.may(verb, names.TASK_RUNS)
    except NotAuthorizedError:
        return False
    return True


async def _outcome(call: Call, ident: str, verb: str, work: Work[T], *, may_all: bool) -> Outcome[T]:
    if call.ends_at is not None and call.ends_at <= asyncio.get_running_loop().time():
        return Outcome(ident, None, UnavailableError("This was not started: the time for all of them was over."))
    try:
        async with asyncio.timeout_at(call.ends_at):
            key = call.scope.key(ident) if may_all else await call.task_key(verb, ident)
            return Outcome(ident, await work(key, ident), None)
    except GatewayError as error:
        return Outcome(ident, None, error)
    except TimeoutError:
        return Outcome(ident, None, UnavailableError("This took too long, and may still happen: check before a retry."))
    except Exception as error:  # noqa: BLE001 - the outcomes of the others must be returned
        return Outcome(ident, None, masked(error))
