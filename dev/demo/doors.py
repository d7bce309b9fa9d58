"""Two more ways to start the same runs: GraphQL, as in a front end, and the command line."""

import json
import shlex
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from dev.cluster import ClusterError
from dev.demo import frontend, words
from dev.demo.board import Board
from dev.demo.frontend import FrontEnd, Task
from dev.demo.programs import NAMESPACE, RUNS, USER, Programs

GATEWAY: Final = ("podrelay-gateway", 80)
COUNT_INPUT: Final = {"slice_seconds": 1.5, "pause_seconds": 0.004}
TIDY_INPUT: Final = {"items": 30, "seconds_per_item": 0.1}
BY_HAND: Final = "by-hand"
CREATED_BY: Final = "podrelay.dev/created-by"
SECONDS: Final = 120
"""The usual duration is 10."""
PODRELAY: Final = Path(sys.executable).parent / "podrelay"


def by_graphql(programs: Programs, console: Console) -> Task:
    """Trigger the word count through the gateway, follow it with a subscription, and return the finished task.

    Raises:
        ClusterError: the run did not finish as expected.
    """
    token = programs.kubectl("create", "token", USER).strip()
    with programs.forward(*GATEWAY) as port:
        url = f"http://127.0.0.1:{port}/graphql/{NAMESPACE}"
        console.print(words.by_graphql(url, frontend.TRIGGER, COUNT_INPUT), soft_wrap=True)
        user = FrontEnd(url, token)
        ident = user.trigger(COUNT_INPUT)
        console.print(words.updates(ident), soft_wrap=True)
        with Board(console, longest=len(ident)) as board:
            task = user.follow(ident, lambda task: board.show([frontend.row(task)]), SECONDS)
    counted = (task["output"] or {}).get("words", 0)
    _expect(task["taskStatus"] == "success" and counted > 10_000, f"{ident} should have counted words", task)
    _expect(task["createdBy"]["id"].endswith(f":{USER}"), f"{ident} should have been created by {USER}", task)
    return task


def by_command_line(programs: Programs, console: Console) -> None:
    """Start the tidy task with `podrelay trigger`, which shows the run until it is finished.

    Raises:
        ClusterError: the run did not succeed.
    """
    arguments = ["trigger", "tidy", "--resource-name", BY_HAND, "--input", json.dumps(TIDY_INPUT), "--watch"]
    arguments += ["--namespace", NAMESPACE]
    console.print(words.by_command_line(shlex.join([".venv/bin/podrelay", *arguments])), soft_wrap=True)
    code = programs.show(str(PODRELAY), *arguments)
    if code != 0:
        raise ClusterError(f"`podrelay {shlex.join(arguments)}` exited with {code}.")


def former_runs(programs: Programs) -> list[str]:
    """Return the names of the runs that an earlier demo has started in this namespace."""
    found = json.loads(programs.kubectl("get", RUNS, "--output=json"))["items"]
    return [
        run["metadata"]["name"]
        for run in found
        if run["metadata"]["name"] == BY_HAND
        or run["metadata"].get("annotations", {}).get(CREATED_BY, "").endswith(f":{USER}")
    ]


def _expect(holds: bool, what: str, task: Task) -> None:
    if not holds:
        raise ClusterError(f"{what}. The task is:\n{json.dumps(task, indent=2)}")
