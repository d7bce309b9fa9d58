"""`podrelay list`, `get`, `children` and `definitions`: show runs and definitions."""

from datetime import datetime
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from podrelay.cli import exit_codes
from podrelay.cli.tasks import following, parsing, printing
from podrelay.cli.tasks.connecting import DefinitionFilter, RunId
from podrelay.cli.tasks.trigger import Output
from podrelay.client.results import Run
from podrelay.client.service import Order, TaskService

AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of the whole cluster.")]
Sort = Literal["newest", "oldest", "id", "name", "definition", "status"]
"""The order of a list."""


def list_runs(
    service: TaskService,
    definition: DefinitionFilter = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status", "-s", metavar="STATUS", help="Only runs with this status, such as failed; can be repeated."
        ),
    ] = None,
    parent: Annotated[
        str | None, typer.Option(parser=parsing.run_id, metavar="ID", help="Only children of this run.")
    ] = None,
    created_after: Annotated[
        datetime | None,
        typer.Option(
            "--after",
            parser=parsing.moment,
            metavar="TIME",
            help="Only runs created at this time or later; 2h: 2 h ago.",
        ),
    ] = None,
    created_before: Annotated[
        datetime | None,
        typer.Option("--before", parser=parsing.moment, metavar="TIME", help="Only runs created before this."),
    ] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only runs whose id or name contains this.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="At most this many; 0: all.")] = 50,
    sort: Annotated[Sort, typer.Option(help="The order of the list.")] = "newest",
    all_namespaces: AllNamespaces = False,
    output: Output = "table",
) -> None:
    """List runs, the newest first."""
    by_time = sort in {"newest", "oldest"}
    order: Order = "oldest" if sort == "oldest" else "newest"
    runs = service.list(
        definition=definition,
        status=status or None,
        parent=parent,
        created_after=created_after,
        created_before=created_before,
        search=search,
        limit=limit if limit and by_time else None,
        order=order,
        all_namespaces=all_namespaces,
    )
    if not by_time:
        runs = sorted(runs, key=lambda run: str(getattr(run, sort)))[: limit or None]
    printing.print_many(runs, printing.RUN_COLUMNS, output, namespaces=all_namespaces)


def get(
    service: TaskService,
    run_id: RunId,
    output: Annotated[
        printing.Format | None, typer.Option("--output", "-o", help="Default: a description in plain text.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show its progress until it has finished, then the run.")
    ] = (False),
) -> int:
    """Show one run: its status, input, output, and newest iterations."""
    run = following.follow(service, run_id, None, is_shown=True) if watch else service.get(run_id)
    if run is None:
        return exit_codes.INTERRUPTED
    if output is not None:
        printing.print_one(run, printing.RUN_COLUMNS, output)
        return 0
    console = printing.console()
    console.print(_facts(run))
    for title, value in (("Input", run.input), ("Output", run.output), ("Error", run.error)):
        if value:
            console.print(Text(f"\n{title}:", "bold"))
            printing.print_json(value)
    recent = (run.resource.get("status") or {}).get("recentIterations")
    if recent:
        console.print(Text("\nNewest iterations:", "bold"))
        console.print(_recent(recent))
    return 0


def _facts(run: Run) -> Table:
    local = "%Y-%m-%d %H:%M:%S"
    facts = {
        "Id": run.id,
        "Name": run.name,
        "Namespace": run.namespace,
        "Definition": run.definition,
        "Resource": f"taskdefinition/{run.definition_name}" if run.definition_name != run.definition else "",
        "Phase": run.phase,
        "Reason": run.reason,
        "Message": run.message,
        "Iterations": printing.iterations(run),
        "Progress": printing.progress(run),
        "Queue": f"place {run.queue_position}" if run.queue_position else "",
        "Parent": run.parent or "",
        "Created by": run.created_by or "",
        "Created": f"{run.created_on.astimezone():{local}}",
        "Started": f"{run.started_on.astimezone():{local}}" if run.started_on else "",
        "Next": f"{run.next_iteration_at.astimezone():{local}}" if run.next_iteration_at else "",
        "Finished": f"{run.finished_on.astimezone():{local}}" if run.finished_on else "",
        "Suspended": "yes" if run.is_suspended else "",
        "Aborting": "yes" if run.is_aborting else "",
        "Aborted by": run.aborted_by or "",
    }
    table = Table.grid(padding=(0, 3, 0, 0))
    for name, value in facts.items():
        if value:
            table.add_row(Text(f"{name}:", "bold"), Text(value))
    return table


def _recent(iterations: list[dict[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for title in ("ITERATION", "TRY", "ANSWER", "POD", "TOOK", "MESSAGE"):
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    for item in iterations:
        began, ended = (item.get(key) for key in ("startedAt", "finishedAt"))
        took = printing.since(datetime.fromisoformat(began), datetime.fromisoformat(ended)) if began and ended else ""
        cells = (item["iteration"], item["try"], item["answer"], item["podName"], took, item.get("message", ""))
        table.add_row(*(Text(" ".join(str(cell).split())) for cell in cells))
    return table


def children(service: TaskService, run_id: RunId, output: Output = "table") -> None:
    """Show a run with all of its descendants as a tree."""
    root = service.get(run_id)
    tree = Tree(_leaf(root))
    descendants: list[Run] = []
    waiting = [(tree, root)]
    while waiting:
        branch, parent = waiting.pop()
        for child in service.list(parent=parent.id, limit=None, order="oldest"):
            descendants.append(child)
            waiting.append((branch.add(_leaf(child)), child))
    if output == "table":
        printing.console().print(tree)
    else:
        printing.print_many(descendants, printing.RUN_COLUMNS, output)


def _leaf(run: Run) -> Text:
    phase = next(column for column in printing.RUN_COLUMNS if column.title == "PHASE").value(run)
    return Text("  ").join([Text(run.id), Text.assemble(phase), Text(run.name), Text(printing.progress(run), "dim")])


def definitions(service: TaskService, all_namespaces: AllNamespaces = False, output: Output = "table") -> None:
    """List the definitions that can be run."""
    found = service.definitions(all_namespaces=all_namespaces)
    printing.print_many(found, printing.DEFINITION_COLUMNS, output, namespaces=all_namespaces)
