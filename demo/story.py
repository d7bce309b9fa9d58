"""The demo's two runs: what is done with them, and whether all went as told."""

from typing import Any

from rich.console import Console

from cluster import ClusterError
from demo.table import Board
from demo.tools import RUNS, Programs

FINISHED = {"Succeeded", "Failed", "Aborted"}
NAMES = ("wordcount", "tidy")
HALF_WAY_PERCENT = 40
"""Progress is shown every 15 seconds, so the first that is about half has to do."""
ABORT_MESSAGE = "the demo has seen enough"


def forget_former_runs(programs: Programs) -> None:
    """Remove what an earlier demo left, pods included."""
    programs.kubectl("delete", RUNS, *NAMES, "--ignore-not-found", "--wait")
    for name in NAMES:
        programs.kubectl("wait", "--for=delete", "pod", "--selector", f"podrelay.dev/run={name}", "--timeout=90s")


def apply(programs: Programs) -> None:
    """Apply both examples, as the reader could."""
    for folder in ("examples/wordcount", "examples/abort"):
        programs.kubectl("apply", "--kustomize", folder)


def follow(programs: Programs, console: Console) -> dict[str, dict[str, Any]]:
    """Show both runs until they have ended; abort the one that is there to be aborted. Return them."""
    runs: dict[str, dict[str, Any]] = {}
    aborted = False
    with programs.watch_runs() as changes, Board(console) as board:
        for run in changes:
            if run["metadata"]["name"] in NAMES:
                runs[run["metadata"]["name"]] = run
            board.show(runs)
            if not aborted and _is_half_way(runs.get("tidy")):
                patch = f'{{"spec":{{"abort":{{"message":"{ABORT_MESSAGE}"}}}}}}'
                programs.kubectl("patch", RUNS, "tidy", "--type=merge", f"--patch={patch}")
                aborted = True
            if all(_phase(runs.get(name)) in FINISHED for name in NAMES):
                return runs
    raise ClusterError("the watch of the runs ended before they did")


def check(programs: Programs, runs: dict[str, dict[str, Any]]) -> str:
    """Return the aborted task's own words from its logs, if both runs ended as they should.

    Raises:
        ClusterError: one did not.
    """
    count, tidy = runs["wordcount"]["status"], runs["tidy"]["status"]
    _expect(count["phase"] == "Succeeded", "wordcount should have Succeeded", count)
    _expect(count["iterations"] >= 3, "wordcount should have gone through several pods", count)
    _expect(count["output"]["files"] > 100 and len(count["output"]["top"]) == 10, "wordcount counted too little", count)
    _expect(tidy["phase"] == "Aborted", "tidy should be Aborted", tidy)
    logs = programs.kubectl("logs", tidy["current"]["podName"])
    words = [line for line in logs.splitlines() if "nothing is left behind" in line]
    _expect(bool(words), f"the logs of tidy should tell of its clean-up, but are:\n{logs}", tidy)
    return words[0]


def diagnosis(programs: Programs) -> str:
    """Return what helps to find out why the demo failed."""
    parts = []
    for command in (
        ("get", RUNS, "--output=wide"),
        ("get", "pods", "--output=wide"),
        ("describe", "pods"),
        ("--namespace=podrelay-system", "logs", "deployment/podrelay-operator", "--tail=40"),
    ):
        try:
            parts.append(f"$ kubectl {' '.join(command)}\n{programs.kubectl(*command)}")
        except ClusterError as error:
            parts.append(str(error))
    return "\n".join(parts)


def _phase(run: dict[str, Any] | None) -> str:
    return str((run or {}).get("status", {}).get("phase", ""))


def _is_half_way(run: dict[str, Any] | None) -> bool:
    percent = (run or {}).get("status", {}).get("progress", {}).get("percent", 0)
    return bool(percent >= HALF_WAY_PERCENT)


def _expect(holds: bool, what: str, status: dict[str, Any]) -> None:
    if not holds:
        raise ClusterError(f"{what}. Its status is: {status}")
