"""What TaskService returns: plain immutable values, read from the custom resources. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from podrelay.api import names, phases


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task says it has come.

    Attributes:
        percent: 0 to 100, None where the task does not know its total.
        message: the task's own words.
    """

    percent: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One piece of work: a TaskRun as it was when it was read.

    Attributes:
        id: name of the TaskRun.
        name: its name for people; empty where it has none, then the title of its definition stands for it.
        definition: id of its definition, in camelCase, as its class has it.
        definition_name: name of its TaskDefinition, the resource, in kebab-case.
        status: pending, running, success, failed or aborted (Webiny's words).
        phase: Pending, Running, Succeeded, Failed or Aborted (the resource's words).
        reason: why it is in this phase, or what it waits for, in one CamelCase word.
        message: the same in words.
        input: what it was given.
        output: its result; None also where it is large and was not asked for (see `output_from`).
        output_from: name of the record that holds an output of more than 32 KiB. `list` and `events` leave it there.
        error: message, code and data of what made it fail.
        iterations: how many times run() has been called.
        max_iterations: how many calls its definition allowed when its last pod was made.
        progress: as its task told it last, or None.
        created_on: when it was created.
        started_on: when its first pod was made.
        finished_on: when it reached its final phase.
        next_iteration_at: when its next pod is due, while it waits.
        queue_position: its place in the queue while reason is Queued, from 1.
        parent: id of the run that it is a child of.
        created_by: user who made it, where known.
        is_suspended: no further pod is started.
        is_aborting: it has been told to stop.
        aborted_by: user who told it so, where known.
        namespace: where it lives.
        uid: tells it from a later run of the same name.
        resource: the whole TaskRun, as the API server sent it.
    """

    id: str
    definition: str
    definition_name: str
    namespace: str
    uid: str
    created_on: datetime
    name: str = ""
    status: str = "pending"
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    input: dict[str, Any] = field(default_factory=dict, hash=False)
    output: dict[str, Any] | None = field(default=None, hash=False)
    output_from: str | None = None
    error: dict[str, Any] | None = field(default=None, hash=False)
    iterations: int = 0
    max_iterations: int | None = None
    progress: Progress | None = None
    started_on: datetime | None = None
    finished_on: datetime | None = None
    next_iteration_at: datetime | None = None
    queue_position: int | None = None
    parent: str | None = None
    created_by: str | None = None
    is_suspended: bool = False
    is_aborting: bool = False
    aborted_by: str | None = None
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_finished(self) -> bool:
        """Whether its phase is final."""
        return self.phase in phases.FINISHED


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something happened to a run.

    Attributes:
        type: what; existing, where that was asked for: it was there before. A run that was created and finished while
            nobody could watch gives both events.
        run: as it is now; of a deleted one, as it was last.
    """

    type: Literal["existing", "created", "changed", "finished", "deleted"]
    run: Run


@dataclass(frozen=True, slots=True)
class LogLine:
    """One structured log line of a task.

    Attributes:
        time: when; of a line that was printed: when its pod had answered.
        type: info or error; output of a line that was printed.
        message: what.
        data: more about it.
        error: the exception, for errors.
        iteration: of which iteration; 0 for a pod that ran lifecycle hooks only.
        attempt: which try of it, from 1.
        pod: name of the pod.
        dropped: how many lines just before this one are lost, because the record keeps the newest only.
    """

    time: datetime
    type: str
    message: str
    data: dict[str, Any] | None = field(hash=False)
    error: dict[str, Any] | None = field(hash=False)
    iteration: int
    attempt: int
    pod: str
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Definition:
    """What can run: a TaskDefinition as it was when it was read.

    Attributes:
        id: the author's name of the task, in camelCase.
        name: name of the resource, in kebab-case.
        title: name for people.
        description: what it does.
        private: hidden from GraphQL.
        max_iterations: how many times run() may be called for one run.
        input_schema: JSON Schema of its input, or None.
        active_runs: runs with a pod.
        queued_runs: runs that wait for a free slot.
        is_ready: the operator found that pods can be made from it; None until it has looked.
        message: why not.
        namespace: where it lives.
        resource: the whole TaskDefinition, as the API server sent it.
    """

    id: str
    name: str
    title: str
    description: str
    private: bool
    max_iterations: int
    input_schema: dict[str, Any] | None = field(hash=False)
    active_runs: int
    queued_runs: int
    is_ready: bool | None
    message: str
    namespace: str
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def run_of(resource: Mapping[str, Any]) -> Run:
    """Return a TaskRun, as the API server sends it, as a Run."""
    metadata, spec, status = resource["metadata"], resource["spec"], resource.get("status") or {}
    phase = status.get("phase") or "Pending"
    progress = status.get("progress")
    return Run(
        id=metadata["name"],
        definition=names.definition_id(spec["definition"]),
        definition_name=spec["definition"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        created_on=datetime.fromisoformat(metadata["creationTimestamp"]),
        name=spec.get("displayName", ""),
        status=phases.STATUS_WORDS[phase],
        phase=phase,
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        input=spec.get("input") or {},
        output=status.get("output"),
        output_from=status.get("outputFrom"),
        error=status.get("error"),
        iterations=status.get("iterations", 0),
        max_iterations=status.get("maxIterations"),
        progress=Progress(progress.get("percent"), progress.get("message", "")) if progress else None,
        started_on=_time(status.get("startedAt")),
        finished_on=_time(status.get("finishedAt")),
        next_iteration_at=_time(status.get("nextIterationAt")),
        queue_position=status.get("queuePosition"),
        parent=spec.get("parent"),
        created_by=(metadata.get("annotations") or {}).get(names.ANNOTATION_CREATED_BY),
        is_suspended=bool(spec.get("suspend")),
        is_aborting=spec.get("abort") is not None and phase not in phases.FINISHED,
        aborted_by=(spec.get("abort") or {}).get("by"),
        resource=resource,
    )


def definition_of(resource: Mapping[str, Any]) -> Definition:
    """Return a TaskDefinition, as the API server sends it, as a Definition."""
    metadata, spec, status = resource["metadata"], resource["spec"], resource.get("status") or {}
    ready = next((item for item in status.get("conditions") or () if item["type"] == "Ready"), None)
    return Definition(
        id=spec["id"],
        name=metadata["name"],
        title=spec["title"],
        description=spec.get("description", ""),
        private=bool(spec.get("private")),
        max_iterations=spec["maxIterations"],
        input_schema=spec.get("inputSchema"),
        active_runs=status.get("activeRuns", 0),
        queued_runs=status.get("queuedRuns", 0),
        is_ready=None if ready is None else ready["status"] == "True",
        message=ready.get("message", "") if ready is not None and ready["status"] != "True" else "",
        namespace=metadata["namespace"],
        resource=resource,
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
