"""Waits for runs, and shows them on stderr meanwhile where that is wanted: a bar on a terminal, lines elsewhere."""

import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from podrelay.api.phases import ABORTED, FAILED
from podrelay.cli.exit_codes import INTERRUPTED, OF_PHASE, TIMED_OUT
from podrelay.cli.tasks import printing
from podrelay.client.errors import ServiceError
from podrelay.client.service import TaskService
from podrelay.client.stream import Stream
from podrelay.client.values import Run

_WORST_LAST: Final = (0, OF_PHASE[ABORTED], TIMED_OUT, OF_PHASE[FAILED], INTERRUPTED)
_AT_ONCE: Final = 32
"""How many runs are watched at once; each takes a thread and a connection."""


@dataclass(frozen=True)
class Ends:
    """What became of runs that were waited for.

    Attributes:
        runs: those that have finished, in the order of their ends.
        problems: exit codes for those that have not.
    """

    runs: list[Run]
    problems: list[int]

    @property
    def code(self) -> int:
        """The exit code for all of them."""
        return worst([*self.problems, *(OF_PHASE[run.phase] for run in self.runs)])


def worst(codes: Iterable[int]) -> int:
    """Return the exit code that stands for several: interrupted, failed, timed out, aborted, 0, in this order."""
    return max(codes, key=_WORST_LAST.index, default=0)


class _View(Protocol):
    def show(self, run: Run) -> None:
        """Show how the run stands."""

    def close(self) -> None:
        """Leave the screen as it is."""


class _Lines:
    """A line for each change that matters, but the end: that is told by whoever waits."""

    def __init__(self) -> None:
        self._last: tuple[object, ...] | None = None

    def show(self, run: Run) -> None:
        now = (run.phase, run.reason, run.iterations, run.progress)
        if now != self._last and not run.is_finished:
            self._last = now
            print(f"{run.id}: {_words(run)}\n", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _Bar:
    """One line that changes, with a bar that moves even if nobody knows how far it is."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[words]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, words="")
        self._progress.start()

    def show(self, run: Run) -> None:
        percent = run.progress.percent if run.progress is not None else None
        self._progress.update(
            self._task,
            description=run.id,
            words=_words(run),
            total=None if percent is None else 100,
            completed=percent or 0,
        )

    def close(self) -> None:
        self._progress.stop()


class _Nothing:
    def show(self, run: Run) -> None:
        pass

    def close(self) -> None:
        pass


def follow(service: TaskService, run_id: str, timeout: timedelta | None, *, is_shown: bool) -> Run | None:
    """Return the run when it has finished, or None if the user had enough of waiting; it goes on then.

    Args:
        service: where it is.
        run_id: which.
        timeout: how long to wait; None: for ever.
        is_shown: show how it stands meanwhile.

    Raises:
        WaitTimeoutError: it has not finished in time.
        TaskNotFoundError: it was deleted.
    """
    view: _View = _Nothing() if not is_shown else _Bar() if sys.stderr.isatty() else _Lines()
    try:
        with service.watch(run_id, _seconds(timeout)) as states:
            return _last(states, view)
    except KeyboardInterrupt:
        view.close()
        place = "" if service.namespace == "default" else f" -n {service.namespace}"
        print(f"\n{run_id} goes on. To stop it: podrelay abort {run_id}{place}", file=sys.stderr)
        return None
    finally:
        view.close()


def follow_all(
    service: TaskService,
    run_ids: list[str],
    timeout: timedelta | None,
    *,
    is_shown: bool = False,
    is_told: bool = True,
) -> Ends:
    """Wait for all of several runs. What is wrong with one of them is told on stderr.

    Args:
        service: where they are.
        run_ids: which.
        timeout: how long to wait for all of them; None: for ever.
        is_shown: show on stderr how they stand meanwhile.
        is_told: print on stdout how each has ended.
    """
    streams = {run_id: service.watch(run_id, _seconds(timeout)) for run_id in run_ids}
    runs: list[Run] = []
    problems: list[int] = []
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="podrelay-wait") as pool:
        waits = {
            pool.submit(_last, stream, _Lines() if is_shown else _Nothing()): run_id
            for run_id, stream in streams.items()
        }
        try:
            for ended in as_completed(waits):
                try:
                    runs.append(ended.result())
                except ServiceError as error:
                    print(f"podrelay: {waits[ended]}: {error}", file=sys.stderr)
                    problems.append(TIMED_OUT if isinstance(error, TimeoutError) else OF_PHASE[FAILED])
                    continue
                if is_told:
                    print(f"{printing.name_of(runs[-1])} {runs[-1].phase}", flush=True)
        except KeyboardInterrupt:
            print("\nthe other runs go on", file=sys.stderr)
            problems.append(INTERRUPTED)
            for wait in waits:
                wait.cancel()
            for stream in streams.values():
                stream.close()
    return Ends(runs, problems)


def conclude(run: Run | None, output: printing.Format, *, is_shown: bool) -> int:
    """Print how a run has ended, and return the exit code: 0 Succeeded, 1 Failed, 3 Aborted.

    Args:
        run: which, None if the user had enough of waiting.
        output: how to print it.
        is_shown: stderr has told how it stood, so it tells the end, too.
    """
    if run is None:
        return INTERRUPTED
    if is_shown or output is printing.Format.TABLE:
        print(f"{run.id} {_words(run)}", file=sys.stderr)
    if output is not printing.Format.TABLE:
        printing.print_one(run, printing.RUN_COLUMNS, output)
    elif run.output is not None:
        printing.print_json(run.output)
    return OF_PHASE[run.phase]


def _last(states: Stream[Run], view: _View) -> Run:
    """Return the last state of a run, its end, having shown each."""
    run: Run | None = None
    for run in states:
        view.show(run)
    assert run is not None  # noqa: S101 - a stream without a state raises, unless it is closed
    return run


def _seconds(timeout: timedelta | None) -> float | None:
    return None if timeout is None else timeout.total_seconds()


def _words(run: Run) -> str:
    calls = f"iteration {printing.iterations(run)}" if run.iterations and not run.is_finished else ""
    state = f"{run.phase}: {run.message}" if run.is_finished else (run.reason or run.phase)
    return " ".join(filter(None, (state, calls, "" if run.is_finished else printing.progress(run))))
