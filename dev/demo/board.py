"""The table of runs: updated in place on a terminal, otherwise one line for each change."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from dev.demo.programs import Object

COLUMNS = ("RUN", "PHASE", "REASON", "ITERATION", "", "PROGRESS", "POD")
_WIDTHS = (9, 9, 16, 11, 12, 13, 12)
_NARROW = 100
"""On a terminal with fewer columns, the progress bar is left out."""
_COLOURS = {"Succeeded": "green", "Failed": "red", "Aborted": "yellow", "Running": "cyan"}
_COLOURS |= {"success": "green", "failed": "red", "aborted": "yellow", "running": "cyan"}  # as in GraphQL
_BAR = 12


class Row(NamedTuple):
    """A row of the table: one run."""

    run: str
    phase: str
    reason: str
    iteration: str
    bar: str
    progress: str
    pod: str


class Picture:
    """The latest state of the runs.

    The progress in a run's status is up to 15 seconds old, because it is written rarely. In the record of the running
    pod it is at most two seconds old, so records are read as well.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.runs: dict[str, Object] = {}
        self._names = names
        self._progress: dict[str, Object] = {}

    def take(self, found: Object) -> None:
        """Apply an object that a watch has reported: a run, or the record of one of its iterations."""
        if found["kind"] == "TaskRun":
            if found["metadata"]["name"] in self._names:
                self.runs[found["metadata"]["name"]] = found
                self._take_progress(found["metadata"]["uid"], (found.get("status") or {}).get("progress"))
        elif found["kind"] == "TaskIteration":
            for owner in found["metadata"].get("ownerReferences") or ():
                self._take_progress(owner["uid"], found.get("progress"))

    def _take_progress(self, uid: str, progress: Object | None) -> None:
        known = self._progress.get(uid, {})
        if progress and progress.get("at", "") >= known.get("at", ""):
            self._progress[uid] = progress

    def progress(self, name: str) -> Object:
        """Return the newest progress of a run: percent and message, if its task reports them."""
        run = self.runs.get(name)
        return self._progress.get(run["metadata"]["uid"], {}) if run else {}

    def phase(self, name: str) -> str:
        """Return the phase of a run; Pending if the run is not known yet."""
        return str((self.runs.get(name, {}).get("status") or {}).get("phase", "Pending"))

    def rows(self) -> list[Row]:
        """Return the rows to show, one for each run."""
        return [row(self.runs[name], self.progress(name)) for name in self._names if name in self.runs]


def row(run: Object, progress: Mapping[str, Any]) -> Row:
    """Return the row of a run."""
    status = run.get("status") or {}
    most = status.get("maxIterations")
    return Row(
        run=run["metadata"]["name"],
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        iteration=f"{status.get('iterations', 0)} of max {most}" if most else "",
        bar=bar(progress["percent"]) if "percent" in progress else "",
        progress=progress.get("message", ""),
        pod=(status.get("current") or {}).get("podName", ""),
    )


def bar(percent: float) -> str:
    """Return a progress bar of fixed width.

    >>> bar(50)
    '######------'
    """
    done = int(_BAR * min(100.0, max(0.0, percent)) / 100)
    return "#" * done + "-" * (_BAR - done)


def table(rows: list[Row], width: int) -> Table:
    """Return the table of all runs, for a terminal of `width` columns."""
    shown = [place for place in range(len(COLUMNS)) if width >= _NARROW or place != Row._fields.index("bar")]
    result = Table(box=None, padding=(0, 2 if width >= _NARROW else 1, 0, 0), header_style="bold")
    for place in shown:
        result.add_column(COLUMNS[place], no_wrap=True, min_width=_WIDTHS[place])
    for cells in rows:
        result.add_row(*(cells[place] for place in shown), style=_COLOURS.get(cells.phase, ""))
    return result


class Board:
    """Shows the runs as they change.

    Args:
        console: where the output is written.
        clock: returns the seconds of a monotonic clock.
        longest: the length of the longest name of a run, for output line by line.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic, longest: int = 0) -> None:
        self._console = console
        self._clock = clock
        self._widths = (max(longest, _WIDTHS[0]), *_WIDTHS[1:])
        self._began_at = clock()
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._shown: dict[str, Row] = {}

    def __enter__(self) -> Self:
        if self._live is None:
            self._line("", Row(*COLUMNS))
        else:
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*error)

    def show(self, rows: list[Row]) -> None:
        """Show the current state of the runs."""
        if self._live is not None:
            self._live.update(table(rows, self._console.width))
            return
        for cells in rows:
            # Without the numbers next to the bar, which change all the time.
            news = cells._replace(progress="")
            if self._shown.get(cells.run) != news:
                self._shown[cells.run] = news
                self._line(f"{self._clock() - self._began_at:.0f} s", cells)

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(text, soft_wrap=True)

    def _line(self, at: str, cells: Row) -> None:
        padded = (f"{cell:<{width}}" for cell, width in zip(cells, self._widths, strict=True))
        self._console.print(f"{at:>6}  {'  '.join(padded)}".rstrip(), markup=False, soft_wrap=True)
