"""The types of mutations of many tasks."""

import strawberry

from podrelay.gateway.bulk import Outcome as OneOutcome
from podrelay.gateway.bulk import Outcomes
from podrelay.gateway.event_loop.turns import paced
from podrelay.gateway.objects import Run
from podrelay.gateway.payloads import Payloads
from podrelay.gateway.schema.envelope import Error
from podrelay.gateway.schema.types import Meta, Task


@strawberry.type(name="WebinyBackgroundTaskOutcome", description="What has happened to one of many tasks.")
class Outcome:
    """The outcome of one task."""

    id: str = strawberry.field(description="Id of the selected task.")
    ok: bool
    data: Task | None = strawberry.field(
        description="The task after the change; for `rerunTasks` the new one; null if it was deleted, or not changed."
    )
    error: Error | None = strawberry.field(description="Why it was not changed.")


@strawberry.type(name="WebinyBackgroundTaskBulkResponse")
class BulkResponse:
    """The outcomes, in the order of the ids or of the list."""

    data: list[Outcome] | None = None
    succeeded: int = 0
    failed: int = 0
    meta: Meta | None = strawberry.field(
        default=None, description="With `where`: pass `cursor` as `after` to change the next tasks of the list."
    )
    error: Error | None = None

    @classmethod
    def of(cls, outcomes: Outcomes[Run | None], payloads: Payloads) -> "BulkResponse":
        """Return the outcomes."""
        items = outcomes.items
        failed = sum(one.error is not None for one in items)
        return cls(
            data=paced(payloads.call.services.turns, items, lambda one: _outcome(one, payloads)),
            succeeded=len(items) - failed,
            failed=failed,
            meta=Meta.of(outcomes.page) if outcomes.page is not None else None,
        )


def _outcome(one: OneOutcome[Run | None], payloads: Payloads) -> Outcome:
    return Outcome(
        id=one.ident,
        ok=one.error is None,
        data=Task.of(one.result, payloads) if one.result is not None else None,
        error=Error.of(one.error) if one.error is not None else None,
    )
