"""docs/troubleshooting.md has a row for every reason in the code, and for no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "troubleshooting.md"
WRITERS = (
    "operator/planner/*.py",
    "operator/executor/*.py",
    "operator/controllers/definition_ready.py",
    "operator/object_rules.py",
    "operator/schedule_planner/*.py",
    "operator/signal_planner/*.py",
    "runner/*.py",
    "sdk/*.py",
    "api/protocol.py",
    "api/wanted_run.py",
    "api/invalid_input.py",
)
"""The modules whose words can become a reason or code in a status."""

REASON = re.compile(r"[A-Z]\w*[A-Z]\w*|[A-Z][a-z]+")
OTHER_WORDS = {
    # phases, conditions, answers, kinds, headers and settings
    *("Pending", "Running", "Succeeded", "Failed"),
    *("Ready", "Stalled", "Reconciling", "Finished", "True", "False"),
    *("Error", "PodFailure", "Timeout"),
    *("OnSuccess", "OnError", "OnAbort", "Always", "Never", "File", "FallbackToLogsOnError"),
    *("Pod", "TaskRun", "TaskIteration", "Input", "Accept", "Authorization", "ApiClient", "Children"),
    *("GET", "PUT", "POST", "ADDED", "MODIFIED", "ERROR", "Ahead", "In"),
    # settings of schedules
    *("TaskSchedule", "Allow", "AbortOther", "BufferOne", "BufferAll", "OneByOne", "All", "Latest"),
    # signals
    *("Signals", "Approved", "Conflict"),
    # words of Kubernetes that are only read
    *("ContainerCreating", "PodInitializing", "PodScheduled", "DisruptionTarget", "DeletionByPodGC"),
    "TerminationByKubelet",
    *("SchedulingGated", "ContainerStatusUnknown"),
    *("DeadlineExceeded", "Preempting", "NodeShutdown", "Terminated", "Shutdown", "NodeAffinity"),
    "TooLate",  # never in a status, because the pod is created again at once
    *("UnexpectedAdmissionError", "OutOfcpu", "OutOfmemory", "OutOfpods", "AlreadyExists"),
}
PASSED_ON = {
    *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
    *("CreateContainerConfigError", "CreateContainerError", "NotSeen"),
}
"""Reasons that are not in the code: the most frequent ones of kubelets, which the operator passes on, and the one that
the API server gives to new runs."""


def words_of_the_code() -> set[str]:
    """Return every word in CamelCase that is a whole string literal of the code."""
    files = [file for pattern in WRITERS for file in (ROOT / "operator" / "podrelay").glob(pattern)]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if REASON.fullmatch(text) and not text.startswith(("PODRELAY_", "KUBERNETES_"))}


def rows() -> Iterator[tuple[str, list[str]]]:
    """Yield the reasons in the first cells, each with its row."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            for reason in re.findall(r"`([^`]+)`", cells[0]):
                yield re.sub(r"\d+$", "", reason), cells


def test_every_reason_has_one_row_and_every_row_a_reason() -> None:
    listed = [reason for reason, _ in rows()]

    assert set(listed) == words_of_the_code() - OTHER_WORDS | PASSED_ON
    assert len(listed) == len(set(listed))


def test_every_other_word_is_in_the_code() -> None:
    assert words_of_the_code() >= OTHER_WORDS


@pytest.mark.parametrize("reason", sorted({reason for reason, _ in rows()}))
def test_a_row_is_complete_and_its_reason_is_tested(reason: str) -> None:
    tests = (file for file in (ROOT / "tests").rglob("test_*.py") if file != Path(__file__))

    assert any(re.search(rf"\b{reason}", file.read_text(encoding="utf-8")) for file in tests)
    for _, cells in rows():
        assert len(cells) == 3
        assert all(cells)
