"""The demo's two runs: the actions on them, and the checks of their results."""

import json
import time
from collections.abc import Iterator
from typing import Any

from dev.cluster import ClusterError
from dev.demo import doors, words
from dev.demo.board import Board, Picture
from dev.demo.programs import RECORDS, RUNS, Object, Programs

COUNT, TIDY = "wordcount", "tidy"
NAMES = (COUNT, TIDY)
FOLDERS = ("examples/wordcount", "examples/abort")
FINISHED = frozenset({"Succeeded", "Failed", "Aborted"})
HALF_WAY_PERCENT = 50
ABORT = {"spec": {"abort": {"message": "the demo has seen enough"}}}
CLEAN = "nothing is left behind"
"""Part of the line that the aborted task logs after its clean-up."""
SECONDS = 240
"""The usual duration is 30."""


def forget_former_runs(programs: Programs) -> None:
    """Delete the runs of an earlier demo, and wait until their pods and records are gone."""
    former = [*NAMES, *doors.former_runs(programs)]
    programs.kubectl("delete", RUNS, *former, "--ignore-not-found", "--wait")
    of_them = f"podrelay.dev/run in ({','.join(former)})"
    programs.kubectl("wait", "--for=delete", f"pods,{RECORDS}", "--selector", of_them, "--timeout=90s")


def apply(programs: Programs) -> Iterator[str]:
    """Apply both examples; yield the commands that a user would run."""
    for folder in FOLDERS:
        programs.kubectl("apply", "--kustomize", folder)
        yield f"kubectl apply -k {folder}"


def follow(programs: Programs, board: Board) -> dict[str, Object]:
    """Show both runs until they are finished, and abort `tidy` half-way; return them."""
    picture = Picture(NAMES)
    deadline = time.monotonic() + SECONDS
    is_aborted = False
    with programs.watch(RUNS, RECORDS) as changes:
        while not all(picture.phase(name) in FINISHED for name in NAMES):
            picture.take(changes.next(deadline))
            board.show(picture.rows())
            if not is_aborted and picture.progress(TIDY).get("percent", 0) >= HALF_WAY_PERCENT:
                board.say(words.command(f"kubectl patch trun {TIDY} --type merge -p '{_patch()}'"))
                programs.kubectl("patch", RUNS, TIDY, "--type=merge", f"--patch={_patch()}")
                is_aborted = True
    return picture.runs


def check(programs: Programs, runs: dict[str, Object]) -> str:
    """Return the line that the aborted task logged after its clean-up, if both runs finished as they should.

    Raises:
        ClusterError: a run did not.
    """
    count, tidy = runs[COUNT]["status"], runs[TIDY]["status"]
    output = count.get("output", {})
    _expect(count["phase"] == "Succeeded", "the phase of wordcount should be Succeeded", count)
    _expect(count["iterations"] >= 3, "wordcount should have used several pods", count)
    _expect(
        output.get("files", 0) > 100 and output.get("words", 0) > 10_000,
        "wordcount counted too few files or words",
        count,
    )
    _expect(len(output.get("top", ())) == 10, "wordcount should report the ten most frequent words", count)
    _expect(tidy["phase"] == "Aborted", "the phase of tidy should be Aborted", tidy)
    logs = programs.kubectl("logs", tidy["current"]["podName"])
    found = [line for line in logs.splitlines() if CLEAN in line]
    _expect(bool(found), f"the logs of tidy should mention its clean-up, but are:\n{logs}", tidy)
    return found[-1]


def relay(programs: Programs) -> str:
    """Return the records of wordcount's pods in the format of kubectl."""
    return programs.kubectl("get", RECORDS, f"--selector=podrelay.dev/run={COUNT}", "--sort-by=.startedAt")


def _patch() -> str:
    return json.dumps(ABORT, separators=(",", ":"))


def _expect(holds: bool, what: str, status: dict[str, Any]) -> None:
    if not holds:
        raise ClusterError(f"{what}. Its status is:\n{json.dumps(status, indent=2)}")
