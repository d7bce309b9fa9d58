"""The types of the parts of a task: why it is in its phase, what it waits for, and what has happened to it."""

import strawberry

from podrelay.gateway import advice
from podrelay.gateway.objects import HookOutcome as StoredOutcome
from podrelay.gateway.objects import Run
from podrelay.gateway.queues import Line
from podrelay.gateway.schema.scalars import DateTime, Number


@strawberry.type(name="WebinyBackgroundTaskFailure", description="Why a task failed; `output` has its data, too.")
class Failure:
    """The error in the status of a run."""

    message: str
    code: str | None = strawberry.field(description="The code that the task gave, or the class of the exception.")


@strawberry.type(name="WebinyBackgroundTaskHookOutcome", description="A lifecycle hook that was called.")
class HookOutcome:
    """The outcome of one hook."""

    name: str
    outcome: str | None = strawberry.field(description="Succeeded or Failed.")
    message: str | None = strawberry.field(description="Why it failed.")

    @classmethod
    def of(cls, stored: StoredOutcome) -> "HookOutcome":
        """Return the outcome of a hook."""
        return cls(name=stored.name, outcome=stored.outcome, message=stored.message)


@strawberry.type(name="WebinyBackgroundTaskDiagnosis", description="What the documentation says about a reason.")
class Diagnosis:
    """The row of a reason in docs/troubleshooting.md."""

    reason: str
    meaning: str = strawberry.field(description="What the reason means, in Markdown.")
    advice: str = strawberry.field(description="What to do, in Markdown.")
    needs_action: bool = strawberry.field(description="Whether someone has to do something.")
    link: str = strawberry.field(description="The section of the documentation, relative to the repository.")

    @classmethod
    def of(cls, reason: str | None) -> "Diagnosis | None":
        """Return the diagnosis for a reason; None if the documentation does not explain it."""
        row = advice.advice_for(reason)
        if row is None or reason is None:
            return None
        return cls(reason=reason, meaning=row.meaning, advice=row.advice, needs_action=row.needs_action, link=row.link)


@strawberry.type(
    name="WebinyBackgroundTaskQueuePlace", description="The place of a task in the queue of its definition."
)
class QueuePlace:
    """How many runs are before a waiting run, and how many have a slot."""

    position: int = strawberry.field(
        description="From 1; current, while `queuePosition` is updated when it has halved."
    )
    waiting: int = strawberry.field(description="Tasks of the definition that wait for a slot.")
    active: int = strawberry.field(description="Tasks of the definition that have a pod.")
    max_concurrent_runs: int | None = strawberry.field(
        description="The limit of the definition. `message` of the task names the limit that it waits for."
    )

    @classmethod
    def of(cls, run: Run, line: Line, limit: int | None) -> "QueuePlace":
        """Return the place of a waiting run."""
        return cls(
            position=line.position(run),
            waiting=len(line.waiting),
            active=len(line.holding),
            max_concurrent_runs=limit,
        )


@strawberry.type(name="BackgroundTaskScheduled", description="The schedule that a task was started by.")
class Scheduled:
    """The origin of a run of a schedule."""

    schedule_id: str
    scheduled_for: DateTime = strawberry.field(description="The time that it is for; it may have started later.")
    manual: bool = strawberry.field(description="A user has started it, outside the times of the schedule.")
    backfill: str | None = strawberry.field(description="Name of the backfill that started it.")


@strawberry.type(name="WebinyBackgroundTaskEvent", description="A Kubernetes Event of a task or of one of its pods.")
class Event:
    """An Event, with the times of both of its API versions."""

    id: str
    type: str = strawberry.field(description="Normal or Warning.")
    reason: str | None
    message: str | None
    kind: str = strawberry.field(description="TaskRun or Pod.")
    name: str = strawberry.field(description="Name of the task or pod.")
    source: str | None = strawberry.field(description="The component that reported it, such as kubelet.")
    count: Number = strawberry.field(description="How many times it happened.")
    first_on: DateTime | None
    last_on: DateTime | None
