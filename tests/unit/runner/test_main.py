"""One iteration from its start to its exit code, with an API server in memory."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from podrelay.api import names, protocol
from podrelay.runner import main
from podrelay.sdk.errors import ApiUnreachableError
from tests.unit.runner.runner_fakes import LACKS_RIGHT, Clock, FakeApi, task_run, unreachable, variables

HEAD = """
from typing import Any
from podrelay import Controller, TaskDefinition

class Example(TaskDefinition):
    id = "example"
    title = "Example"

"""


class Pod:
    """A pod of iteration 2 of the run `shop`, with a task that the test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api = FakeApi(Clock())
        self.module = folder / "tasks.py"

    def run(self, body: str, head: str = HEAD, **changes: str) -> int:
        if body.startswith("raw:"):
            text = body.removeprefix("raw:")
        else:
            text = "    def run(self, input, controller):\n" + "".join(f"        {x}\n" for x in body.splitlines())
        self.module.write_text(head + text)
        message_path = {main.ENV_TERMINATION_MESSAGE_PATH: str(self.folder / "message")}
        environment = variables(**message_path, **changes)
        started_at = self.api.clock()
        return main.run(str(self.module), environment, started_at, self.api.clock, self.api)

    @property
    def response(self) -> Any:
        return self.api.record["response"]

    @property
    def message(self) -> str:
        return (self.folder / "message").read_text()


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Pod(tmp_path)
    for number, handler in before.items():
        signal.signal(number, handler)


# --- answers and exit codes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "response"),
    [
        ("pass", 0, {"status": "done"}),
        ("return {'rows': 3}", 0, {"status": "done", "output": {"rows": 3}}),
        ("return controller.response.continue_({'cursor': 1})", 0, {"status": "continue", "input": {"cursor": 1}}),
        ("return controller.response.aborted()", 0, {"status": "aborted"}),
        ("return controller.response.error('no')", 1, {"status": "error", "error": {"message": "no"}}),
        ("raise ValueError('odd')", 1, {"status": "error", "error": {"message": "odd", "code": "ValueError"}}),
        ("raise KeyboardInterrupt", 1, {"status": "error", "error": {"message": "KeyboardInterrupt"}}),
        ("import sys; sys.exit(0)", 1, {"status": "error", "error": {"code": "SystemExit"}}),
        ("return 5", 1, {"status": "error", "error": {"code": "InvalidAnswer"}}),
        (
            "controller.response.continue_({'cursor': 1})",
            1,
            {
                "status": "error",
                "retryable": False,
                "error": {
                    "code": "InvalidAnswer",
                    "message": "run() returned None, but it made the answer controller.response.continue_(...) in "
                    "line 10 of tasks.py; write: return controller.response.continue_(...)",
                },
            },
        ),
        ("import os; os.environ['NO_URL']", 1, {"status": "error", "error": {"code": "KeyError"}}),
        ("return {'x': {1}}", 1, {"status": "error", "error": {"code": "PayloadRefused"}}),
        ("open(b'/not/there/\\xff')", 1, {"status": "error", "error": {"code": "FileNotFoundError"}}),
    ],
)
def test_the_answer_is_stored_and_determines_the_exit_code(
    pod: Pod, body: str, code: int, response: dict[str, Any]
) -> None:
    assert pod.run(body) == code
    error = response.pop("error", {})
    assert response.items() <= pod.response.items()
    assert error.items() <= pod.response.get("error", {}).items()


LEFT_BEHIND = {"response": {"status": "done", "output": {"rows": 3}}, "protocol": protocol.VERSION}


