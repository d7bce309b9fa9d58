"""A pod that was created ahead runs the task only when the status of its run names it."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from podrelay.api import names
from podrelay.runner import main
from podrelay.runner.environment import UnsupportedOperatorError, read
from tests.unit.runner.runner_fakes import POD_UID, RUN_UID, Clock, FakeApi, LocalServer, task_run, variables
from tests.unit.runner.test_main import HEAD

BEFORE = {"iteration": 1, "try": 1, "podName": "shop-i1", "podUID": "uid-before"}
ME = {"iteration": 2, "try": 1, "podName": "shop-i2", "podUID": POD_UID}


def run_object(current: dict[str, Any], last: str | None, **more: Any) -> dict[str, Any]:
    status = {"phase": "Running", "current": current, **({"lastRecord": last} if last else {}), **more}
    return task_run(metadata={"name": "shop", "uid": RUN_UID, "resourceVersion": "7"}, status=status)


def ahead(**changes: str) -> dict[str, str]:
    """The environment of a pod that was created ahead."""
    environment = variables(**{names.ENV_AFTER: "shop-i1", names.ENV_AHEAD_GRACE_PERIOD: "60", **changes})
    del environment[names.ENV_GRACE_PERIOD]
    return environment


class Ahead:
    """A pod that was created ahead, whose run changes as the test says."""

    def __init__(self, folder: Path) -> None:
        self.api = FakeApi(Clock())
        self.api.objects["shop"] = run_object(BEFORE, None)
        self.api.put("shop-i1", {"response": {"status": "continue", "input": {"cursor": 1}}})
        self.module = folder / "tasks.py"

    def run(self, body: str = "return {'cursor': input['cursor']}", **changes: str) -> int:
        self.module.write_text(HEAD + "    def run(self, input, controller):\n        " + body + "\n")
        return main.run(str(self.module), ahead(**changes), self.api.clock(), self.api.clock, self.api)

    @property
    def claims(self) -> int:
        return self.api.calls.count("POST shop-i2")


@pytest.fixture
def pod(tmp_path: Path) -> Any:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Ahead(tmp_path)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_it_waits_until_the_status_names_it_and_starts_from_the_last_record(pod: Ahead) -> None:
    def still_the_other() -> dict[str, Any]:
        assert pod.claims == 0
        pod.api.clock.now += 5000  # longer than the timeout of an iteration
        return run_object(BEFORE, None, progress={"percent": 50})

    pod.api.changes = [still_the_other, lambda: run_object(ME, "shop-i1")]

    assert pod.run() == 0
    assert pod.api.record["response"]["output"] == {"cursor": 1}
    assert pod.claims == 1


def test_the_time_of_the_iteration_counts_from_then(pod: Ahead) -> None:
    def released() -> dict[str, Any]:
        pod.api.clock.now += 5000
        return run_object(ME, "shop-i1")

    pod.api.changes = [released]

    assert pod.run("return {'left': controller.runtime.remaining_seconds()}") == 0
    assert pod.api.record["response"]["output"] == {"left": 900}


@pytest.mark.parametrize(
    "change",
    [
        run_object({**ME, "podUID": "another"}, "shop-i1"),
        run_object({**ME, "try": 2, "podName": "shop-i2t2", "podUID": "another"}, "shop-i1", disruptions=1),
        run_object(BEFORE, None, phase="Succeeded"),
        {**run_object(BEFORE, None), "spec": {"abort": {"message": "enough"}}},
        {**run_object(BEFORE, None), "metadata": {"name": "shop", "uid": "another run", "resourceVersion": "9"}},
    ],
)
def test_it_ends_when_it_will_not_be_needed(pod: Ahead, change: dict[str, Any]) -> None:
    pod.api.changes = [lambda: change]

    assert pod.run() == names.EXIT_SUPERSEDED
    assert pod.claims == 0


def test_a_signal_ends_the_wait(pod: Ahead, capsys: pytest.CaptureFixture[str]) -> None:
    def signalled() -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        return run_object(BEFORE, None)

    pod.api.changes = [signalled]

    assert pod.run() == names.EXIT_SUPERSEDED
    assert pod.claims == 0
    assert "this pod is ended before pod shop-i1, which it would follow" in capsys.readouterr().err


def test_without_the_right_to_watch_it_reads_its_run_again(pod: Ahead) -> None:
    def refused() -> None:
        if len(pod.api.calls) > 6:
            pod.api.put("shop", run_object(ME, "shop-i1"))

    pod.api.changes = [refused]

    assert pod.run() == 0
    assert pod.api.clock.naps
    assert pod.claims == 1


def test_a_standby_imports_its_task_while_it_waits_and_another_pod_does_not(pod: Ahead, tmp_path: Path) -> None:
    for flag, expected in (("true", True), ("false", False)):
        mark = tmp_path / flag

        def released(mark: Path = mark, expected: bool = expected) -> dict[str, Any]:
            assert mark.exists() is expected
            return run_object(ME, "shop-i1")

        pod.api.objects.pop("shop-i2", None)
        pod.api.changes = [released]
        body = f"return {{}}\n\nopen({str(mark)!r}, 'w').close()"
        assert pod.run(body, **{names.ENV_STANDBY: flag}) == 0
        assert mark.exists()


def test_an_import_that_fails_in_a_standby_is_its_answer_later(pod: Ahead) -> None:
    pod.api.changes = [lambda: run_object(ME, "shop-i1")]

    assert pod.run("return {}\n\nraise ValueError('no such setting')", **{names.ENV_STANDBY: "true"}) == 1
    assert "no such setting" in pod.api.record["response"]["error"]["message"]


def test_a_runner_that_cannot_wait_does_not_start() -> None:
    """Runners before version 3 of the protocol require the variable that such a pod lacks."""
    environment = ahead()
    del environment[names.ENV_AFTER]

    with pytest.raises(UnsupportedOperatorError, match=names.ENV_GRACE_PERIOD):
        read(environment)


# --- the watch ------------------------------------------------------------------------------------------------------


def test_a_watch_returns_the_first_change(tmp_path: Path) -> None:
    event = {"type": "MODIFIED", "object": {"metadata": {"name": "shop"}}}
    with LocalServer((200, {}, event)) as server:
        assert server.client(tmp_path, Clock()).wait_for_change("default", "taskruns", "shop", "7") == event["object"]

    method, url, _, _ = server.requests[0]
    assert (method, url.partition("?")[0]) == ("GET", "/apis/podrelay.dev/v1alpha1/namespaces/default/taskruns")
    assert "watch=true&fieldSelector=metadata.name%3Dshop&resourceVersion=7" in url


@pytest.mark.parametrize(
    "answer",
    [
        (403, {}, {"message": "no"}),
        (200, {}, {"type": "ERROR", "object": {"code": 410}}),
        (200, {}, {"type": "DELETED", "object": {"metadata": {"name": "shop"}}}),
        "drop",
    ],
)
def test_a_watch_that_fails_returns_nothing(tmp_path: Path, answer: Any) -> None:
    with LocalServer(answer) as server:
        assert server.client(tmp_path, Clock()).wait_for_change("default", "taskruns", "shop", "7") is None
