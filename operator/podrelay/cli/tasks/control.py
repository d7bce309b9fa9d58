"""`podrelay abort`, `suspend`, `resume`, `reschedule` and `delete`: control existing runs."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

import typer

from podrelay.cli.tasks import following, parsing
from podrelay.cli.tasks.connecting import RunIds
from podrelay.cli.tasks.trigger import Timeout
from podrelay.client.errors import ServiceError
from podrelay.client.results import Run
from podrelay.client.service import TaskService

WaitForEnd = Annotated[
    bool, typer.Option("--wait", help="Wait until the runs have finished; their tasks may clean up first.")
]


def abort(
    service: TaskService,
    run_ids: RunIds,
    message: Annotated[str | None, typer.Option("--message", "-m", metavar="TEXT", help="The reason.")] = None,
    cascade: Annotated[bool, typer.Option("--cascade", help="Also abort all unfinished descendants.")] = False,
    wait: WaitForEnd = False,
    timeout: Timeout = None,
) -> int:
    """Abort runs. Their pods get SIGTERM and time to clean up."""
    aborted: list[Run] = []

    def abort_one(run_id: str) -> str:
        aborted.append(service.abort(run_id, message, cascade=cascade))
        return "was already aborted" if aborted[-1].is_finished else "is being aborted"

    code = _each(run_ids, abort_one)
    if wait:
        ends = following.follow_all(service, [run.id for run in aborted if not run.is_finished], timeout)
        return following.worst([code, *ends.problems])
    return code


def suspend(service: TaskService, run_ids: RunIds) -> int:
    """Suspend runs. Their current pods run to their end, and no further pods start."""
    return _each(run_ids, _then(service.suspend, "suspended"))


def resume(service: TaskService, run_ids: RunIds) -> int:
    """Continue suspended runs."""
    return _each(run_ids, _then(service.resume, "resumed"))


def reschedule(
    service: TaskService,
    run_ids: RunIds,
    start_at: Annotated[
        datetime | None, typer.Option(parser=parsing.start, metavar="TIME", help="Do not start before this time.")
    ] = None,
    delay: Annotated[
        timedelta | None, typer.Option(parser=parsing.duration, metavar="DURATION", help="Start this long from now.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Start at once.")] = False,
) -> int:
    """Change when runs start. A run can be rescheduled until it has started."""
    if sum((start_at is not None, delay is not None, now)) != 1:
        raise typer.BadParameter("give one of --start-at, --delay and --now")

    def reschedule_one(run_id: str) -> str:
        run = service.reschedule(run_id, start_at=start_at, delay=delay)
        start = run.resource["spec"].get("startAt")
        return f"starts at {start}" if start else "starts now"

    return _each(run_ids, reschedule_one)


def delete(service: TaskService, run_ids: RunIds) -> int:
    """Delete runs with their pods, records and children, finished or not."""
    return _each(run_ids, _then(service.delete, "deleted"))


def _then(act: Callable[[str], object], done: str) -> Callable[[str], str]:
    def acted(run_id: str) -> str:
        act(run_id)
        return done

    return acted


def _each(run_ids: list[str], act: Callable[[str], str]) -> int:
    """Apply `act` to each run and print what was done; continue after a failure if there are several runs."""
    code = 0
    for run_id in run_ids:
        try:
            done = act(run_id)
        except ServiceError as error:
            if error.retryable or len(run_ids) == 1:
                raise
            print(f"podrelay: {run_id}: {error}", file=sys.stderr)
            code = 1
        else:
            print(f"taskrun.podrelay.dev/{run_id} {done}")
    return code
