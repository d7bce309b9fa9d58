"""The demo's two runs: what is done with them, and whether all went as told."""

import json
import time
from collections.abc import Iterator
from typing import Any

from cluster import ClusterError
from demo import doors, words
from demo.board import Board, Picture
from demo.programs import RECORDS, RUNS, Object, Programs

COUNT, TIDY = "wordcount", "tidy"
NAMES = (COUNT, TIDY)
FOLDERS = ("examples/wordcount", "examples/abort")
FINISHED = frozenset({"Succeeded", "Failed", "Aborted"})
HALF_WAY_PERCENT = 50
ABORT = {"spec": {"abort": {"message": "the demo has seen enough"}}}
CLEAN = "nothing is left behind"
"""What the aborted task says in its logs once it has cleaned up."""
SECONDS = 240
"""Usual are 30."""


def forget_former_runs(programs: Programs) -> None:
    """Remove what an earlier demo left, pods and records included."""
    former = [*NAMES, *doors.former_runs(programs)]
    programs.kubectl("delete", RUNS, *former, "--ignore-not-found", "--wait")
    of_them = f"podrelay.dev/run in ({','.join(former)})"
    programs.kubectl("wait", "--for=delete", f"pods,{RECORDS}", "--selector", of_them, "--timeout=90s")


def apply(programs: Programs) -> Iterator[str]:
    """Apply both examples, as the reader could; yield the commands."""
    for folder in FOLDERS:
        programs.kubectl("apply", "--kustomize", folder)
        yield f"kubectl apply -k {folder}"


def follow(programs: Programs, board: Board) -> dict[str, Object]:
    """Show both runs until they have ended, and abort the one that is there to be aborted; return them."""
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
    """Return the aborted task's last words, from the logs of its pod, if both runs ended as they should.

    Raises:
        ClusterError: one did not.
    """
    count, tidy = runs[COUNT]["status"], runs[TIDY]["status"]
    output = count.get("output", {})
    _expect(count["phase"] == "Succeeded", "wordcount should have Succeeded", count)
    _expect(count["iterations"] >= 3, "wordcount should have gone through several pods", count)
    _expect(output.get("files", 0) > 100 and output.get("words", 0) > 10_000, "wordcount counted too little", count)
    _expect(len(output.get("top", ())) == 10, "wordcount should tell the ten most frequent words", count)
    _expect(tidy["phase"] == "Aborted", "tidy should be Aborted", tidy)
    logs = programs.kubectl("logs", tidy["current"]["podName"])
    last_words = [line for line in logs.splitlines() if CLEAN in line]
    _expect(bool(last_words), f"the logs of tidy should tell of its clean-up, but are:\n{logs}", tidy)
    return last_words[-1]


def relay(programs: Programs) -> str:
    """Return the records of wordcount's pods, as kubectl shows them."""
    return programs.kubectl("get", RECORDS, f"--selector=podrelay.dev/run={COUNT}", "--sort-by=.startedAt")


def _patch() -> str:
    return json.dumps(ABORT, separators=(",", ":"))


def _expect(holds: bool, what: str, status: dict[str, Any]) -> None:
    if not holds:
        raise ClusterError(f"{what}. Its status is:\n{json.dumps(status, indent=2)}")
