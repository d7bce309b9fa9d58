"""Which pods may run user code: the table of reasons to exit."""

from typing import Any

import pytest

from podrelay.api import names
from podrelay.runner.fence import superseded
from tests.unit.runner.runner_fakes import POD_UID, RUN_UID, me, task_run

CURRENT = {"iteration": 2, "try": 1, "podName": "shop-i2", "podUID": POD_UID}
RETRY = {names.ENV_TRY: "2", names.ENV_POD_NAME: "shop-i2t2"}


def run_with(status: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return task_run(**({"status": status} if status is not None else {}), **changes)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (None, "is gone"),
        (task_run(metadata={"name": "shop", "uid": "another"}), "is gone"),
        (run_with({"phase": "Succeeded"}), "is finished: Succeeded"),
        (run_with({"phase": "Failed"}), "is finished: Failed"),
        (run_with({"phase": "Aborted"}), "is finished: Aborted"),
        (task_run(spec={"definition": "x", "abort": {}}), "is being aborted"),
        (run_with({"lastRecord": "shop-i2"}), "iteration 3 attempt 1 is due"),
        (run_with({"lastRecord": "shop-i2t3"}), "iteration 3 attempt 1 is due"),
        (run_with({"lastRecord": "shop-i7"}), "iteration 8 attempt 1 is due"),
        (run_with({"lastRecord": "shop-i1", "attempts": 1}), "iteration 2 attempt 2 is due"),
        (run_with({"lastRecord": "shop-i1", "disruptions": 1}), "iteration 2 attempt 2 is due"),
        (run_with({"current": {**CURRENT, "iteration": 3, "podName": "shop-i3"}}), "shop-i3 has taken over"),
        (run_with({"current": {**CURRENT, "try": 2, "podName": "shop-i2t2"}}), "shop-i2t2 has taken over"),
        (run_with({"current": {**CURRENT, "podUID": "another"}}), "another pod of this name has taken its place"),
    ],
)
def test_a_pod_that_is_not_due_exits(run: dict[str, Any] | None, words: str) -> None:
    assert words in (superseded(run, None, me()) or "")


@pytest.mark.parametrize(
    ("uid", "words"),
    [("another", "another pod of this name has run before"), (POD_UID, "a container of this pod has run before")],
)
def test_a_pod_exits_if_its_record_exists(uid: str, words: str) -> None:
    assert superseded(task_run(), {"podUID": uid}, me()) == words


@pytest.mark.parametrize(
    ("run", "variables"),
    [
        (task_run(), {}),
        (run_with({"lastRecord": "shop-i1"}), {}),
        (run_with({"lastRecord": "shop-i1", "current": {**CURRENT, "iteration": 1}}), {}),
        (run_with({"lastRecord": "shop-i1", "current": CURRENT}), RETRY),
        (run_with({"lastRecord": "shop-i1", "attempts": 1}), RETRY),
        ({"metadata": {"uid": RUN_UID}, "spec": {}}, {names.ENV_ITERATION: "1"}),
        (task_run(spec={"definition": "x", "suspend": True}), {}),
    ],
    ids=[
        "current",
        "created, not in the status yet",
        "the previous one",
        "retry, not in the status yet",
        "retry",
        "no status at all",
        "suspended",
    ],
)
def test_the_pod_that_is_due_runs(run: dict[str, Any], variables: dict[str, str]) -> None:
    assert superseded(run, None, me(**variables)) is None
