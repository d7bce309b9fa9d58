"""Operator and gateway with objects of the maximum size: their memory is bounded by pages, not by all objects.

The chart gives each of them 512 MiB. Any user who may trigger runs can create inputs, and any task can create records.
"""

import re
from pathlib import Path

import pytest

from dev.harness.gateway import SpawnedGateway
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, record, task_definition, task_run
from dev.harness.operator import SpawnedOperator
from dev.harness.waiting import eventually
from tests.support.quick import QuickKubectl

pytestmark = pytest.mark.integration

RECORDS = 90
RUNS = 60
MOST_MIB = 115
"""Without objects they use 70 and 80 MiB; all of these objects together have 58 MiB."""


@pytest.fixture
def crowded(kubectl: Kubectl) -> Kubectl:
    """A namespace with large runs and records."""
    api = QuickKubectl.instead_of(kubectl)
    assert api.create(task_definition("count-words"))
    half = "x" * 245_000
    answer = {"status": "continue", "input": {"text": half}, "output": {"text": half}}
    for number in range(RECORDS):
        assert api.create(record(f"gone{number}-i1", response=answer))
    for number in range(RUNS):
        assert api.create(task_run(f"run-{number}", suspend=True, input={"text": "x" * 250_000}))
    return kubectl


def test_memory_for_large_records_and_inputs_is_bounded_by_pages(crowded: Kubectl, tmp_path: Path) -> None:
    api = QuickKubectl.instead_of(crowded)

    with SpawnedOperator(crowded, tmp_path / "first") as first:
        eventually("all runs have a state", lambda: first.writes() >= RUNS, 120)
        # a burst of events about large objects
        for number in range(RUNS):
            assert api.patch(TASK_RUNS, f"run-{number}", {"metadata": {"labels": {"touched": "yes"}}})
        eventually("it has seen them", lambda: first.metric("podrelay_reconciles_total", outcome="ok") >= 2 * RUNS)
        assert first.metric("podrelay_kopf_restarts_total") == 0
        assert peak_mib(first.process.pid) < MOST_MIB
    with SpawnedOperator(crowded, tmp_path / "second") as second:
        assert peak_mib(second.process.pid) < MOST_MIB
    flags = ("--auth=none", f"--namespace={crowded.namespace}")
    with SpawnedGateway(crowded.kubeconfig, tmp_path / "gateway", flags) as gateway:
        assert peak_mib(gateway.process.pid) < MOST_MIB


def peak_mib(pid: int) -> float:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
