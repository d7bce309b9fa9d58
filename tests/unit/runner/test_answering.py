"""The answers that are stored for results and exceptions of run()."""

from typing import Any

import pytest
from pydantic import BaseModel

from podrelay.api import limits
from podrelay.runner.answering import answer_of, answer_of_exception, clean, response_of
from podrelay.sdk.answers import Aborted, Answer, Continue, Done, Failed
from podrelay.sdk.errors import InputError, SupersededError
from podrelay.sdk.validation import InputRules

HUGE = {"text": "x" * limits.PAYLOAD_BYTES}


class Rows(BaseModel):
    rows: int = 3


class CodedError(Exception):
    code = "E_SHOP"


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (None, Done()),
        ({"rows": 3}, Done(output={"rows": 3})),
        (Rows(), Done(output={"rows": 3})),
        (Failed("x"), Failed("x")),
        (Continue({}), Continue({})),
        (Aborted(), Aborted()),
    ],
)
def test_run_may_return_answers_dicts_models_or_none(value: Any, answer: Answer) -> None:
    found = answer_of(value)

    assert (type(found), found) == (type(answer), answer)


@pytest.mark.parametrize("value", [5, "done", [1], (None, None), object(), Rows])
def test_any_other_return_value_is_an_error_that_explains_what_is_allowed(value: Any) -> None:
    answer = answer_of(value)

    assert isinstance(answer, Failed)
    assert answer.code == "InvalidAnswer"
    assert "controller.response.done" in answer.message


@pytest.mark.parametrize(
    ("answer", "output", "response"),
    [
        (Done(), None, {"status": "done"}),
        (Done(), {"kept": 1}, {"status": "done", "output": {"kept": 1}}),
        (Done("ok", {"new": 1}), {"kept": 1}, {"status": "done", "message": "ok", "output": {"new": 1}}),
        (Done(output={}), {"kept": 1}, {"status": "done", "output": {}}),
        (Continue({"b": {"new": 1}}), None, {"status": "continue", "input": {"a": 1, "b": {"new": 1}}}),
        (Continue({"c": 2}, is_whole=True), None, {"status": "continue", "input": {"c": 2}}),
        (
            Continue({}, 2.5),
            {"kept": 1},
            {"status": "continue", "input": {"a": 1, "b": {"x": 1}}, "waitSeconds": 2.5, "output": {"kept": 1}},
        ),
        (Failed("no"), None, {"status": "error", "error": {"message": "no"}}),
        (
            Failed("no", "E", {"path": None}),
            {"kept": 1},
            {"status": "error", "error": {"message": "no", "code": "E", "data": {"path": None}}, "output": {"kept": 1}},
        ),
        (
            Failed("no", retryable=True, retry_after_seconds=30.0),
            None,
            {"status": "error", "error": {"message": "no"}, "retryable": True, "retryAfterSeconds": 30.0},
        ),
        (
            Failed("no", retryable=False, refusal="InvalidInput"),
            None,
            {"status": "error", "error": {"message": "no"}, "retryable": False, "refusal": "InvalidInput"},
        ),
        (
            Failed("Validation failed.", InputError.reason, {"invalidFields": {"url": {"message": "Field required"}}}),
            None,
            {
                "status": "error",
                "message": "Validation failed. url: Field required",
                "error": {
                    "message": "Validation failed.",
                    "code": InputError.reason,
                    "data": {"invalidFields": {"url": {"message": "Field required"}}},
                },
            },
        ),
        (Aborted(), {"kept": 1}, {"status": "aborted", "output": {"kept": 1}}),
        (Aborted("tidy"), None, {"status": "aborted", "message": "tidy"}),
    ],
)
def test_answers_are_stored_with_the_resulting_state(
    answer: Answer, output: dict[str, Any] | None, response: dict[str, Any]
) -> None:
    assert response_of(answer, {"a": 1, "b": {"x": 1}}, output) == response


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Done(output=HUGE), "the limit is 262144"),
        (Continue({"x": {1}}), "input.x: set is not a JSON type"),
        (Continue(HUGE), "input has"),
        (Done(output={"x": float("inf")}), "output.x: inf is not a JSON number"),
        (Done(output=[1]), "must be a dict"),
    ],
)
def test_an_answer_with_an_invalid_payload_becomes_an_error(answer: Answer, words: str) -> None:
    response = response_of(answer, {}, {"kept": 1})

    assert response["status"] == "error"
    assert response["error"]["code"] == "PayloadRefused"
    assert words in response["error"]["message"]
    assert response["output"] == {"kept": 1}


def test_the_whole_state_of_a_continue_is_validated() -> None:
    class Order(BaseModel):
        cursor: int
        size: int = 10

    rules = InputRules(Order)

    assert response_of(Continue({"cursor": "5"}), {"url": "x"}, None, rules)["input"] == {
        "url": "x",
        "cursor": 5,
        "size": 10,
    }
    refused = response_of(Continue({"cursor": "far"}), {"cursor": 1}, {"kept": 1}, rules)
    assert (refused["status"], refused["error"]["code"]) == ("error", InputError.reason)
    assert refused["error"]["message"] == "Validation failed."
    assert set(refused["error"]["data"]["invalidFields"]) == {"cursor"}
    assert refused["output"] == {"kept": 1}
    assert "retryable" not in refused, "another attempt may continue with another state"


@pytest.mark.parametrize("data", [HUGE, {"x": object()}, [1]])
def test_invalid_error_data_is_dropped_but_never_the_error(data: Any) -> None:
    error = response_of(Failed("no such file", "E", data), {}, None)["error"]

    assert (error["message"], error["code"]) == ("no such file", "E")
    assert "error.data" in error["data"]["refused"]


def test_messages_are_truncated_and_invalid_characters_replaced() -> None:
    response = response_of(Failed("x" * 9000 + "\udcff", "c" * 300), {}, None)

    assert len(response["error"]["message"]) == limits.MESSAGE_LENGTH
    assert len(response["error"]["code"]) == 256
    assert clean("file \udcff", 100) == "file ?"


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (ValueError("odd"), "odd", "ValueError"),
        (CodedError("shop"), "shop", "E_SHOP"),
        (SystemExit(3), "the task called sys.exit(3)", "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "KeyboardInterrupt"),
        (limits.PayloadError("too large"), "too large", "PayloadRefused"),
        (InputError("Validation failed.", {"invalidFields": {}}), "Validation failed.", InputError.reason),
        (SupersededError("gone"), "gone", "Superseded"),
        (MuteError(), "MuteError", "MuteError"),
    ],
)
def test_an_exception_becomes_an_error_with_its_traceback_on_stderr(
    error: BaseException, message: str, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = answer_of_exception(error)

    assert (answer.message, answer.code) == (message, code)
    assert type(error).__name__ in capsys.readouterr().err


def test_a_response_has_the_form_that_the_api_server_returns() -> None:
    """A tuple is stored as a list; a response that differs from the stored one is treated as another pod's."""
    assert response_of(Done(output={"rows": (1, (2,))}), {}, None)["output"] == {"rows": [1, [2]]}
    assert response_of(Continue({"rows": (1,)}), {}, None)["input"] == {"rows": [1]}
    assert response_of(Failed("no", "E", {"rows": (1,)}), {}, None)["error"]["data"] == {"rows": [1]}
