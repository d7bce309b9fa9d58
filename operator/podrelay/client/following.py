"""What happens to runs, as it happens: the states of one, the events of many, the log lines of one."""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace

from podrelay.api import names
from podrelay.client import logs, requests
from podrelay.client.errors import ApiUnavailableError, RequestRefusedError, TaskNotFoundError, WaitTimeoutError
from podrelay.client.resources import Query, Resource, Resources
from podrelay.client.stream import Cancellation, Deadline, Stream
from podrelay.client.values import LogLine, Run, RunEvent, run_of
from podrelay.client.watching import OUTAGE_SECONDS, follow


def existing(resources: Resources, namespace: str, run_id: str) -> Resource:
    """Return the TaskRun of this id.

    Raises:
        TaskNotFoundError: there is none.
        RequestRefusedError: it is forbidden.
        ApiUnavailableError: also after some tries.
    """
    with about(run_id):
        return resources.get(names.TASK_RUNS, namespace, run_id)


@contextmanager
def about(run_id: str) -> Iterator[None]:
    """Turn "not found" inside into TaskNotFoundError.

    Raises:
        TaskNotFoundError: at once where no run can have this id.
    """
    if not requests.is_name(run_id):
        raise TaskNotFoundError.of(run_id)
    try:
        yield
    except RequestRefusedError as refused:
        if refused.status != 404:
            raise
        raise TaskNotFoundError.of(run_id) from refused


def whole(resources: Resources, run: Run) -> Run:
    """Return a run with its output, wherever that is; without it where its record is gone, or not for this user.

    Raises:
        ApiUnavailableError: also after some tries.
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
    """Return the state of a run, then each new one, until it has finished.

    Raises:
        TaskNotFoundError: there is no such run, or it was deleted.
        WaitTimeoutError: it has not finished by the deadline.
        RequestRefusedError: it is forbidden.
        ApiUnavailableError: the API server was away for 5 minutes.
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
            f"Task {run_id} cannot be seen, and the time is over: {error}", {"id": run_id}
        ) from error
    if not cancellation.is_set:
        state = f"is {last.status}" if last is not None else "was not seen"
        raise WaitTimeoutError(f"Task {run_id} {state}, and the time is over; it goes on.", {"id": run_id})


def _versions(
    resources: Resources, namespace: str, run_id: str, deadline: Deadline, cancellation: Cancellation
) -> Iterator[Run]:
    if not requests.is_name(run_id):
        raise TaskNotFoundError.of(run_id)
    uid = None
    query = Query(names.TASK_RUNS, namespace, fields=f"metadata.name={run_id}")
    for change in follow(resources, query, cancellation, deadline):
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
    """Return what happens to the runs of a query from now on, until the deadline; first, if wanted, what is there.

    Raises:
        RequestRefusedError: it is forbidden.
        ApiUnavailableError: the API server was away for 5 minutes, or until the deadline.
    """
    is_news = False
    finished: set[str] = set()
    for change in follow(resources, query, cancellation, deadline):
        if change.type == "SYNCED":
            is_news = True
            continue
        run = run_of(change.resource)
        if is_news:
            yield from _told(change.type, run, is_old=run.uid in finished)
        elif with_existing:
            yield RunEvent("existing", run)
        if change.type == "DELETED":
            finished.discard(run.uid)
        elif run.is_finished:
            finished.add(run.uid)


def _told(change: str, run: Run, *, is_old: bool) -> Iterator[RunEvent]:
    """Return what a change means; `is_old`: the run was known to be finished before."""
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
    """Return the log lines of a run; followed: also those that come, until it has finished.

    With `console` also what its pods have printed besides. Of those that are there it returns the last `tail` only,
    unless that is None.

    Raises:
        TaskNotFoundError: there is no such run.
        RequestRefusedError: it is forbidden.
        ApiUnavailableError: the API server was away for 5 minutes.
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
