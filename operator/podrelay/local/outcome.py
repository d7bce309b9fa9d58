"""The result of a run, in a form for tests and with a readable repr."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from podrelay.api import limits

Object = dict[str, Any]
_SHOWN = 200
"""How many characters of a payload a repr shows."""


@dataclass(frozen=True)
class TaskFailure:
    """Why a task failed.

    Attributes:
        message: what happened, in plain text.
        code: machine-readable error code; for an exception, the name of its class.
        data: further data about the error.
    """

    message: str
    code: str | None = None
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class LogLine:
    """One line of `controller.logger`.

    Attributes:
        type: info or error.
        message: the message, in plain text.
        data: additional data; a value that is not a JSON object is wrapped as `{"value": ...}`.
        error: the exception, as message, code and data.
    """

    type: str
    message: str
    data: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True)
class IterationResult:
    """One attempt of an iteration, according to its record.

    Attributes:
        iteration: number of the iteration, from 1.
        attempt: number of the attempt within this iteration, from 1.
        answer: done, continue, error, aborted, or "" if the pod ended without an answer.
        message: message of the task.
        input: for continue: the complete input of the next iteration.
        output: the output so far.
        error: why it failed.
        wait_seconds: the requested pause before the next iteration.
        progress: the last reported percentage; None if the total is unknown.
        progress_message: the message of that report.
        logs: the log lines.
        record: the complete TaskIteration, as shown by `kubectl get titer -o json`.
    """

    iteration: int
    attempt: int
    answer: str
    message: str
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    error: TaskFailure | None
    wait_seconds: float
    progress: float | None
    progress_message: str
    logs: tuple[LogLine, ...]
    record: dict[str, Any]

    def __repr__(self) -> str:
        attempt = f" attempt {self.attempt}" if self.attempt > 1 else ""
        message = self.error.message if self.error else self.message
        pause = f", next pod after {self.wait_seconds:g} s" if self.wait_seconds else ""
        return (
            f"iteration {self.iteration}{attempt}: {self.answer or 'no answer'}"
            + (f" ({message})" if message else "")
            + pause
        )


@dataclass(frozen=True, repr=False)
class TaskResult:
    """A finished run.

    Attributes:
        name: name of the TaskRun.
        definition: name of its definition, in kebab-case.
        phase: Succeeded, Failed or Aborted.
        reason: why it is in this phase, in one CamelCase word.
        message: the reason in plain text.
        output: the result of the run.
        error: why it failed.
        iterations: the number of iterations.
        duration: time from its creation to its end, including pauses, in whole seconds.
        hooks: outcomes of the lifecycle hooks, Succeeded or Failed, by name.
        records: all attempts, in order, including those whose records a cluster would not keep.
        children: the runs that it has started, in the order of their creation.
        is_deleted: whether it was deleted after its end, by self_cleanup or because its TTL had expired.
        run: the complete TaskRun, as shown by `kubectl get trun -o json`.
    """

    name: str
    definition: str
    phase: str
    reason: str
    message: str
    output: dict[str, Any] | None
    error: TaskFailure | None
    iterations: int
    duration: timedelta
    hooks: dict[str, str]
    records: tuple[IterationResult, ...]
    children: "tuple[TaskResult, ...]"
    is_deleted: bool
    run: Object

    @property
    def logs(self) -> tuple[LogLine, ...]:
        """The log lines of all attempts, in order."""
        return tuple(line for record in self.records for line in record.logs)

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterable[str]:
        yield f"<TaskRun {self.name} {self.phase} ({self.reason}): {self.message}"
        yield from (f"  {record!r}" for record in self.records)
        if self.output is not None:
            yield f"  output: {limits.cut(repr(self.output), _SHOWN)}"
        if self.error is not None and self.error.data is not None:
            yield f"  error data: {limits.cut(repr(self.error.data), _SHOWN)}"
        yield from (f"  hook {name}: {outcome}" for name, outcome in self.hooks.items())
        for child in self.children:
            yield from (f"  {line}" for line in repr(child).splitlines())
        yield ">"


def result_of(
    name: str, runs: Mapping[str, Object], records: Mapping[str, Object], deleted: Collection[str] = ()
) -> TaskResult:
    """Return the result of the run `name`.

    Args:
        name: name of the TaskRun.
        runs: all TaskRuns by name, in the order of their creation.
        records: all TaskIterations by name.
        deleted: names of the runs that were deleted.
    """
    run = runs[name]
    spec, status = run["spec"], run["status"]
    own = sorted(
        (_iteration(record) for record in records.values() if record["runName"] == name and "hook" not in record),
        key=lambda record: (record.iteration, record.attempt),
    )
    source = records.get(status.get("outputFrom", ""), {})
    finished = status.get("finishedAt", run["metadata"]["creationTimestamp"])
    began = datetime.fromisoformat(run["metadata"]["creationTimestamp"])
    return TaskResult(
        name=name,
        definition=spec["definition"],
        phase=status["phase"],
        reason=status["reason"],
        message=status["message"],
        output=status.get("output", (source.get("response") or {}).get("output")),
        error=_failure(status.get("error")),
        iterations=status.get("iterations", 0),
        duration=datetime.fromisoformat(finished) - began,
        hooks={hook["name"]: hook["outcome"] for hook in status.get("hooks", ())},
        records=tuple(own),
        children=tuple(
            result_of(child, runs, records, deleted)
            for child, other in runs.items()
            if other["spec"].get("parent") == name
        ),
        is_deleted=name in deleted,
        run=run,
    )


def _iteration(record: Object) -> IterationResult:
    response, progress = record.get("response") or {}, record.get("progress") or {}
    return IterationResult(
        iteration=record["iteration"],
        attempt=record["try"],
        answer=response.get("status", ""),
        message=response.get("message", ""),
        input=response.get("input"),
        output=response.get("output"),
        error=_failure(response.get("error")),
        wait_seconds=response.get("waitSeconds", 0.0),
        progress=progress.get("percent"),
        progress_message=progress.get("message", ""),
        logs=tuple(
            LogLine(item["type"], item["message"], item.get("data"), item.get("error"))
            for item in record.get("logs", ())
        ),
        record=record,
    )


def _failure(error: Object | None) -> TaskFailure | None:
    return TaskFailure(error["message"], error.get("code"), error.get("data")) if error else None
