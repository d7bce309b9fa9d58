"""The types of what has happened in a time range."""

import strawberry

from podrelay.gateway.call import Call
from podrelay.gateway.event_loop.turns import paced
from podrelay.gateway.query import overview
from podrelay.gateway.schema.envelope import Error
from podrelay.gateway.schema.scalars import DateTime, Number
from podrelay.gateway.schema.statistics_types import Spread, StatusCount, counts
from podrelay.gateway.schema.words import Reason, reason_of


@strawberry.type(name="WebinyBackgroundTaskReasonCount", description="The number of tasks that failed with a reason.")
class ReasonCount:
    """The count of one reason."""

    reason: str
    reason_code: Reason | None
    count: int


@strawberry.type(name="WebinyBackgroundTaskInterval", description="One interval of a time range.")
class Interval:
    """The runs that were created or finished in an interval."""

    start: DateTime
    created: int
    finished: list[StatusCount]


@strawberry.type(
    name="WebinyBackgroundTaskOverview",
    description="What has happened in a time range, as far as the tasks still exist.",
)
class Overview:
    """What has happened in a time range."""

    since: DateTime
    until: DateTime = strawberry.field(description="Not part of the range.")
    interval_seconds: int
    created: int = strawberry.field(description="Tasks that were created.")
    finished: list[StatusCount] = strawberry.field(description="Tasks that finished, by status.")
    failures: list[ReasonCount] = strawberry.field(
        description="Tasks that failed, by reason; the 50 most frequent ones."
    )
    success_rate: Number | None = strawberry.field(
        description="From 0 to 1, of the tasks that have succeeded or failed; null if there are none."
    )
    durations: Spread | None = strawberry.field(
        description="Seconds from the creation of the first pod to the end, of the tasks that finished."
    )
    queue_seconds: Spread | None = strawberry.field(
        description="From when a task could have started, after its delay, to its first pod; of those that finished."
    )
    iterations: Spread | None = strawberry.field(description="Of the tasks that finished.")
    intervals: list[Interval] = strawberry.field(description="All intervals of the range, the oldest first.")

    @classmethod
    def of(cls, call: Call, found: overview.Overview) -> "Overview":
        """Convert an overview."""
        return cls(
            since=DateTime(found.since),
            until=DateTime(found.until),
            interval_seconds=found.seconds,
            created=found.created,
            finished=counts(found.finished),
            failures=[
                ReasonCount(reason=reason, reason_code=reason_of(reason), count=count)
                for reason, count in found.failures.items()
            ],
            success_rate=None if found.success_rate is None else Number(found.success_rate),
            durations=Spread.of(found.durations),
            queue_seconds=Spread.of(found.queue_seconds),
            iterations=Spread.of(found.iterations),
            intervals=paced(call.services.turns, found.intervals, _interval),
        )


@strawberry.type(name="WebinyBackgroundTaskOverviewResponse")
class OverviewResponse:
    """The overview."""

    data: Overview | None = None
    error: Error | None = None


def _interval(one: overview.Interval) -> Interval:
    return Interval(start=DateTime(one.start), created=one.created, finished=counts(one.finished))