def test_an_answer_that_was_not_returned_is_reported(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    body = "controller.response.aborted()\nreturn controller.response.done('all of it')"

    assert pod.run(body) == 0
    assert pod.response["status"] == "done"
    assert capsys.readouterr().err == (
        "podrelay-runner: it made the answer controller.response.aborted(...) in line 10 of tasks.py, "
        "but returned something else; is a return missing?\n"
    )


def test_an_answer_that_is_returned_later_is_not_reported(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    body = "for row in range(3):\n    answer = controller.response.done({'row': row})\nreturn answer"

    assert pod.run(body) == 0
    assert pod.response["output"] == {"row": 2}
    assert capsys.readouterr().err == ""


def test_an_invalid_class_is_an_error_without_retries(pod: Pod) -> None:
    assert pod.run("raw:    max_iteration = 5\n    def run(self, input): ...\n") == 1

    error = pod.response["error"]
    assert (error["code"], pod.response["retryable"]) == ("DefinitionError", False)
    assert error["message"].startswith(
        "Example: max_iteration is not a class variable of a task; did you mean max_iterat"
    )
    assert "run is called as run(self, input, controller), but is written run(self, input)" in error["message"]


def test_a_coroutine_function_runs_too(pod: Pod) -> None:
    body = "raw:    async def run(self, input, controller):\n        return {'seen': input}\n"

    assert pod.run(body) == 0
    assert pod.response["output"] == {"seen": {"cursor": 0}}


def test_the_claim_comes_before_the_task_is_imported(pod: Pod) -> None:
    assert pod.run("raw:raise ImportError('no such library')\n", head="") == 1

    assert pod.api.calls[:3] == ["GET shop", "GET shop-i2", "POST shop-i2"]
    assert (pod.response["error"]["code"], pod.response["retryable"]) == ("TaskImportError", False)
    assert "ImportError: no such library" in pod.response["error"]["message"]


def test_invalid_input_is_an_error_that_names_the_fields(pod: Pod) -> None:
    head = "from __future__ import annotations\nfrom pydantic import BaseModel\n" + HEAD.replace(
        "class Example", "class Order(BaseModel):\n    url: str\n\nclass Example"
    )

    assert pod.run("raw:    def run(self, input: Order, controller): ...\n", head) == 1
    assert pod.response["error"]["message"] == "Validation failed."
    assert set(pod.response["error"]["data"]["invalidFields"]) == {"url"}


TYPED = """
from podrelay import Controller, TaskDefinition
from pydantic import BaseModel, Field

class Order(BaseModel):
    cursor: int
    size: int = Field(default=10, gt=0)

class Example(TaskDefinition):
    id = "example"
    title = "Example"

    async def create_input_validation(self):
        return {"url": (str, "none")}

    def run(self, input: Order, controller: Controller):
"""
FIRST = {names.ENV_ITERATION: "1", names.ENV_POD_NAME: "shop-i1"}
"""The pod of the first iteration."""


def first_of(pod: Pod, **spec: Any) -> None:
    """Put the run into its first iteration."""
    pod.api.objects["shop"] = task_run(spec={"definition": "import-products", **spec}, status={})


def test_from_the_first_call_the_state_is_the_input_with_defaults(pod: Pod) -> None:
    first_of(pod, input={"cursor": "7", "more": 1})

    body = "        return {'stored': controller.state.get_input(), 'read': [input.cursor, input.size]}\n"
    assert pod.run(f"raw:{body}", TYPED, **FIRST) == 0

    stored = {"cursor": 7, "size": 10, "url": "none", "more": 1}
    assert pod.api.objects["shop-i1"]["response"]["output"] == {"stored": stored, "read": [7, 10]}


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        (FIRST, "InvalidInput"),
        ({**FIRST, names.ENV_TRY: "2", names.ENV_POD_NAME: "shop-i1t2", names.ENV_CHECKPOINT: "shop-i1"}, None),
        ({names.ENV_STATE: "shop-i1"}, None),
    ],
    ids=["first call", "from a checkpoint", "later iteration"],
)
def test_an_invalid_input_is_final_and_rejects_the_run_if_it_is_its_own(
    pod: Pod, changes: dict[str, str], refusal: str | None
) -> None:
    broken = {"input": {"size": 0, "url": 5}}
    first_of(pod, **broken)
    if refusal is None:
        pod.api.put("shop-i1", {"response": {"status": "continue", **broken}, "checkpoint": broken})

    assert pod.run("raw:        raise AssertionError('called')\n", TYPED, **changes) == 1

    response = pod.api.objects[changes.get(names.ENV_POD_NAME, "shop-i2")]["response"]
    assert (response["retryable"], response.get("refusal")) == (False, refusal)
    assert response["error"]["code"] == "VALIDATION_FAILED_INVALID_FIELDS"
    assert set(response["error"]["data"]["invalidFields"]) == {"cursor", "size", "url"}


