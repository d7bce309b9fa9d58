"""Runs and definitions as programs see them, and the packages that importing them requires."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from podrelay.client import Progress, results

METADATA = {"name": "a-run", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-01-02T03:04:05Z"}


def test_a_run_that_no_operator_has_seen_is_pending() -> None:
    run = results.run_of({"metadata": METADATA, "spec": {"definition": "import-products"}})

    assert (run.id, run.status, run.phase, run.is_finished) == ("a-run", "pending", "Pending", False)
    assert (run.input, run.output, run.progress, run.name, run.iterations) == ({}, None, None, "", 0)
    assert run.created_on == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_all_fields_of_a_run() -> None:
    status = {
        "phase": "Running",
        "reason": "Waiting",
        "message": "until tomorrow",
        "iterations": 3,
        "maxIterations": 50,
        "startedAt": "2026-01-02T03:04:06.123456789Z",
        "nextIterationAt": "2026-01-03T00:00:00+01:00",
        "progress": {"percent": 12.5, "message": "rows", "at": "2026-01-02T03:04:07Z"},
        "queuePosition": 4,
        "outputFrom": "a-run-i3",
    }
    spec = {
        "definition": "import-products",
        "displayName": "Autumn",
        "input": {"a": None},
        "parent": "p",
        "suspend": True,
        "abort": {},
    }
    metadata = METADATA | {"annotations": {"podrelay.dev/created-by": "ann"}}
    run = results.run_of({"metadata": metadata, "spec": spec, "status": status})

    assert (run.name, run.parent, run.created_by, run.input) == ("Autumn", "p", "ann", {"a": None})
    assert (run.definition, run.definition_name) == ("importProducts", "import-products")
    assert (run.status, run.iterations, run.max_iterations, run.queue_position) == ("running", 3, 50, 4)
    assert run.progress == Progress(12.5, "rows")
    assert run.started_on == datetime(2026, 1, 2, 3, 4, 6, 123456, tzinfo=UTC)
    assert run.next_iteration_at == datetime(2026, 1, 2, 23, tzinfo=UTC)
    assert (run.is_suspended, run.is_aborting, run.output_from) == (True, True, "a-run-i3")
    assert len({run, run}) == 1  # hashable, for sets and caches


@pytest.mark.parametrize(
    ("conditions", "is_ready", "message"),
    [
        (None, None, ""),
        ([{"type": "Ready", "status": "True", "message": "fine"}], True, ""),
        (
            [{"type": "Stalled", "status": "True"}, {"type": "Ready", "status": "False", "message": "no image"}],
            False,
            "no image",
        ),
    ],
)
def test_whether_a_definition_can_be_run(conditions: object, is_ready: bool | None, message: str) -> None:
    spec = {"id": "importProducts", "title": "Import", "maxIterations": 50}
    definition = results.definition_of({"metadata": METADATA, "spec": spec, "status": {"conditions": conditions}})

    assert (definition.is_ready, definition.message, definition.max_iterations) == (is_ready, message, 50)


def test_values_and_errors_need_no_package_and_the_service_says_what_to_install() -> None:
    code = """
import sys
import podrelay.client
assert not {"kubernetes", "urllib3", "pydantic"} & set(sys.modules), sys.modules
sys.modules["kubernetes"] = None
try:
    from podrelay import TaskService
except ModuleNotFoundError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout == "the task service needs more packages: pip install 'podrelay[client]'\n"
