"""`podrelay logs`: prints the log lines of a run from all of its pods."""

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer
from rich.text import Text

from podrelay.cli.tasks import printing
from podrelay.cli.tasks.connecting import RunId
from podrelay.client.logs import OUTPUT
from podrelay.client.results import LogLine
from podrelay.client.service import TaskService

LogFormat = Literal["text", "json"]
"""The format of log lines."""


def logs(
    service: TaskService,
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue until the run has finished.")] = False,
    iteration: Annotated[
        int | None, typer.Option(min=0, metavar="NUMBER", help="Only lines of this iteration.")
    ] = None,
    structured: Annotated[
        bool, typer.Option("--structured", help="Only the lines of controller.logger, not the output of pods.")
    ] = False,
    tail: Annotated[
        int, typer.Option(min=-1, metavar="NUMBER", help="Only this many of the last existing lines; -1: all.")
    ] = -1,
    output: Annotated[LogFormat, typer.Option("--output", "-o", help="json: one object per line.")] = "text",
) -> int:
    """Print the log lines of a run and the output of its pods, across its iterations.

    The last 16 KiB of a pod's stdout and stderr are kept, and shown once the pod has answered. While it runs,
    `kubectl logs` has all of it.
    """
    console = printing.console()
    try:
        last = None if tail < 0 else tail
        with service.logs(run_id, follow=follow, iteration=iteration, console=not structured, tail=last) as lines:
            for line in lines:
                if output == "json":
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
