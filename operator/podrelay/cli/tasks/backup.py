"""`podrelay export` and `podrelay import`: write a namespace to a file, and restore it in this or another cluster."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TextIO

import typer

from podrelay.cli import yaml
from podrelay.client.backup import KINDS, BackupError, exporting
from podrelay.client.backup.importing import Import
from podrelay.client.backup.spool import Spool
from podrelay.client.resources import Resource
from podrelay.client.service import TaskService

Form = Literal["json", "yaml"]
"""The format of an export."""


def export(
    service: TaskService,
    output: Annotated[
        Form, typer.Option("--output", "-o", help="One JSON object per line, or YAML documents.")
    ] = "json",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="The file to write; default: stdout.")
    ] = None,
) -> None:
    """Write the definitions, runs, records, signals and schedules of a namespace, as of one moment.

    `podrelay import` restores them. Pods, Secrets and other objects that tasks use are not included.
    """
    counts: dict[str, int] = {}
    with _written(file) as out:
        for item in exporting.export(service._resources, service.namespace):
            counts[item["kind"]] = counts.get(item["kind"], 0) + 1
            out.write(_text(item, output))
    written = ", ".join(f"{counts.get(kind, 0)} {kind}s" for kind in KINDS)
    print(f"exported {written} from {service.namespace}", file=sys.stderr)


def restore(
    service: TaskService,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Output of podrelay export, or kubectl get -o yaml; - for stdin.")
    ],
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue unfinished runs and schedules at once; only if no other cluster still runs them."
        ),
    ] = False,
) -> int:
    """Restore an export into a namespace. Finished runs stay finished; unfinished runs and schedules are suspended.

    Existing objects are not changed, so a repeated import changes nothing, or completes an interrupted one.
    """
    with _opened(file) as text, Spool(text) as spool:
        report = Import(service._resources, service.namespace, spool, resume=resume, notify=print).carry_out()
    for conflict in report.conflicts:
        print(f"podrelay: {conflict}", file=sys.stderr)
    imported, unchanged = sum(report.imported.values()), sum(report.unchanged.values())
    print(f"{imported} objects imported, {unchanged} unchanged, {len(report.conflicts)} not imported", file=sys.stderr)
    if report.waiting and not resume:
        print(
            f"{len(report.waiting)} runs had not finished and are suspended: once no other cluster runs them, use "
            "podrelay resume ID...",
            file=sys.stderr,
        )
    if report.suspended:
        print(
            f"{len(report.suspended)} schedules are suspended: once no other cluster starts their runs, use podrelay "
            "schedule resume NAME",
            file=sys.stderr,
        )
    return 1 if report.conflicts else 0


def _text(item: Resource, form: Form) -> str:
    if form == "yaml":
        return f"---\n{yaml.dump(item)}"
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n"


@contextlib.contextmanager
def _written(file: Path | None) -> Iterator[TextIO]:
    """Yield the stream to write to. The file gets its name only when it is complete."""
    if file is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    unfinished = file.with_name(f"{file.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8") as out:
            yield out
        unfinished.replace(file)
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {error}") from error


@contextlib.contextmanager
def _opened(file: str) -> Iterator[TextIO]:
    if file == "-":
        yield sys.stdin
        return
    try:
        with Path(file).open(encoding="utf-8") as text:
            yield text
    except UnicodeDecodeError as error:
        raise BackupError(f"{file} is not text; if it is compressed: gzip -dc {file} | podrelay import -") from error
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error}") from error
