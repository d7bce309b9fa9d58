"""`podrelay doctor`: finds out why runs of a namespace do not start or make no progress."""

import json
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.text import Text

from podrelay.cli.tasks import printing
from podrelay.cli.tasks.logs import LogFormat
from podrelay.client.service import TaskService

_COLORS: Final = {"ok": "green", "problem": "red", "unknown": "yellow"}


def doctor(
    service: TaskService,
    output: Annotated[LogFormat, typer.Option("--output", "-o", help="json: one object per line.")] = "text",
) -> int:
    """Find out why runs of a namespace do not start or make no progress.

    It checks CRDs, operator, service account, definitions and rights, and only reads. The exit code is 1 if there is a
    problem.
    """
    console, problems = printing.console(), 0
    for finding in service.doctor():
        problems += finding.verdict == "problem"
        if output == "json":
            print(json.dumps(asdict(finding), ensure_ascii=False), flush=True)
            continue
        text = Text(f"{finding.verdict:<8} ", _COLORS[finding.verdict])
        text.append(finding.what, "default")
        if finding.advice:
            text.append(f"\n         {finding.advice}", "dim")
        console.print(text, soft_wrap=True)
    return int(problems > 0)
