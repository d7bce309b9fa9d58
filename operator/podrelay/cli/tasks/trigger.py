"""`podrelay trigger` and `podrelay rerun`: start runs, and can wait for them."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from podrelay.cli.tasks import following, parsing, printing
from podrelay.cli.tasks.connecting import RunId, complete_definitions, complete_runs
from podrelay.client.results import Run
from podrelay.client.service import TaskService

Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has finished; the exit code shows how it ended.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Like --wait, and show its progress.")]
Timeout = Annotated[
    timedelta | None, typer.Option(parser=parsing.duration, metavar="DURATION", help="Wait at most this long.")
]
Input = Annotated[
    Any, typer.Option(parser=parsing.json_input, metavar="JSON", help="A JSON object, @FILE, or - for stdin.")
]
Overrides = Annotated[
    Any,
    typer.Option(
        parser=parsing.json_input,
        metavar="JSON",
        help="Settings of the definition that are different for this run: a JSON object, @FILE, or - for stdin.",
    ),
]
Output = Annotated[printing.Format, typer.Option("--output", "-o", help="How to print the run.")]


def trigger(
    service: TaskService,
    definition: Annotated[
        str, typer.Argument(metavar="NAME", help="Id or name of the definition.", autocompletion=complete_definitions)
    ],
    input: Input = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Human-readable name of the run.")] = None,
    delay: Annotated[
        timedelta | None,
        typer.Option(parser=parsing.duration, metavar="DURATION", help="Start this long after creation."),
    ] = None,
    start_at: Annotated[
        datetime | None, typer.Option(parser=parsing.start, metavar="TIME", help="Do not start before this time.")
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option(parser=parsing.run_id, metavar="ID", help="Id of the parent.", autocompletion=complete_runs),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Repeating the command with the same key returns the same run.")
    ] = None,
    resource_name: Annotated[str | None, typer.Option(metavar="ID", help="Id of the run; default: generated.")] = None,
    secret: Annotated[str | None, typer.Option(metavar="NAME", help="Secret that its pods get.")] = None,
    overrides: Overrides = None,
    wait: Wait = False,
    watch: Watch = False,
    timeout: Timeout = None,
    output: Output = "table",
) -> int:
    """Start a run.

    With --wait or --watch, the task's output goes to stdout, everything else to stderr, and the exit code is 0 if the
    run Succeeded, 1 if it Failed, 3 if it was Aborted, 124 if the timeout expired.
    """
    run = service.trigger(
        definition,
        input,
        name=name,
        delay=delay,
        start_at=start_at,
        parent=parent,
        idempotency_key=key,
        resource_name=resource_name,
        secret=secret,
        overrides=overrides,
    )
    return _started(service, run, timeout, output, wait=wait, watch=watch)


def rerun(
    service: TaskService,
    run_id: RunId,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Human-readable name of the new run.")] = None,
    input: Input = None,
    overrides: Overrides = None,
    wait: Wait = False,
    watch: Watch = False,
    timeout: Timeout = None,
    output: Output = "table",
) -> int:
    """Start a new run with the definition and input of another one; --input replaces the whole input.

    Its overrides are those of the other run; --overrides replaces them all, and '{}' removes them.
    """
    run = service.rerun(run_id, name=name, input=input, overrides=overrides)
    return _started(service, run, timeout, output, wait=wait, watch=watch)


def _started(
    service: TaskService, run: Run, timeout: timedelta | None, output: printing.Format, *, wait: bool, watch: bool
) -> int:
    if wait or watch:
        return following.conclude(following.follow(service, run.id, timeout, is_shown=watch), output, is_shown=watch)
    if output == "table":
        print(f"{printing.name_of(run)} triggered")
    else:
        printing.print_one(run, printing.RUN_COLUMNS, output)
    return 0
