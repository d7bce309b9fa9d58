"""The signals of an iteration in its pod: read by name, consumed by the answer, and never by an error."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podrelay.api import names, protocol
from podrelay.runner import given_signals
from podrelay.runner.environment import Environment
from tests.unit.runner.runner_fakes import RUN_UID, Clock, FakeApi, me
from tests.unit.runner.test_main import Pod

GIVEN = {names.ENV_SIGNALS: "s1,s2", names.ENV_WOKEN_BY: "Signals", names.ENV_PROTOCOL: str(protocol.VERSION)}
SHOW = "return {'got': [s.payload for s in controller.signals], 'keys': [s.key for s in controller.signals]}"


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    pod = Pod(tmp_path)
    for number in (1, 2):
        pod.api.put(f"s{number}", task_signal(f"s{number}", payload={"number": number}))
    yield pod
    for number, handler in before.items():
        signal.signal(number, handler)


def task_signal(name: str, run: str = "shop", signal: str = "payment", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "creationTimestamp": "2026-03-01T12:00:00Z", **more.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"taskRun": run, "signal": signal, **more}, "status": {"phase": "Pending"}}


def test_the_task_gets_its_signals_and_the_answer_names_them(pod: Pod) -> None:
    assert pod.run(SHOW, **GIVEN) == 0

    assert pod.response["output"] == {"got": [{"number": 1}, {"number": 2}], "keys": ["s1", "s2"]}
    assert pod.response["signals"] == ["s1", "s2"]


@pytest.mark.parametrize(
    "body", ["return controller.response.continue_()", "return controller.response.aborted()", "return None"]
)
def test_every_answer_except_an_error_consumes_them(pod: Pod, body: str) -> None:
    assert pod.run(body, **GIVEN) == 0
    assert pod.response["signals"] == ["s1", "s2"]


@pytest.mark.parametrize(
    "body", ["raise ValueError('odd')", "return controller.response.error('no')", "return {'x': object()}"]
)
def test_an_error_consumes_none(pod: Pod, body: str) -> None:
    assert pod.run(body, **GIVEN) == 1
    assert "signals" not in pod.response


def test_a_signal_that_was_deleted_meanwhile_is_left_out(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    del pod.api.objects["s1"]
    pod.api.put("s2", task_signal("s2", run="another-run"))

    assert pod.run(SHOW, **GIVEN) == 0
    assert pod.response["output"] == {"got": [], "keys": []}
    assert "signals" not in pod.response
    assert "TaskSignal s1 was deleted" in capsys.readouterr().err


def test_signals_that_a_missing_role_hides_for_a_while_are_not_lost(pod: Pod) -> None:
    failures = [(403, {"message": lacks_right()})] * 3

    def fail(method: str, name: str) -> Any:
        return failures.pop() if (method, name) == ("GET", "s1") and failures else None

    pod.api.before = fail

    assert pod.run(SHOW, **GIVEN) == 0
    assert pod.response["signals"] == ["s1", "s2"]


def lacks_right() -> str:
    return 'tasksignals.podrelay.dev "s1" is forbidden: User "x" cannot get resource "tasksignals" in API group "y"'


def test_the_task_waits_for_a_signal(pod: Pod) -> None:
    body = "return controller.response.wait_for_signal('payment', {'cursor': 1}, seconds=60, count=2)"

    assert pod.run(body, **GIVEN) == 0
    assert pod.response["waitForSignal"] == {"names": ["payment"], "count": 2}
    assert (pod.response["waitSeconds"], pod.response["input"]["cursor"]) == (60, 1)


def test_an_operator_that_does_not_know_signals_is_not_asked_to_wait_for_them(pod: Pod) -> None:
    older = {names.ENV_PROTOCOL: str(protocol.SIGNALS_SINCE - 1)}

    assert pod.run("return controller.response.wait_for_signal('payment')", **older) == 1
    assert (pod.response["error"]["code"], pod.response["retryable"]) == ("UnsupportedRunner", False)
    assert "cannot wait for signals" in pod.response["error"]["message"]


# --- peek -------------------------------------------------------------------------------------------------------------


class Listing(FakeApi):
    """Lists TaskSignals in pages of two."""

    def __init__(self, *signals: dict[str, Any]) -> None:
        super().__init__(Clock())
        self.signals = signals
        self.urls: list[str] = []

    def request(self, method: str, url: str, *_: Any) -> tuple[int, dict[str, Any]]:
        self.urls.append(url)
        start = int(url.partition("continue=")[2] or 0)
        following = str(start + 2) if start + 2 < len(self.signals) else ""
        return 200, {"metadata": {"continue": following}, "items": list(self.signals[start : start + 2])}


def environment() -> Environment:
    return me()


def test_the_signals_that_wait_are_listed_oldest_first_without_those_of_a_former_run() -> None:
    own = {"ownerReferences": [{"kind": "TaskRun", "uid": RUN_UID}]}
    former = {"ownerReferences": [{"kind": "TaskRun", "uid": "uid-of-a-former-run"}]}
    later = {"creationTimestamp": "2026-03-02T12:00:00Z"}
    api = Listing(
        task_signal("c", metadata=later),
        task_signal("b", metadata=own),
        task_signal("a"),
        task_signal("x", metadata=former),
    )

    found = given_signals.waiting(api, environment(), "payment", lambda: 2000.0)

    assert [one.key for one in found] == ["a", "b", "c"]
    assert len(api.urls) == 2
    assert "spec.taskRun%3Dshop%2Cstatus.phase%3DPending%2Cspec.signal%3Dpayment" in api.urls[0]


def test_the_sender_and_the_decision_of_a_signal_are_known() -> None:
    about = {"annotations": {names.ANNOTATION_CREATED_BY: "anna"}}
    (found,) = given_signals.waiting(
        Listing(task_signal("a", metadata=about, decision="Approve")), environment(), None, lambda: 2000.0
    )

    assert (found.sender, found.decision, found.payload) == ("anna", "Approve", {})
    assert json.dumps(found.sent_at.isoformat()) == '"2026-03-01T12:00:00+00:00"'
