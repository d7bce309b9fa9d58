"""The attempts of a run: one for each of its pods, from its records, its status, and its current pod. Pure.

A record may be missing: those of old iterations are deleted, a pod that was lost to the cluster leaves none, and a pod
that has just started has not written its own yet. The status remembers the last ten attempts that have ended.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from podrelay.api import names
from podrelay.gateway.objects import Record, Run

_TRY: Final = re.compile(r"t(\d+)$")
_EXIT_CODE: Final = re.compile(r"\bexit code (\d{1,3})\b")
_SIGKILL: Final = 137


@dataclass(frozen=True)
class Attempt:
    """One attempt.

    Attributes:
        pod_name: name of its pod, and of its record.
        iteration: number of the iteration, from 1; 0 if the pod only called hooks.
        attempt: number of the attempt within the iteration, from 1.
        record: its record, if it exists.
        answer: done, continue, error, aborted or disrupted; None while it has not ended.
        message: why it ended, or what it answered.
        started_at: when its container started.
        finished_at: when it ended.
    """

    pod_name: str
    iteration: int
    attempt: int
    record: Record | None = None
    answer: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def order(self) -> tuple[bool, int, int]:
        """The order in which attempts begin; pods that only call hooks come last."""
        return self.iteration == 0, self.iteration, self.attempt


def attempts_of(run: Run, records: Iterable[Record], recent: Iterable[Mapping[str, Any]]) -> list[Attempt]:
    """Return the attempts of a run, newest first.

    Args:
        run: the run.
        records: its records.
        recent: `status.recentIterations` of the run.
    """
    found = {record.pod_name: _of_record(record) for record in records}
    for entry in recent:
        found[entry["podName"]] = _of_entry(entry, found.get(entry["podName"]))
    current = run.status.current
    if current is not None and current.pod_name not in found:
        _, iteration, number = place_of(current.pod_name)
        found[current.pod_name] = Attempt(current.pod_name, iteration, number)
    return sorted(found.values(), key=lambda attempt: attempt.order, reverse=True)


def by_iteration(records: Iterable[Record]) -> dict[int, list[Record]]:
    """Return the records of a run by the number of their iteration."""
    found: defaultdict[int, list[Record]] = defaultdict(list)
    for record in records:
        found[record.iteration].append(record)
    return dict(found)


def start_of(attempt: Attempt, records: Mapping[int, Iterable[Record]]) -> tuple[str, Record] | None:
    """Return where the state is that an attempt began with, as the operator decides it.

    Args:
        attempt: the attempt.
        records: all records of its run, by iteration.

    Returns:
        ("checkpoint", record) or ("response", record); None if it began with the input of the run, or if the record no
        longer exists.
    """
    earlier = [
        record
        for record in records.get(attempt.iteration, ())
        if record.try_ < attempt.attempt and record.checkpoint is not None
    ]
    if earlier:
        return "checkpoint", max(earlier, key=lambda record: record.try_)
    before = [
        record
        for record in records.get(attempt.iteration - 1, ())
        if record.response and record.response.status == "continue"
    ]
    return ("response", max(before, key=lambda record: record.try_)) if before else None


def exit_code(code: str | None, message: str) -> int | None:
    """Return the exit code that the operator's description of a failed pod names; None if it names none.

    >>> exit_code("Killed", "container task was killed by SIGTERM (exit code 143)")
    143
    """
    if code is not None and (named := re.fullmatch(r"ExitCode(\d{1,3})", code)) is not None:
        return int(named[1])
    if (found := _EXIT_CODE.search(message)) is not None:
        return int(found[1])
    return _SIGKILL if code == "OOMKilled" else None


def _of_record(record: Record) -> Attempt:
    response = record.response
    return Attempt(
        pod_name=record.pod_name,
        iteration=record.iteration,
        attempt=record.try_,
        record=record,
        answer=response.status if response else None,
        message=response.message if response else None,
        started_at=record.started_at,
        finished_at=record.finished_at,
    )


def _of_entry(entry: Mapping[str, Any], known: Attempt | None) -> Attempt:
    """Return the attempt of an entry of the status, which knows more about its end than the record does."""
    return Attempt(
        pod_name=entry["podName"],
        iteration=entry["iteration"],
        attempt=entry["try"],
        record=known.record if known else None,
        answer=entry["answer"],
        message=(known.message if known else None) or entry.get("message"),
        started_at=_time(entry.get("startedAt")) or (known.started_at if known else None),
        finished_at=_time(entry.get("finishedAt")) or (known.finished_at if known else None),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def place_of(pod: str) -> tuple[bool, int, int]:
    """Return the place of a pod among those of its run, by its name: as `Attempt.order`.

    >>> place_of("words-i12t3")
    (False, 12, 3)
    """
    iteration, found = names.iteration_of(pod), _TRY.search(pod.rpartition("-")[2])
    return iteration == 0, iteration, int(found[1]) if found else 1
