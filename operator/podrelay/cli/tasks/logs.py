"""`podrelay logs`: what a task logs, across all of its pods."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from podrelay.cli.tasks import printing
from podrelay.cli.tasks.connecting import RunId
from podrelay.client.logs import OUTPUT
from podrelay.client.service import TaskService
from podrelay.client.values import LogLine


class LogFormat(StrEnum):
    """How log lines are printed."""

    TEXT = "text"
    JSON = "json"


def logs(
    service: TaskService,
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    iteration: Annotated[int | None, typer.Option(min=0, metavar="NUMBER", help="Only of this one.")] = None,
    structured: Annotated[
        bool, typer.Option("--structured", help="Only the lines of controller.logger, not what pods have printed.")
    ] = False,
    tail: Annotated[
        int, typer.Option(min=-1, metavar="NUMBER", help="Of those there are already, only the last so many; -1: all.")
    ] = -1,
    output: Annotated[LogFormat, typer.Option("--output", "-o", help="json: one object a line.")] = LogFormat.TEXT,
) -> int:
    """Print what a run has logged and printed, across its iterations.

    Of what a pod prints on stdout and stderr the last 16 KiB are kept, and told once it has answered; while it runs,
    `kubectl logs` has all of it.
    """
    console = printing.console()
    try:
        last = None if tail < 0 else tail
        with service.logs(run_id, follow=follow, iteration=iteration, console=not structured, tail=last) as lines:
            for line in lines:
                if output is LogFormat.JSON:
                    print(json.dumps({**asdict(line), "time": line.time.isoformat()}, ensure_ascii=False), flush=True)
                else:
                    console.print(_text(line), soft_wrap=True)
    except KeyboardInterrupt:
        return 130
    return 0


def _text(line: LogLine) -> Text:
    text = Text()
    if line.dropped:
        text.append(f"({line.dropped} lines are not kept)\n", "dim")
    attempt = f"t{line.attempt}" if line.attempt > 1 else ""
    text.append(f"{line.time.astimezone():%Y-%m-%d %H:%M:%S} i{line.iteration}{attempt} ", "dim")
    if line.type == OUTPUT:
        text.append("| ", "dim")
    if line.type == "error":
        text.append("ERROR ", "red")
    text.append(line.message)
    if line.error:
        text.append(f": {line.error.get('message', line.error)}", "red")
    if line.data is not None:
        text.append(f" {json.dumps(line.data, ensure_ascii=False)}", "dim")
    return text
