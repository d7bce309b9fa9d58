"""The table of runs: one that updates on a terminal, a line for each change elsewhere."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

_COLOURS = {"Succeeded": "green", "Failed": "red", "Aborted": "yellow", "Running": "cyan"}
COLUMNS = ("RUN", "PHASE", "REASON", "ITERATION", "PROGRESS", "POD")


def row(run: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one run."""
    status = run.get("status") or {}
    allowed = status.get("maxIterations")
    iteration = f"{status.get('iterations', 0)} of at most {allowed}" if allowed else ""
    progress = status.get("progress") or {}
    percent = f" ({progress['percent']:.0f} %)" if "percent" in progress else ""
    return (
        run["metadata"]["name"],
        status.get("phase", "Pending"),
        status.get("reason", ""),
        iteration,
        f"{progress.get('message', '')}{percent}",
        (status.get("current") or {}).get("podName", ""),
    )


def table(runs: dict[str, dict[str, Any]]) -> Table:
    """Return the table of all runs."""
    result = Table(box=None, padding=(0, 2), header_style="bold")
    for column in COLUMNS:
        result.add_column(column, no_wrap=True)
    for name in sorted(runs):
        cells = row(runs[name])
        result.add_row(*cells, style=_COLOURS.get(cells[1], ""))
    return result


class Board:
    """Shows the runs as they change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._shown: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> "Board":
        self._context: AbstractContextManager[object] = self._live or nullcontext()
        self._context.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)

    def show(self, runs: dict[str, dict[str, Any]]) -> None:
        """Show the runs as they are now."""
        if self._live is not None:
            self._live.update(table(runs))
            return
        for name, run in sorted(runs.items()):
            cells = row(run)
            if self._shown.get(name) != cells:
                self._shown[name] = cells
                self._console.print(
                    "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)),
                    highlight=False,
                    soft_wrap=True,
                )


_WIDTHS = (10, 10, 17, 16, 24, 14)
