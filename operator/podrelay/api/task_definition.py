"""TaskDefinition: what can run. One resource per kind of task, usually printed by `podrelay manifests`."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from podrelay.api import limits, names
from podrelay.api.common import (
    Conditions,
    Count,
    HookName,
    Model,
    OpenObject,
    Payload,
    Seconds,
    cel,
    extension,
)


class RetryPolicy(Model):
    """Whether and when a failed try of an iteration is repeated. Disruptions (drain, eviction) are not counted here."""

    limit: Annotated[int, Field(ge=0, le=100)] = 0
    """How many times an iteration is tried again after it failed. 0 means never."""
    initial_seconds: Annotated[int, Field(ge=0, le=86_400)] = 10
    """Wait before the first retry."""
    factor: Annotated[float, Field(ge=1, le=10)] = 2
    """Each further wait is longer by this factor."""
    max_seconds: Annotated[int, Field(ge=0, le=86_400)] = 600
    """Longest wait between two tries."""
    on: Annotated[list[Literal["Error", "PodFailure", "Timeout"]], Field(max_length=3), extension(list_type="set")] = [
        "Error",
        "PodFailure",
        "Timeout",
    ]
    """Which failures are retried: Error (the task answered error or raised), PodFailure (killed, out of memory,
    non-zero exit, could not start), Timeout (the iteration took too long)."""


class Concurrency(Model):
    """How many runs that are about the same thing may have a pod at the same time."""

    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^.\s]+(\.[^.\s]+)*$")]
    """Path of a field of the input, for example customer.id. Runs with equal values share a limit; those without the
    field share one, too."""
    limit: Annotated[int, Field(ge=1, le=100_000)] = 1
    """How many runs with one value may have a pod; the others wait in the queue, oldest first."""


class HistoryLimit(Model):
    """How much is kept of what has ended."""

    iterations: Annotated[int, Field(ge=1, le=1000)] = 20
    """Newest records (TaskIterations) kept for each run."""
    runs: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """Newest finished runs kept of this definition."""


class TaskDefinitionSpec(Model):
    """What the task is and how its pods are made."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!has(self.hooks) || size(self.hooks) == 0 || !has(self.reporting) || self.reporting == 'API'",
                "spec.hooks are called by the SDK, so they need spec.reporting: API",
            ),
            (
                "!has(self.heartbeatTimeoutSeconds) || !has(self.reporting) || self.reporting == 'API'",
                "signs of life are stored by the SDK, so spec.heartbeatTimeoutSeconds needs spec.reporting: API",
            ),
        )
    )

    id: Annotated[str, Field(min_length=1, max_length=50, pattern=names.CAMEL_CASE_ID)]
    """The author's name of the task in camelCase, for example importProducts. The resource's name is the same in
    kebab-case: import-products. Cannot be changed."""
    title: Annotated[str, Field(min_length=1, max_length=256)]
    """Name for people; runs without a displayName show it."""
    description: Annotated[str, Field(max_length=4096)] | None = None
    """What the task does, for people."""
    private: bool = False
    """Hidden from GraphQL and not triggerable there; may still be started as a child or with kubectl."""
    max_iterations: Annotated[int, Field(ge=1, le=limits.MAX_ITERATIONS)] = 50
    """How many times run() may be called for one TaskRun. A run that wants to continue beyond fails."""
    input_schema: Payload | None = None
    """JSON Schema that the input of a run must satisfy."""
    hooks: Annotated[list[HookName], Field(max_length=5), extension(list_type="set")] | None = None
    """Which lifecycle hooks the task's code implements."""
    record_logs: bool = True
    """Keep the task's structured log lines in its records, besides the pod's own output."""
    self_cleanup: Annotated[
        list[Literal["OnSuccess", "OnError", "OnAbort"]], Field(max_length=3), extension(list_type="set")
    ] = []
    """After which outcomes the run is deleted at once, with all of its descendants."""
    iteration_timeout_seconds: Seconds = 900
    """How long one iteration may run, counted from the start of its container."""
    pending_timeout_seconds: Seconds = 900
    """How long a pod may fail to start (image, scheduling, quota) before the try counts as failed."""
    abort_grace_period_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """How long the task may clean up after SIGTERM, on abort and on timeout; becomes the pod's
    terminationGracePeriodSeconds."""
    heartbeat_timeout_seconds: Annotated[int, Field(ge=5, le=limits.MAX_WAIT_SECONDS)] | None = None
    """End an iteration that has given no sign of life (progress, log line, saved state, heartbeat) for so long. It
    counts as a Timeout. Absent: only iterationTimeoutSeconds counts."""
    node_lost_timeout_seconds: Seconds = 600
    """How long an ending pod on a node that does not answer is waited for before the run finishes as NodeLost."""
    retry: RetryPolicy = RetryPolicy()
    """What happens after a failed try."""
    disruption_retries: Annotated[int, Field(ge=0, le=100)] = 3
    """How many times an iteration may lose its pod to the cluster (drain, preemption, eviction, deletion) and go on."""
    max_concurrent_runs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many runs of this definition may have a pod at the same time; the others wait in a queue, oldest first."""
    concurrency: Concurrency | None = None
    """A further limit for runs that are about the same thing, such as one customer."""
    triggers: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=63, pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$")]],
            Field(max_length=100),
            extension(list_type="set"),
        ]
        | None
    ) = None
    """Names of the definitions whose runs this task may start as children, its own name for children of its kind.
    Absent: none. "*" allows every one."""
    max_children: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """How many children of one run may be unfinished at the same time; a further one fails as TooManyChildren."""
    suspend: bool = False
    """Start no further pods of its runs while this is true; pods that run go on to their end."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=315_360_000)] | None = None
    """A finished run is deleted after this time. Absent: retentionDays in the ConfigMap podrelay-settings of the
    namespace says it, else the operator, 90 days by default."""
    history_limit: HistoryLimit = HistoryLimit()
    """How much is kept of what has ended."""
    pod_cleanup: Literal["OnSuccess", "Always", "Never"] = "OnSuccess"
    """Which pods are removed: OnSuccess those that ended well (once the run goes on or has Succeeded), Always every
    ended one, Never none before the run is. The newest pod stays until the run is finished."""
    reporting: Literal["API", "TerminationMessage"] = "API"
    """How a pod tells its answer: API writes a record with its service account's token; TerminationMessage needs no API
    access and no SDK: input in PODRELAY_INPUT, the answer as JSON in /dev/termination-log."""
    template: OpenObject
    """The pod of an iteration, a PodTemplateSpec. The container named task, or the only one, does the work."""


