"""Follows runs as they change: the states of one run, the events of many, the log lines of one."""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace

from podrelay.api import names
from podrelay.client import arguments, logs
from podrelay.client.errors import (
    ApiUnavailableError,
    NotFoundError,
    RequestRefusedError,
    TaskNotFoundError,
    WaitTimeoutError,
)
from podrelay.client.resources import Query, Resource, Resources
from podrelay.client.results import LogLine, Run, RunEvent, run_of
from podrelay.client.stream import Cancellation, Deadline, Stream
from podrelay.client.watching import OUTAGE_SECONDS, Follower


def existing(resources: Resources, namespace: str, run_id: str) -> Resource:
    """Return the TaskRun of this id.

    Raises:
        TaskNotFoundError: there is no such run.
        RequestRefusedError: the request is forbidden.
        ApiUnavailableError: the API server is unavailable, even after retries.
    """
    with about(run_id):
        return resources.get(names.TASK_RUNS, namespace, run_id)


@contextmanager
def about(run_id: str) -> Iterator[None]:
    """Convert a "not found" error of the body into TaskNotFoundError.

    Raises:
        TaskNotFoundError: before the body runs, if no run can have this id.
    """
    if not arguments.is_name(run_id):
        raise TaskNotFoundError.of(run_id)
    try:
        yield
    except NotFoundError as missing:
        raise TaskNotFoundError.of(run_id) from missing


def whole(resources: Resources, run: Run) -> Run:
    """Return a run with its output, read from its record if necessary; without it if the record cannot be read.

    Raises:
        ApiUnavailableError: the API server is unavailable, even after retries.
    """
    if run.output is not None or run.output_from is None:
        return run
    try:
        record = resources.get(names.TASK_ITERATIONS, run.namespace, run.output_from)
    except RequestRefusedError:
        return run
    return replace(run, output=record.get("response", {}).get("output"))


def states(
    resources: Resources, namespace: str, run_id: str, deadline: Deadline, cancellation: Cancellation
) -> Generator[Run]:
    """Yield the state of a run, then each new one, until it has finished.

    Raises:
        TaskNotFoundError: the run does not exist, or was deleted.
        WaitTimeoutError: the run has not finished by the deadline.
        RequestRefusedError: the request is forbidden.
        ApiUnavailableError: the API server was unavailable for 5 minutes.
    """
    last: Run | None = None
    try:
        for run in _versions(resources, namespace, run_id, deadline, cancellation):
            if run != last:
                last = run
                yield whole(resources, run) if run.is_finished else run
            if run.is_finished:
                return
    except ApiUnavailableError as error:
        if deadline.within(OUTAGE_SECONDS) == OUTAGE_SECONDS:
            raise
        raise WaitTimeoutError(
            f"Task {run_id} could not be read before the timeout expired: {error}", {"id": run_id}
        ) from error
    if not cancellation.is_set:
        state = f"is {last.status}" if last is not None else "was not seen"
        raise WaitTimeoutError(
            f"Task {run_id} {state}; the timeout has expired, but the run continues.", {"id": run_id}
        )


def _versions(
    resources: Resources, namespace: str, run_id: str, deadline: Deadline, cancellation: Cancellation
) -> Iterator[Run]:
    if not arguments.is_name(run_id):
        raise TaskNotFoundError.of(run_id)
    uid = None
    query = Query(names.TASK_RUNS, namespace, fields=f"metadata.name={run_id}")
    for change in Follower(resources, query, cancellation, deadline).changes():
        if change.type == "SYNCED":
            if uid is None:
                raise TaskNotFoundError.of(run_id)
            continue
        run = run_of(change.resource)
        if change.type == "DELETED" or uid not in {None, run.uid}:
            raise TaskNotFoundError(f'Task "{run_id}" was deleted.', {"id": run_id})
        uid = run.uid
        yield run


def events(
    resources: Resources, query: Query, deadline: Deadline, cancellation: Cancellation, *, with_existing: bool
) -> Generator[RunEvent]:
    """Yield the events of the runs of a query until the deadline; if `with_existing`, first one for each existing run.

    Raises:
        RequestRefusedError: the request is forbidden.
        ApiUnavailableError: the API server was unavailable for 5 minutes, or until the deadline.
    """
    is_synced = False
    finished: set[str] = set()
    for change in Follower(resources, query, cancellation, deadline).changes():
        if change.type == "SYNCED":
            is_synced = True
            continue
        run = run_of(change.resource)
        if is_synced:
            yield from _events_of(change.type, run, is_old=run.uid in finished)
        elif with_existing:
            yield RunEvent("existing", run)
        if change.type == "DELETED":
            finished.discard(run.uid)
        elif run.is_finished:
            finished.add(run.uid)


def _events_of(change: str, run: Run, *, is_old: bool) -> Iterator[RunEvent]:
    """Yield the events that a change means; `is_old`: the run was already known to be finished."""
    ends = run.is_finished and not is_old
    if change == "DELETED":
        yield RunEvent("deleted", run)
        return
    if change == "ADDED":
        yield RunEvent("created", run)
    elif not ends:
        yield RunEvent("changed", run)
    if ends:
        yield RunEvent("finished", run)


def lines(
    resources: Resources,
    namespace: str,
    run_id: str,
    iteration: int | None,
    cancellation: Cancellation,
    *,
    is_followed: bool,
    console: bool = False,
    tail: int | None = None,
) -> Generator[LogLine]:
    """Yield the log lines of a run; if `is_followed`, also new ones until it has finished or was deleted.

    With `console`, the lines that its pods have printed are included. With `tail`, only the last `tail` of the existing
    lines are.

    Raises:
        TaskNotFoundError: there is no such run.
        RequestRefusedError: the request is forbidden.
        ApiUnavailableError: the API server was unavailable for 5 minutes.
    """
    existing(resources, namespace, run_id)
    query, reader = logs.records(namespace, run_id), logs.Reader(iteration, console=console)
    if tail is not None:
        yield from deque(logs.stored(resources, query, reader), maxlen=max(0, tail))
    if is_followed:
        run = Stream(lambda inner: states(resources, namespace, run_id, Deadline(None), inner))
        yield from logs.followed(resources, query, reader, run, cancellation)
    elif tail is None:
        yield from logs.stored(resources, query, reader)
