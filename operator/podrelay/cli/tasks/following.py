"""Waits for runs, and can show their progress on stderr: as a bar on a terminal, else as lines."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from podrelay.api.phases import ABORTED, FAILED
from podrelay.cli.exit_codes import INTERRUPTED, OF_PHASE, TIMED_OUT
from podrelay.cli.tasks import printing
from podrelay.client.errors import ServiceError
from podrelay.client.results import Run
from podrelay.client.service import TaskService
from podrelay.client.stream import Stream

Show = Callable[[Run], None]
"""Shows the current state of a run."""

_WORST_LAST: Final = (0, OF_PHASE[ABORTED], TIMED_OUT, OF_PHASE[FAILED], INTERRUPTED)
_AT_ONCE: Final = 32
"""How many runs are watched at once; each takes a thread and a connection."""


@dataclass(frozen=True)
class Ends:
    """The result of waiting for several runs.

    Attributes:
        runs: the runs that have finished, in this order.
        problems: an exit code for each of the other runs.
    """

    runs: list[Run]
    problems: list[int]

    @property
    def code(self) -> int:
        """One exit code for all of them."""
        return worst([*self.problems, *(OF_PHASE[run.phase] for run in self.runs)])


def worst(codes: Iterable[int]) -> int:
    """Return one exit code for several, the first of these: interrupted, failed, timed out, aborted, 0."""
    return max(codes, key=_WORST_LAST.index, default=0)


def _nothing(run: Run) -> None:
    """Show nothing."""


def _lines() -> Show:
    """Return a function that prints a line for each change that matters, except the end, which the caller prints."""
    last: tuple[object, ...] | None = None

    def show(run: Run) -> None:
        nonlocal last
        now = (run.phase, run.reason, run.iterations, run.progress)
        if now != last and not run.is_finished:
            last = now
            print(f"{run.id}: {_words(run)}\n", end="", file=sys.stderr, flush=True)

    return show


@contextlib.contextmanager
def _bar() -> Iterator[Show]:
    """Show one changing line, with a bar that moves even if the total is unknown."""
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[words]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
    )
    task = progress.add_task("", total=None, words="")

    def show(run: Run) -> None:
        percent = run.progress.percent if run.progress is not None else None
        total = None if percent is None else 100
        progress.update(task, description=run.id, words=_words(run), total=total, completed=percent or 0)

    with progress:
        yield show


def _view(*, is_shown: bool) -> contextlib.AbstractContextManager[Show]:
    if is_shown and sys.stderr.isatty():
        return _bar()
    return contextlib.nullcontext(_lines() if is_shown else _nothing)


def follow(service: TaskService, run_id: str, timeout: timedelta | None, *, is_shown: bool) -> Run | None:
    """Wait until a run has finished and return it, or None if the user has interrupted the wait; the run continues.

    Args:
        service: the service of its namespace.
        run_id: id of the run.
        timeout: how long to wait; None: without a limit.
        is_shown: show its progress while waiting.

    Raises:
        WaitTimeoutError: the run has not finished in time.
        TaskNotFoundError: the run does not exist, or was deleted.
    """
    try:
        with _view(is_shown=is_shown) as show, service.watch(run_id, _seconds(timeout)) as states:
            return _last(states, show)
    except KeyboardInterrupt:
        place = "" if service.namespace == "default" else f" -n {service.namespace}"
        print(f"\n{run_id} continues. To abort it: podrelay abort {run_id}{place}", file=sys.stderr)
        return None


def follow_all(
    service: TaskService,
    run_ids: list[str],
    timeout: timedelta | None,
    *,
    is_shown: bool = False,
    prints_ends: bool = True,
) -> Ends:
    """Wait until several runs have finished. Errors about single runs are printed on stderr.

    Args:
        service: the service of their namespace.
        run_ids: ids of the runs.
        timeout: how long to wait for all of them; None: without a limit.
        is_shown: show their progress on stderr while waiting.
        prints_ends: print on stdout how each has ended.
    """
    streams = {run_id: service.watch(run_id, _seconds(timeout)) for run_id in run_ids}
    runs: list[Run] = []
    problems: list[int] = []
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="podrelay-wait") as pool:
        waits = {
            pool.submit(_last, stream, _lines() if is_shown else _nothing): run_id for run_id, stream in streams.items()
        }
        try:
            for ended in as_completed(waits):
                try:
                    runs.append(ended.result())
                except ServiceError as error:
                    print(f"podrelay: {waits[ended]}: {error}", file=sys.stderr)
                    problems.append(TIMED_OUT if isinstance(error, TimeoutError) else OF_PHASE[FAILED])
                    continue
                if prints_ends:
                    print(f"{printing.name_of(runs[-1])} {runs[-1].phase}", flush=True)
        except KeyboardInterrupt:
            print("\nthe other runs continue", file=sys.stderr)
            problems.append(INTERRUPTED)
            for wait in waits:
                wait.cancel()
            for stream in streams.values():
                stream.close()
    return Ends(runs, problems)


def conclude(run: Run | None, output: printing.Format, *, is_shown: bool) -> int:
    """Print how a run has ended, and return the exit code: 0 Succeeded, 1 Failed, 3 Aborted.

    Args:
        run: the run, or None if the user has interrupted the wait.
        output: how to print it.
        is_shown: its progress was shown on stderr, so its end is, too.
    """
    if run is None:
        return INTERRUPTED
    if is_shown or output == "table":
        print(f"{run.id} {_words(run)}", file=sys.stderr)
    if output != "table":
        printing.print_one(run, printing.RUN_COLUMNS, output)
    elif run.output is not None:
        printing.print_json(run.output)
    return OF_PHASE[run.phase]


def _last(states: Stream[Run], show: Show) -> Run:
    """Show each state of a run, and return the last one, its end."""
    run: Run | None = None
    for run in states:
        show(run)
    assert run is not None  # noqa: S101 - a stream without a state raises, unless it is closed
    return run


def _seconds(timeout: timedelta | None) -> float | None:
    return None if timeout is None else timeout.total_seconds()


def _words(run: Run) -> str:
    calls = f"iteration {printing.iterations(run)}" if run.iterations and not run.is_finished else ""
    state = f"{run.phase}: {run.message}" if run.is_finished else (run.reason or run.phase)
    return " ".join(filter(None, (state, calls, "" if run.is_finished else printing.progress(run))))