class TaskDefinitionStatus(Model):
    """What the operator found out about the definition."""

    observed_generation: Annotated[int, Field(ge=-1)] | None = None
    """The metadata.generation that was looked at last; -1 until the operator has."""
    active_runs: Count | None = None
    """Runs with a pod."""
    queued_runs: Count | None = None
    """Runs that wait for a free slot."""
    conditions: Conditions | None = None
    """Ready is False, with the API server's own words, where no pod can be made from the template. Stalled is True
    where nothing but a change of the template will help."""


class TaskDefinition(Model):
    """A TaskDefinition says what can run: the task's name, limits and pod template. TaskRuns refer to it by name."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                # The same letters, and hyphens at the same places. Joining the words again, lowered, would say it more
                # directly; but the API server cannot estimate how long they are and refuses the rule as too costly.
                "self.metadata.name.replace('-', '') == self.spec.id.lowerAscii() && self.metadata.name.split('-', 50)"
                ".map(word, size(word)) == self.spec.id.findAll('[A-Z]?[a-z]+|[A-Z]|[0-9]+').map(word, size(word))",
                "metadata.name must be spec.id in kebab-case, for example import-products for importProducts",
            ),
            (
                "size(self.metadata.name) <= 63",
                "metadata.name must have at most 63 characters, because TaskRuns and labels refer to it; "
                "choose a shorter spec.id",
            ),
            ("self.spec.id == oldSelf.spec.id", "spec.id cannot be changed; create a new TaskDefinition"),
        )
    )

    spec: TaskDefinitionSpec
    """What the task is and how its pods are made."""
    status: TaskDefinitionStatus | None = None
    """What the operator found out. Written by the operator only."""
