"""`podrelay abort`, `suspend`, `resume` and `delete`: change what becomes of runs."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from podrelay.cli.tasks import following
from podrelay.cli.tasks.connecting import RunIds
from podrelay.cli.tasks.trigger import Timeout
from podrelay.client.errors import ServiceError
from podrelay.client.service import TaskService
from podrelay.client.values import Run

WaitForEnd = Annotated[bool, typer.Option("--wait", help="Wait until it has ended; its task may clean up before.")]


def abort(
    service: TaskService,
    run_ids: RunIds,
    message: Annotated[str | None, typer.Option("--message", "-m", metavar="TEXT", help="Why.")] = None,
    cascade: Annotated[bool, typer.Option("--cascade", help="All unfinished descendants, too.")] = False,
    wait: WaitForEnd = False,
    timeout: Timeout = None,
) -> int:
    """Tell runs to stop. Their pods get SIGTERM and time to clean up."""
    aborted: list[Run] = []

    def tell(run_id: str) -> str:
        aborted.append(service.abort(run_id, message, cascade=cascade))
        return "was aborted before" if aborted[-1].is_finished else "is being aborted"

    code = _each(run_ids, tell)
    if wait:
        ends = following.follow_all(service, [run.id for run in aborted if not run.is_finished], timeout)
        return following.worst([code, *ends.problems])
    return code


def suspend(service: TaskService, run_ids: RunIds) -> int:
    """Start no further pods of runs. The current ones run to their end."""
    return _each(run_ids, _then(service.suspend, "suspended"))


def resume(service: TaskService, run_ids: RunIds) -> int:
    """Let suspended runs go on."""
    return _each(run_ids, _then(service.resume, "resumed"))


def delete(service: TaskService, run_ids: RunIds) -> int:
    """Delete runs with their pods, records and children, finished or not."""
    return _each(run_ids, _then(service.delete, "deleted"))


def _then(act: Callable[[str], object], done: str) -> Callable[[str], str]:
    def acted(run_id: str) -> str:
        act(run_id)
        return done

    return acted


def _each(run_ids: list[str], act: Callable[[str], str]) -> int:
    """Do it to each and print what was done, and go on after one that it cannot be done to."""
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
