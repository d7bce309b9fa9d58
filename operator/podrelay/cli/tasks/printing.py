"""Prints runs and definitions: as a table, or, for programs, as JSON, YAML or names."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from podrelay.cli import yaml
from podrelay.client.results import Definition, Run
from podrelay.client.schedules import Schedule

T = TypeVar("T", Run, Definition, Schedule)
Format = Literal["table", "wide", "name", "json", "yaml"]
"""The format of the output."""

_COLORS: Final = {"Succeeded": "green", "Failed": "red", "Aborted": "yellow", "Running": "cyan", "Pending": "dim"}
_NO_WIDTH: Final = 100_000
"""Programs read whole lines."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column of a table.

    Attributes:
        title: the heading.
        value: returns its text for an item; a Text can have a colour.
        wide: whether it is shown only with -o wide.
    """

    title: str
    value: Callable[[T], str | Text]
    wide: bool = False


def iterations(run: Run) -> str:
    """Return the number of iterations, and how many are allowed."""
    return str(run.iterations) if run.max_iterations is None else f"{run.iterations}/{run.max_iterations}"


def progress(run: Run) -> str:
    """Return the progress that the task has reported."""
    if run.progress is None:
        return ""
    percent = "" if run.progress.percent is None else f"{run.progress.percent:g}%"
    return " ".join(filter(None, (percent, " ".join(run.progress.message.split()))))


def since(moment: datetime, until: datetime | None = None) -> str:
    """Return how long ago `moment` was, in the format of kubectl: 45s, 3m20s, 5h, 12d."""
    return short((until or datetime.now(UTC)) - moment)


def short(span: timedelta) -> str:
    """Return a duration in the format of kubectl."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 600:
        return f"{seconds // 60}m{seconds % 60}s"
    if seconds < 3 * 3600:
        return f"{seconds // 60}m"
    if seconds < 48 * 3600:
        return f"{seconds // 3600}h"
    return f"{seconds // 86_400}d"


RUN_COLUMNS: Final[tuple[Column[Run], ...]] = (
    Column("ID", lambda run: run.id),
    Column("NAME", lambda run: run.name),
    Column("DEFINITION", lambda run: run.definition),
    Column("PHASE", lambda run: Text(run.phase, _COLORS[run.phase])),
    Column("REASON", lambda run: run.reason),
    Column("ITERATIONS", iterations),
    Column("PROGRESS", progress),
    Column("AGE", lambda run: since(run.created_on)),
    Column("MESSAGE", lambda run: " ".join(run.message.split()), wide=True),
    Column("PARENT", lambda run: run.parent or "", wide=True),
    Column("CREATED BY", lambda run: run.created_by or "", wide=True),
)
DEFINITION_COLUMNS: Final[tuple[Column[Definition], ...]] = (
    Column("ID", lambda definition: definition.id),
    Column("NAME", lambda definition: definition.name),
    Column("TITLE", lambda definition: definition.title),
    Column("READY", lambda definition: {None: "", True: "True", False: "False"}[definition.is_ready]),
    Column("ACTIVE", lambda definition: str(definition.active_runs)),
    Column("QUEUED", lambda definition: str(definition.queued_runs)),
    Column("MAX ITERATIONS", lambda definition: str(definition.max_iterations), wide=True),
    Column("PRIVATE", lambda definition: str(definition.private), wide=True),
    Column("MESSAGE", lambda definition: " ".join(definition.message.split()), wide=True),
)


def print_many(items: Sequence[T], columns: Sequence[Column[T]], output: Format, *, namespaces: bool = False) -> None:
    """Print a list on stdout.

    Args:
        items: what to print.
        columns: the columns of a table.
        output: the format.
        namespaces: show the namespace of each item.
    """
    match output:
        case "json" | "yaml":
            _document({"apiVersion": "v1", "kind": "List", "items": [_clean(item.resource) for item in items]}, output)
        case "name":
            for item in items:
                print(name_of(item))
        case _ if not items:
            print("nothing found", file=sys.stderr)
        case _:
            console().print(table(items, columns, wide=output == "wide", namespaces=namespaces))


def print_one(item: T, columns: Sequence[Column[T]], output: Format) -> None:
    """Print one item on stdout."""
    match output:
        case "json" | "yaml":
            _document(_clean(item.resource), output)
        case "name":
            print(name_of(item))
        case _:
            console().print(table([item], columns, wide=output == "wide"))


def name_of(item: Run | Definition | Schedule) -> str:
    """Return the name as `kubectl -o name` prints it."""
    if isinstance(item, Schedule):
        return f"taskschedule.podrelay.dev/{item.name}"
    return f"taskrun.podrelay.dev/{item.id}" if isinstance(item, Run) else f"taskdefinition.podrelay.dev/{item.name}"


def console() -> Console:
    """Return a console for stdout, with colours and the terminal's width if it is one."""
    return Console(soft_wrap=False, width=None if sys.stdout.isatty() else _NO_WIDTH, highlight=False)


def table(items: Sequence[T], columns: Sequence[Column[T]], *, wide: bool = False, namespaces: bool = False) -> Table:
    """Return a table in the format of kubectl."""
    shown = [column for column in columns if wide or not column.wide]
    if namespaces:
        shown.insert(0, Column("NAMESPACE", lambda item: item.namespace))
    result = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in shown:
        result.add_column(column.title, no_wrap=True, overflow="ellipsis")
    for item in items:
        result.add_row(*(_cell(column.value(item)) for column in shown))
    return result


def _cell(value: str | Text) -> Text:
    return value if isinstance(value, Text) else Text(value)  # a plain string would be read as markup


def print_json(value: Any) -> None:
    """Print a JSON value on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _document(value: dict[str, Any], output: Format) -> None:
    if output == "json":
        print(json.dumps(value, indent=4, ensure_ascii=False))
    else:
        print(yaml.dump(value), end="")


def _clean(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resource as `kubectl get -o json` shows it: without managedFields."""
    metadata = {key: value for key, value in resource["metadata"].items() if key != "managedFields"}
    return {**resource, "metadata": metadata}