def test_continue_stores_the_parsed_merged_input(pod: Pod) -> None:
    first_of(pod, input={"cursor": 1})

    pod.run("raw:        return controller.response.continue_({'cursor': '2'})\n", TYPED, **FIRST)

    stored = pod.api.objects["shop-i1"]["response"]["input"]
    assert stored == {"cursor": 2, "size": 10, "url": "none"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise podrelay.Retry('busy', after=30)", {"retryable": True, "retryAfterSeconds": 30.0}),
        ("raise podrelay.Fatal('no such shop')", {"retryable": False}),
        ("return controller.response.error(podrelay.Retry('busy'))", {"retryable": True}),
    ],
)
def test_the_retry_decision_of_the_task_is_stored(pod: Pod, body: str, expected: dict[str, Any]) -> None:
    assert pod.run(f"import podrelay\n{body}") == 1
    assert expected.items() <= pod.response.items()
    assert len(pod.response) == 2 + len(expected)


def test_changes_of_the_input_object_do_not_change_the_state(pod: Pod) -> None:
    pod.run("input['cursor'] = 7\nreturn controller.response.continue_({'page': 1})")

    assert pod.response["input"] == {"cursor": 0, "page": 1}


def test_logs_and_progress_go_into_the_record_and_logs_to_stdout(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.run("controller.progress(1, 4, 'rows')\ncontroller.logger.error('odd', ValueError('x'), {'row': 3})")

    assert pod.api.record["progress"] | {"at": ""} == {"message": "1/4 rows", "percent": 25.0, "at": ""}
    (item,) = pod.api.record["logs"]
    assert pod.api.record["heartbeatAt"] >= item["time"]
    assert (item["type"], item["message"], item["data"]) == ("error", "odd", {"row": 3})
    assert item["error"] == {"message": "x", "code": "ValueError"}
    assert json.loads(capsys.readouterr().out) == item


def test_without_record_logs_they_are_only_printed(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.run("controller.logger.info('hello', [1, {2}])", **{names.ENV_RECORD_LOGS: "false"})

    assert "logs" not in pod.api.record
    assert json.loads(capsys.readouterr().out)["data"] == {"refused": "data.value[1]: set is not a JSON type"}


def test_logs_of_logging_and_of_the_task_are_kept_in_order(pod: Pod) -> None:
    pod.run(
        "import logging\nlogger = logging.Logger('shop')\nlogger.addHandler(controller.logger.handler())\n"
        "controller.logger.info('one')\nlogger.warning('two')\ncontroller.logger.info('three')"
    )

    assert [item["message"] for item in pod.api.record["logs"]] == ["one", "two", "three"]


def test_an_error_is_logged_without_its_payload(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.run("return controller.response.error({'message': 'odd', 'code': 'Odd', 'data': {'row': 3}})")

    (item,) = pod.api.record["logs"]
    assert (item["type"], item["message"], item["error"]) == ("error", "odd", {"message": "odd", "code": "Odd"})
    assert json.loads(capsys.readouterr().out) == item
    assert pod.api.calls.count("PUT shop-i2") == 1, "it is written together with the answer"


def test_without_record_logs_an_error_causes_only_the_write_of_the_answer(pod: Pod) -> None:
    before = set(threading.enumerate())
    pod.run("controller.logger.info('a')\nraise ValueError('odd')", **{names.ENV_RECORD_LOGS: "false"})

    assert "logs" not in pod.api.record
    assert "heartbeatAt" not in pod.api.record
    assert pod.api.calls[3:] == ["PUT shop-i2"]
    assert "podrelay-flusher" not in {thread.name for thread in set(threading.enumerate()) - before}


@pytest.mark.parametrize(("message", "logged"), [("'tidy'", "tidy"), ("", "Task aborted.")])
def test_an_abort_is_logged_with_its_message(pod: Pod, message: str, logged: str) -> None:
    pod.run(f"return controller.response.aborted({message})")

    assert [(item["type"], item["message"]) for item in pod.api.record["logs"]] == [("info", logged)]


def test_logging_an_exception_without_a_message_does_not_break_the_task(pod: Pod) -> None:
    body = (
        "class Mute(Exception):\n    def __str__(self): raise ValueError\n"
        "controller.logger.error('odd', Mute())\nreturn {'ended': True}"
    )

    assert pod.run(body) == 0
    assert pod.api.record["logs"][0]["error"] == {"message": "Mute", "code": "Mute"}


def test_a_task_that_closes_its_stdout_still_answers(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    assert pod.run("import sys\nsys.stdout.close()\ncontroller.logger.info('hello')\nraise ValueError('odd')") == 1
    assert [item["message"] for item in pod.api.record["logs"]] == ["hello", "odd"]


def test_a_burst_of_100_000_lines_keeps_the_newest_and_a_count(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "stdout").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        began = time.monotonic()
        pod.run("for n in range(100_000): controller.logger.info('row', {'n': n})")
        took = time.monotonic() - began

    kept = pod.api.record["logs"]
    assert [item["data"]["n"] for item in kept] == list(range(99_800, 100_000))
    assert pod.api.record["droppedLogs"] == 99_800
    assert took < 60, "a line takes about 20 microseconds; the limit allows for busy machines"
    assert len((tmp_path / "stdout").read_text().splitlines()) == 100_000


def test_logs_are_stored_while_the_task_runs(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = threading.Event()

    def note(method: str, _name: str) -> None:
        if method == "PUT":
            stored.set()

    pod.api.after = note
    monkeypatch.setitem(sys.modules, "shared_event", types.SimpleNamespace(event=stored))

    pod.run("import shared_event\ncontroller.logger.info('half')\nreturn {'seen': shared_event.event.wait(30)}")

    assert pod.response["output"] == {"seen": True}


# --- state ------------------------------------------------------------------------------------------------------------

STATE = "return {'input': controller.state.get_input(), 'before': controller.state.get_output()}"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"input": {"cursor": 0}, "before": None}),
        ({names.ENV_STATE: "shop-i1"}, {"input": {"cursor": 5}, "before": {"rows": 5}}),
        (
            {names.ENV_STATE: "shop-i1", names.ENV_CHECKPOINT: "shop-i2t1"},
            {"input": {"cursor": 8}, "before": {"rows": 8}},
        ),
    ],
    ids=["the run's input", "the record before", "the checkpoint of an earlier attempt"],
)
def test_the_source_of_the_state(pod: Pod, changes: dict[str, str], expected: dict[str, Any]) -> None:
    pod.api.put("shop-i1", {"response": {"status": "continue", "input": {"cursor": 5}, "output": {"rows": 5}}})
    pod.api.put("shop-i2t1", {"checkpoint": {"input": {"cursor": 8}, "output": {"rows": 8}}})

    pod.run(STATE, **changes)

    assert pod.response["output"] == expected


@pytest.mark.parametrize("state", [None, {}, {"response": {"status": "error", "error": {"message": "x"}}}])
def test_a_lost_state_is_an_error_and_never_a_restart(pod: Pod, state: dict[str, Any] | None) -> None:
    if state is not None:
        pod.api.put("shop-i1", state)

    assert pod.run("return {'ran': True}", **{names.ENV_STATE: "shop-i1"}) == 1
    assert pod.response["error"]["code"] == "StateLost"


def test_a_checkpoint_is_stored_when_update_returns(pod: Pod) -> None:
    pod.run("controller.state.update_input({'cursor': 9})\nraise ValueError('crash')")

    assert pod.api.record["checkpoint"] == {"input": {"cursor": 9}}


# --- not running ------------------------------------------------------------------------------------------------------


def test_a_superseded_pod_prints_the_reason_and_writes_nothing(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.api.objects["shop"] = task_run(status={"phase": "Aborted"})

    assert pod.run("raise AssertionError") == 75
    assert all(call.startswith("GET") for call in pod.api.calls)
    assert "is finished: Aborted" in capsys.readouterr().err


def test_a_pod_that_loses_the_race_for_the_claim_does_not_run(pod: Pod) -> None:
    def overtake(method: str, _name: str) -> None:
        if method == "POST":
            pod.api.put("shop-i2", {"podUID": "another"})

    pod.api.before = overtake

    assert pod.run("raise AssertionError") == 75
    assert "response" not in pod.api.record


@pytest.mark.parametrize(
    ("status", "words"), [(403, "needs the ClusterRole podrelay-runner in namespace default"), (401, "token")]
)
def test_missing_permissions_are_reported_in_the_termination_message(pod: Pod, status: int, words: str) -> None:
    refusal = {"message": 'User "system:serviceaccount:default:shop" cannot get resource'}
    pod.api.before = lambda _method, _name: (status, refusal)

    assert pod.run("raise AssertionError") == 1
    assert "system:serviceaccount:default:shop" in pod.message
    assert words in pod.message


def test_outside_of_a_pod_the_runner_explains_its_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run("tasks", {}, 0.0) == 2
    assert "this is not a pod of a TaskRun" in capsys.readouterr().err


def test_a_pod_of_an_unsupported_operator_reports_it_and_runs_nothing(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "OLDEST_OPERATOR", 3)

    assert pod.run("raise AssertionError", **{names.ENV_PROTOCOL: "2"}) == protocol.EXIT_UNSUPPORTED
    assert pod.api.calls == []
    words = protocol.words_of_farewell(pod.message, protocol.EXIT_UNSUPPORTED)
    assert words is not None
    assert "does not work with its operator (version 2)" in words


# --- answers that cannot be delivered ---------------------------------------------------------------------------------


def fail_put(pod: Pod, with_: Callable[[str, str], Any]) -> None:
    pod.api.before = lambda method, name: with_(method, name) if method == "PUT" else None


def test_an_answer_that_cannot_be_delivered_goes_into_the_termination_message(pod: Pod) -> None:
    fail_put(pod, unreachable)

    assert pod.run("return {'rows': 3}") == 1
    assert json.loads(pod.message) == {
        "response": {"status": "done", "output": {"rows": 3}},
        "protocol": protocol.VERSION,
    }


def test_an_answer_without_permission_goes_into_the_termination_message(pod: Pod) -> None:
    fail_put(pod, lambda _method, _name: (403, {"message": LACKS_RIGHT}))

    assert pod.run("return {'rows': 3}") == 1
    assert json.loads(pod.message) == {
        "response": {"status": "done", "output": {"rows": 3}},
        "protocol": protocol.VERSION,
    }
    assert 1950 < pod.api.clock() <= 1960, "the iteration's time and the grace period"


def test_reading_the_state_waits_for_a_missing_permission_like_the_answer(pod: Pod) -> None:
    pod.api.put("shop-i1", {"response": {"status": "continue", "input": {"cursor": 7}}})

    def refuse(_method: str, name: str) -> tuple[int, dict[str, Any]] | None:
        return (403, {"message": LACKS_RIGHT}) if name == "shop-i1" and pod.api.clock() < 1500 else None

    pod.api.before = refuse

    assert pod.run("return input", **{names.ENV_STATE: "shop-i1"}) == 0
    assert pod.response["output"] == {"cursor": 7}


def test_an_answer_is_stored_when_the_permission_is_restored(pod: Pod) -> None:
    fail_put(pod, lambda _method, _name: (403, {"message": LACKS_RIGHT}) if pod.api.clock() < 1500 else None)

    assert pod.run("return {'rows': 3}") == 0
    assert pod.response == {"status": "done", "output": {"rows": 3}}


def test_an_answer_that_is_too_large_for_the_termination_message_is_explained_in_it(pod: Pod) -> None:
    fail_put(pod, unreachable)

    assert pod.run("return {'text': 'x' * 5000}") == 1
    assert pod.message == "the answer done could not be stored: no server responds"


def test_an_earlier_stored_response_is_reported_with_exit_code_1(pod: Pod) -> None:
    def overtake(_method: str, _name: str) -> None:
        pod.api.put("shop-i2", {**pod.api.record, "response": {"status": "aborted"}})

    fail_put(pod, overtake)

    assert pod.run("pass") == 1
    assert "another response was stored first" in pod.message


def test_the_deadline_is_the_iteration_and_the_grace_period(pod: Pod) -> None:
    ends: list[float] = []

    def remember(method: str, url: str, body: Any, deadline: Any) -> Any:
        ends.append(deadline())
        return type(pod.api)._answer(pod.api, method, url, body, deadline)

    pod.api._answer = remember  # type: ignore[method-assign]
    pod.run("pass")

    assert ends == [1900.0, 1900.0, 1900.0, 1960.0]


# --- SIGTERM ----------------------------------------------------------------------------------------------------------

KILL = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)\n"


def test_sigterm_of_a_drain_is_close_to_timeout(pod: Pod) -> None:
    pod.run(
        KILL + "r = controller.runtime\n"
        "return {'aborted': r.is_aborted(), 'close': r.is_close_to_timeout(0), 'left': r.remaining_seconds()}"
    )

    assert pod.response["output"] == {"aborted": False, "close": True, "left": 60}


def test_sigterm_of_an_abort_is_aborted_with_its_message(pod: Pod) -> None:
    abort = task_run(spec={"definition": "x", "input": {}, "abort": {"message": "wrong file"}})
    reads = iter([pod.api.objects["shop"], abort])

    def read(method: str, name: str) -> Any:
        return (200, next(reads)) if (method, name) == ("GET", "shop") else None

    pod.api.before = read
    pod.run(
        KILL + "r = controller.runtime\n"
        "return {'aborted': r.is_aborted(), 'why': r.abort_message, 'status': controller.state.get_status()}"
    )

    assert pod.response["output"] == {"aborted": True, "why": "wrong file", "status": "aborted"}


def test_sigterm_during_retries_of_the_answer_shortens_the_deadline(pod: Pod) -> None:
    def fail(method: str, url: str, body: Any, deadline: Any) -> Any:
        if method != "PUT":
            return type(pod.api)._answer(pod.api, method, url, body, deadline)
        assert deadline() == 1960.0
        os.kill(os.getpid(), signal.SIGTERM)
        assert deadline() == 1000.0 + 60 - 2
        raise ApiUnreachableError("no server responds")

    pod.api._answer = fail  # type: ignore[method-assign]

    assert pod.run("return {'rows': 3}") == 1
    assert "response" in json.loads(pod.message)


# --- the process ------------------------------------------------------------------------------------------------------


UNWANTED = (
    "pydantic",
    "asyncio",
    "inspect",
    "dataclasses",
    "logging",
    "argparse",
    "traceback",
    "importlib.metadata",
    "podrelay.kube",
    "podrelay.operator",
    "podrelay.cli",
)


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_task_without_pydantic_imports_neither_it_nor_asyncio(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(HEAD + "    def run(self, input: dict[str, Any], controller: Controller): ...\n")
    code = f"""
import sys
import podrelay.runner.main
from podrelay.sdk import inputs, loading
from podrelay.sdk.controller import Controller
definition = loading.load_definition({str(tmp_path / "tasks.py")!r})
definition().run(inputs.parse(inputs.input_type(definition), {{}}), Controller(None))
print([name for name in {UNWANTED!r} if name in sys.modules])
"""

    assert python(code).stdout == "[]\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["a", "b"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    ended = python("from podrelay.runner.main import main; main()", *arguments)

    assert (ended.returncode, ended.stderr) == (
        2,
        "usage: podrelay-runner MODULE:CLASS   (inside a pod of a TaskRun)\n",
    )


def test_a_thread_of_the_task_does_not_keep_the_process_alive() -> None:
    code = """
import threading, time
from podrelay.runner import main
def run(*_, **__):
    threading.Thread(target=time.sleep, args=(600,)).start()
    print("answered")
    return 0
main.run = run
main.main()
"""
    ended = python(code, "tasks")

    assert (ended.returncode, ended.stdout) == (0, "answered\n")


def test_an_internal_error_of_the_runner_ends_the_pod_with_a_message(tmp_path: Path) -> None:
    code = """
from podrelay.runner import main
def run(*_, **__):
    raise RuntimeError("oh no")
main.run = run
main.main()
"""
    ended = python(code, "tasks", **{main.ENV_TERMINATION_MESSAGE_PATH: str(tmp_path / "message")})

    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert (tmp_path / "message").read_text() == "internal error: oh no"


# --- rejected answers -------------------------------------------------------------------------------------------------


def refuse_put(pod: Pod, *statuses: str) -> None:
    """Answer 422 to records whose response has one of these statuses, like an admission policy of the cluster."""
    request = pod.api._answer

    def refuse(method: str, url: str, body: Any, deadline: Any) -> Any:
        if method == "PUT" and body.get("response", {}).get("status") in statuses:
            return 422, {"message": "ask the committee"}
        return request(method, url, body, deadline)

    pod.api._answer = refuse  # type: ignore[method-assign]


def test_a_rejected_answer_becomes_an_error_that_names_the_rejection(pod: Pod) -> None:
    refuse_put(pod, "done")

    assert pod.run("return {'rows': 3}") == 1

    words = "the answer done could not be stored: the API server answered 422: ask the committee"
    assert pod.response == {"status": "error", "error": {"message": words, "code": "AnswerRefused"}}


def test_a_checkpoint_survives_a_rejected_answer(pod: Pod) -> None:
    refuse_put(pod, "done")

    pod.run("controller.state.update_input({'cursor': 7})")

    assert pod.api.record["checkpoint"]["input"]["cursor"] == 7


def test_a_rejected_error_goes_into_the_termination_message(pod: Pod) -> None:
    refuse_put(pod, "done", "error")

    assert pod.run("return {'rows': 3}") == 1
    assert pod.message == "the answer done could not be stored: the API server answered 422: ask the committee"
