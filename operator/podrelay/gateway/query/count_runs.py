"""Statistics of the cache: from counters or, for the runs created since a time, by counting them."""

from datetime import UTC, datetime
from typing import Final

from podrelay.api import names
from podrelay.gateway.call import Call
from podrelay.gateway.statistics import Statistics, Tally
from podrelay.kube.resources import Key

_WEIGHT: Final = 5
"""Counting a run costs as much as five comparisons."""
_PART: Final = 100


async def statistics(call: Call, since: datetime | None, definition: str | None) -> Statistics:
    """Return the statistics of the runs created since a time, of all definitions or of one.

    Raises:
        LimitError: too many runs would have to be counted.
    """
    runs, namespace = call.cache.runs, call.scope.namespace
    name = names.definition_name(definition) if definition else None
    candidates = runs.candidates(namespace, {} if name is None else {"definition": [name]})
    oldest = candidates.part(None, 1, newest_first=False)
    tally = call.services.tallies.of(namespace)
    await call.services.turns.give()
    if since is not None and oldest and oldest[0][0][0] < since.timestamp():
        tally = Tally()
        after = (since.timestamp(), -1, Key("", ""))
        while part := candidates.part(after, _PART, newest_first=False):
            call.budget.take_looks(_WEIGHT * len(part))
            for after, run in part:  # noqa: B007 - the next part begins after the last position
                if name is None or run.spec.definition == name:
                    tally.add(run)
            await call.services.turns.give()
    call.budget.take_looks(_WEIGHT * tally.definitions)
    return tally.statistics(datetime.now(UTC), name)
