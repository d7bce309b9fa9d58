"""The values that TaskService returns: immutable, and read from the custom resources. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from podrelay.api import names, phases


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress that a task reports.

    Attributes:
        percent: 0 to 100; None if the task does not know its total.
        message: the text that the task reports.
    """

    percent: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One piece of work: a TaskRun as of the time when it was read.

    Attributes:
        id: name of the TaskRun.
        name: its human-readable name; if it is empty, the title of its definition can be shown instead.
        definition: id of its definition, in camelCase, as in the class.
        definition_name: name of its TaskDefinition resource, in kebab-case.
        status: pending, running, success, failed or aborted (Webiny's words).
        phase: Pending, Running, Succeeded, Failed or Aborted (the resource's words).
        reason: why it is in this phase, or what it waits for, in one CamelCase word.
        message: the same in plain text.
        input: its input.
        output: its result; None also if the result is large and was not read (see `output_from`).
        output_from: name of the record that has an output of more than 32 KiB. `list` and `events` do not read it.
        error: message, code and data of the error that made it fail.
        iterations: how many times run() has been called.
        max_iterations: how many calls its definition allowed when its last pod was created.
        progress: the progress that its task last reported, or None.
        created_on: when it was created.
        started_on: when its first pod was created.
        finished_on: when it reached its final phase.
        next_iteration_at: when its next pod is due, while it waits.
        queue_position: its place in the queue while reason is Queued, from 1.
        parent: id of its parent.
        created_by: the user who created it, if known.
        is_suspended: no further pod starts.
        is_aborting: its abort was requested, and it has not finished.
        aborted_by: the user who aborted it, if known.
        namespace: its namespace.
        uid: distinguishes it from a later run of the same name.
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
    """A change of a run.

    Attributes:
        type: what happened; existing: the run already existed (only if requested). A run that was created and finished
            while the watch was interrupted causes both events.
        run: its current state; of a deleted run, its last state.
    """

    type: Literal["existing", "created", "changed", "finished", "deleted"]
    run: Run


@dataclass(frozen=True, slots=True)
class Signal:
    """A TaskSignal as of the time when it was read.

    Attributes:
        key: name of the TaskSignal, which identifies the event.
        run: id of the run.
        signal: name of the signal.
        payload: its data.
        phase: Pending, Consumed or Rejected.
        created_on: when it was sent.
        decision: Approve or Reject, for an approval.
        sender: the user who sent it, if known.
        reason: why it was rejected, in one CamelCase word.
        message: the same in plain text.
        iteration: the iteration that has consumed it.
        resource: the whole TaskSignal, as the API server sent it.
    """

    key: str
    run: str
    signal: str
    phase: str
    created_on: datetime
    payload: dict[str, Any] = field(default_factory=dict, hash=False)
    decision: str | None = None
    sender: str | None = None
    reason: str = ""
    message: str = ""
    iteration: int | None = None
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One structured log line of a task.

    Attributes:
        time: when it was logged; of a printed line: when its pod had answered.
        type: info or error; output for a printed line.
        message: the text.
        data: the structured data, if any.
        error: the exception, for errors.
        iteration: number of the iteration; 0 for a pod that ran only lifecycle hooks.
        attempt: number of the attempt, from 1.
        pod: name of the pod.
        dropped: how many lines directly before this one are lost, because the record keeps only the newest ones.
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
    """A kind of task: a TaskDefinition as of the time when it was read.

    Attributes:
        id: the author's name of the task, in camelCase.
        name: name of the resource, in kebab-case.
        title: human-readable name.
        description: what it does.
        private: hidden from GraphQL.
        max_iterations: how many times run() may be called for one run.
        input_schema: JSON Schema of its input, or None.
        active_runs: runs with a pod.
        queued_runs: runs that wait for a free slot.
        is_ready: whether the operator can create pods from it; None until the operator has checked it.
        message: why it is not ready.
        namespace: its namespace.
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
    """Return the Run for a TaskRun as the API server sends it."""
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
    """Return the Definition for a TaskDefinition as the API server sends it."""
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


def signal_of(resource: dict[str, Any]) -> Signal:
    """Return the signal of a TaskSignal resource."""
    about, spec, status = resource["metadata"], resource["spec"], resource.get("status") or {}
    return Signal(
        key=about["name"],
        run=spec["taskRun"],
        signal=spec["signal"],
        phase=status.get("phase") or "Pending",
        created_on=datetime.fromisoformat(about["creationTimestamp"]),
        payload=spec.get("payload") or {},
        decision=spec.get("decision"),
        sender=(about.get("annotations") or {}).get(names.ANNOTATION_CREATED_BY),
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        iteration=status.get("iteration"),
        resource=resource,
    )
