"""`podrelay top`: shows the active runs, live."""

import sys
import threading
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from podrelay.api.errors import PodrelayError
from podrelay.cli.tasks import printing
from podrelay.cli.tasks.connecting import DefinitionFilter
from podrelay.cli.tasks.show import AllNamespaces
from podrelay.client.results import Run, RunEvent
from podrelay.client.service import TaskService
from podrelay.client.stream import Stream

_ORDER = {"Running": 0, "Pending": 1}


def top(
    service: TaskService,
    definition: DefinitionFilter = None,
    all_namespaces: AllNamespaces = False,
    once: Annotated[bool, typer.Option("--once", help="Print them once.")] = False,
) -> int:
    """Show the active runs, live, until Ctrl-C; or once, if stdout is not a terminal."""
    if once or not sys.stdout.isatty():
        runs = service.list(
            definition=definition, status=["pending", "running"], limit=None, all_namespaces=all_namespaces
        )
        printing.print_many(sorted(runs, key=_place), printing.RUN_COLUMNS, "table", namespaces=all_namespaces)
        return 0
    console = Console(highlight=False)
    with service.events(definition=definition, all_namespaces=all_namespaces, existing=True) as events:
        board = Board(events, namespaces=all_namespaces)
        board.start()
        with Live(get_renderable=lambda: board.table(console.height - 2), console=console, screen=True):
            try:
                board.join()
            except KeyboardInterrupt:
                return 0
    if board.error is not None:
        raise board.error
    return 0


class Board(threading.Thread):
    """Keeps track of the active runs.

    Args:
        events: the events of the runs, beginning with the existing ones.
        namespaces: show the namespace of each run.
    """

    def __init__(self, events: Stream[RunEvent], *, namespaces: bool) -> None:
        super().__init__(name="podrelay-top", daemon=True)
        self._events = events
        self._namespaces = namespaces
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()
        self.error: PodrelayError | None = None

    def run(self) -> None:
        """Apply the events as they arrive."""
        try:
            for event in self._events:
                self.take(event)
        except PodrelayError as error:
            self.error = error

    def take(self, event: RunEvent) -> None:
        """Apply one event."""
        with self._lock:
            if event.type == "deleted" or event.run.is_finished:
                self._runs.pop(event.run.uid, None)
            else:
                self._runs[event.run.uid] = event.run

    def table(self, rows: int) -> Table:
        """Return the table to show, with at most `rows` rows."""
        with self._lock:
            runs = sorted(self._runs.values(), key=_place)
        table = printing.table(runs[: max(1, rows)], printing.RUN_COLUMNS, namespaces=self._namespaces)
        hidden = f", {len(runs) - rows} are not shown" if len(runs) > rows else ""
        table.caption = f"{len(runs)} active{hidden}"
        table.caption_justify = "left"
        return table


def _place(run: Run) -> tuple[object, ...]:
    return _ORDER[run.phase], run.definition, run.created_on, run.id
