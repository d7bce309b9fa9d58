"""The types of statistics."""

from collections.abc import Mapping

import strawberry

from podrelay.gateway import statistics
from podrelay.gateway.call import Call
from podrelay.gateway.event_loop.turns import paced
from podrelay.gateway.schema.envelope import Error
from podrelay.gateway.schema.scalars import DateTime, Number


@strawberry.type(name="WebinyBackgroundTaskStatusCount", description="The number of tasks with a status.")
class StatusCount:
    """The count of one status."""

    status: str
    count: int


@strawberry.type(
    name="WebinyBackgroundTaskDurations", description="Seconds from the creation of the first pod to the end."
)
class Durations:
    """The durations of finished tasks."""

    median: Number
    p95: Number
    longest: Number


@strawberry.type(
    name="WebinyBackgroundTaskSpread",
    description="The spread of values: the median, the value that 95% do not exceed, and the greatest one.",
)
class Spread:
    """The spread of some values."""

    median: Number
    p95: Number
    longest: Number

    @classmethod
    def of(cls, found: statistics.Spread | None) -> "Spread | None":
        """Convert a spread."""
        if found is None:
            return None
        return cls(median=Number(found.median), p95=Number(found.p95), longest=Number(found.longest))


@strawberry.type(name="WebinyBackgroundTaskDefinitionStatistics")
class DefinitionStatistics:
    """The tasks of one definition."""

    definition_id: str
    by_status: list[StatusCount]
    durations: Durations | None
    queue_seconds: Spread | None = strawberry.field(
        description="From when a task could have started, after its delay, to its first pod."
    )
    iterations: Spread | None = strawberry.field(description="Iterations of finished tasks.")
    success_rate: Number | None = strawberry.field(
        description="From 0 to 1, of the tasks that have succeeded or failed; null if there are none."
    )

    @classmethod
    def of(cls, one: statistics.OfDefinition) -> "DefinitionStatistics":
        """Convert the statistics of a definition."""
        return cls(
            definition_id=one.definition_id,
            by_status=counts(one.by_status),
            durations=_durations(one.durations),
            queue_seconds=Spread.of(one.queue_seconds),
            iterations=Spread.of(one.iterations),
            success_rate=None if one.success_rate is None else Number(one.success_rate),
        )


@strawberry.type(name="WebinyBackgroundTaskHourStatistics")
class HourStatistics:
    """The tasks that were created or finished in one hour."""

    hour: DateTime
    created: int
    finished: list[StatusCount]


@strawberry.type(name="WebinyBackgroundTaskStatistics")
class Statistics:
    """Statistics of the tasks of a namespace. Hours are those of the last week in which something has happened."""

    total: int
    by_status: list[StatusCount]
    by_definition: list[DefinitionStatistics]
    by_hour: list[HourStatistics]
    durations: Durations | None

    @classmethod
    def of(cls, call: Call, found: statistics.Statistics) -> "Statistics":
        """Convert statistics."""
        turns = call.services.turns
        return cls(
            total=found.total,
            by_status=counts(found.by_status),
            by_definition=paced(turns, found.by_definition, DefinitionStatistics.of),
            by_hour=paced(turns, found.by_hour, _of_hour),
            durations=_durations(found.durations),
        )


@strawberry.type(name="WebinyBackgroundTaskStatisticsResponse")
class StatisticsResponse:
    """The statistics."""

    data: Statistics | None = None
    error: Error | None = None


def _of_hour(one: statistics.OfHour) -> HourStatistics:
    return HourStatistics(hour=DateTime(one.hour), created=one.created, finished=counts(one.finished))


def counts(by_status: Mapping[str, int]) -> list[StatusCount]:
    """Convert counts by status."""
    return [StatusCount(status=status, count=count) for status, count in by_status.items()]


def _durations(found: statistics.Spread | None) -> Durations | None:
    if found is None:
        return None
    return Durations(median=Number(found.median), p95=Number(found.p95), longest=Number(found.longest))
