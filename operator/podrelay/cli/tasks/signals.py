"""`podrelay signal`: send a signal to a run, or decide about it."""

from typing import Annotated, Any, Literal

import typer

from podrelay.cli.tasks import parsing
from podrelay.cli.tasks.connecting import RunId
from podrelay.client.results import Signal
from podrelay.client.service import TaskService


def signal(
    service: TaskService,
    run_id: RunId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the signal, for example payment.")],
    payload: Annotated[
        Any, typer.Option(parser=parsing.json_input, metavar="JSON", help="A JSON object, @FILE, or - for stdin.")
    ] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Approve, if the signal is an approval.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Reject, if the signal is an approval.")] = False,
    key: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Repeating the command with the same key has no effect.")
    ] = None,
) -> int:
    """Send a signal to a run.

    It is kept until the run waits for it, and is consumed by one iteration of it. `kubectl get tsig` shows what became
    of it.
    """
    if approve and reject:
        raise typer.BadParameter("--approve and --reject exclude each other")
    decision: Literal["Approve", "Reject"] | None = "Approve" if approve else "Reject" if reject else None
    sent = service.signal(run_id, name, payload, decision=decision, key=key)
    print(f"tasksignal.podrelay.dev/{sent.key} {_in_words(sent)}")
    return 0 if sent.phase != "Rejected" else 1


def _in_words(sent: Signal) -> str:
    match sent.phase:
        case "Consumed":
            return f"was consumed by iteration {sent.iteration}"
        case "Rejected":
            return f"was rejected: {sent.message}"
        case _:
            return "sent"
