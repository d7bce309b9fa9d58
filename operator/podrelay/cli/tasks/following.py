"""Shows a run on stderr while it is waited for: a bar on a terminal, plain lines elsewhere."""

import sys
from datetime import timedelta
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from podrelay.cli.tasks import printing
from podrelay.client.service import TaskService
from podrelay.client.values import Run

EXIT_CODES: Final = {"Succeeded": 0, "Failed": 1, "Aborted": 3}
INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it."""


class _View(Protocol):
    def show(self, run: Run) -> None:
        """Show how the run stands."""

    def close(self) -> None:
        """Leave the screen as it is."""


class _Lines:
    """A line for each change that matters."""

    def __init__(self) -> None:
        self._last: tuple[object, ...] | None = None

    def show(self, run: Run) -> None:
        now = (run.phase, run.reason, run.iterations, run.progress)
        if now != self._last:
            self._last = now
            print(f"{run.id}: {_words(run)}", file=sys.stderr, flush=True)

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


def follow(service: TaskService, run: Run, timeout: timedelta | None, *, is_shown: bool) -> Run | None:
    """Return the run when it has finished, or None if the user had enough of waiting; it goes on then.

    Args:
        service: where it is.
        run: which.
        timeout: how long to wait; None: for ever.
        is_shown: show how it stands meanwhile.

    Raises:
        WaitTimeoutError: it has not finished in time.
        TaskNotFoundError: it was deleted.
    """
    view: _View = _Nothing() if not is_shown else _Bar() if sys.stderr.isatty() else _Lines()
    seconds = None if timeout is None else timeout.total_seconds()
    try:
        with service.watch(run.id, seconds) as states:
            for state in states:
                run = state
                view.show(run)
    except KeyboardInterrupt:
        view.close()
        place = "" if service.namespace == "default" else f" -n {service.namespace}"
        print(f"\n{run.id} goes on. To stop it: podrelay abort {run.id}{place}", file=sys.stderr)
        return None
    finally:
        view.close()
    return run


def conclude(run: Run | None, output: printing.Format) -> int:
    """Print how a run has ended, and return the exit code: 0 Succeeded, 1 Failed, 3 Aborted."""
    if run is None:
        return INTERRUPTED
    if output is printing.Format.TABLE:
        print(f"{run.id} {_words(run)}", file=sys.stderr)
        if run.output is not None:
            printing.print_json(run.output)
    else:
        printing.print_one(run, printing.RUN_COLUMNS, output)
    return EXIT_CODES[run.phase]


def _words(run: Run) -> str:
    calls = f"iteration {printing.iterations(run)}" if run.iterations and not run.is_finished else ""
    state = f"{run.phase}: {run.message}" if run.is_finished else (run.reason or run.phase)
    return " ".join(filter(None, (state, calls, "" if run.is_finished else printing.progress(run))))
