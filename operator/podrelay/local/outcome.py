"""What became of a run, in a form that tests can ask about and people can read."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from podrelay.api import limits

Object = dict[str, Any]
_SHOWN = 200
"""Characters of a payload that a repr shows."""


@dataclass(frozen=True)
class TaskFailure:
    """Why a task failed.

    Attributes:
        message: for people.
        code: for programs; the name of the class of an exception.
        data: more about it.
    """

    message: str
    code: str | None = None
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class LogLine:
    """One line of `controller.logger`.

    Attributes:
        type: info or error.
        message: for people.
        data: more about it; what is no JSON object stands in it as `value`.
        error: the exception: message, code and data.
    """

    type: str
    message: str
    data: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True)
class IterationResult:
    """One try of an iteration, as its record tells it.

    Attributes:
        iteration: which call of run(), from 1.
        attempt: which try of this iteration, from 1.
        answer: done, continue, error, aborted, or "" where the pod never came to an answer.
        message: the task's words.
        input: for continue: the whole input of the next iteration.
        output: the output so far.
        error: why it failed.
        wait_seconds: the pause that it asked for.
        progress: percent (None where the task does not know) of what it reported last.
        progress_message: the words of that report.
        logs: what it has logged.
        record: the whole TaskIteration, as `kubectl get titer -o json` shows it.
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
        attempt = f" try {self.attempt}" if self.attempt > 1 else ""
        words = self.error.message if self.error else self.message
        pause = f", next pod after {self.wait_seconds:g} s" if self.wait_seconds else ""
        return (
            f"iteration {self.iteration}{attempt}: {self.answer or 'no answer'}"
            + (f" ({words})" if words else "")
            + pause
        )


@dataclass(frozen=True, repr=False)
class TaskResult:
    """A finished run.

    Attributes:
        name: of the TaskRun.
        definition: name of its definition, in kebab-case.
        phase: Succeeded, Failed or Aborted.
        reason: why, in one CamelCase word.
        message: the same in words.
        output: the result.
        error: why it failed.
        iterations: how many times run() was called.
        duration: from its creation to its end, pauses included, in whole seconds.
        hooks: how the lifecycle hooks ended: Succeeded or Failed, by name.
        records: every try, in order; also those that a cluster would not keep.
        children: the runs that it has started, in the order of their creation.
        is_deleted: whether it was removed after its end, by self_cleanup or because its time was over.
        run: the whole TaskRun, as `kubectl get trun -o json` shows it.
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
        """What all tries have logged, in order."""
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
    """Return what became of the run `name`.

    Args:
        name: of the TaskRun.
        runs: every TaskRun by name, in the order of their creation.
        records: every TaskIteration by name.
        deleted: names of the runs that are not there any more.
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
