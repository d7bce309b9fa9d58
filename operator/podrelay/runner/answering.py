"""Converts the result or exception of run() into the response to store. Pure, except for tracebacks on stderr."""

import sys
from collections.abc import Iterable
from typing import Any

from podrelay.api import invalid_input, limits, numbers
from podrelay.api.errors import PodrelayError
from podrelay.runner import tracebacks
from podrelay.sdk.answers import Aborted, Answer, Built, Continue, Done, Failed, failed
from podrelay.sdk.controller import as_dict
from podrelay.sdk.errors import DefinitionError, InputError, TaskModuleError
from podrelay.sdk.validation import NO_RULES, InputRules


def answer_of(value: Any, built: Iterable[Built] = ()) -> Answer:
    """Return the answer for the return value of run(): None or a JSON object means done.

    Args:
        value: the return value of run().
        built: the answers that it created. If run() created an answer but returned None, that is an error, because the
            task intended an answer. If it returned something else, only a warning is printed to stderr.
    """
    dropped = [item for item in built if item.answer is not value]
    if value is None and dropped:
        # Not retryable: the work was done, and a retry would lose the answer again.
        message = f"run() returned None, but {dropped[-1]}; write: return {dropped[-1].call}"
        return Failed(message, "InvalidAnswer", retryable=False)
    for item in dropped:
        print(f"podrelay-runner: {item}, but returned something else; is a return missing?", file=sys.stderr)
    if isinstance(value, Done | Continue | Failed | Aborted):
        return value
    if value is None:
        return Done()
    try:
        return Done(output=as_dict(value, "what run() returns"))
    except TypeError:
        return Failed(
            f"run() returned {type(value).__name__}; return controller.response.done(...), continue_(...), error(...) "
            "or aborted(), a dict or None",
            "InvalidAnswer",
        )


def answer_of_exception(error: BaseException) -> Failed:
    """Return the answer for an exception of run(); its traceback is printed to stderr, never stored in the record."""
    tracebacks.show(error)
    if isinstance(error, InputError):
        return Failed(str(error), error.reason, error.data)
    if isinstance(error, SystemExit):
        return Failed(f"the task called sys.exit({error.code!r})", "SystemExit")
    if isinstance(error, limits.PayloadError):
        return Failed(str(error), "PayloadRefused")
    answer = described(error)
    if isinstance(error, TaskModuleError | DefinitionError):
        # A retry would use the same image with the same module and class.
        return Failed(answer.message, error.reason, answer.data, retryable=False)
    if isinstance(error, PodrelayError) and answer.code == type(error).__name__:
        return Failed(answer.message, error.reason, answer.data)
    return answer


def described(error: BaseException | dict[str, Any] | str) -> Failed:
    """Return `failed(error)`, or its class name for an exception whose message cannot be determined."""
    try:
        return failed(error)
    except Exception:  # noqa: BLE001 - __str__ or a property of the author's class may raise anything
        return Failed(type(error).__name__, type(error).__name__)


def response_of(
    answer: Answer, input: dict[str, Any], output: dict[str, Any] | None, rules: InputRules = NO_RULES
) -> dict[str, Any]:
    """Return the response to store for `answer`, given the current input and output of this iteration.

    If a payload cannot be stored or violates the rules, the response is an error that says so.
    """
    try:
        return _response(answer, input, output, rules)
    except InputError as error:
        refused = Failed(str(error), error.reason, error.data)
    except (limits.PayloadError, TypeError) as error:
        refused = Failed(str(error), "PayloadRefused")
    return _response(refused, input, output, rules)


def error_of(answer: Failed) -> dict[str, Any]:
    """Return message, code and data in the form to store."""
    error: dict[str, Any] = {"message": clean(answer.message, limits.MESSAGE_LENGTH)}
    if answer.code:
        error["code"] = clean(answer.code, 256)
    if answer.data is not None:
        try:
            error["data"] = _stored(answer.data, "error.data")
        except limits.PayloadError as refusal:
            # The error itself is more important than its data.
            error["data"] = {"refused": clean(str(refusal), limits.MESSAGE_LENGTH)}
    return error


def clean(text: str, length: int) -> str:
    """Return `text` in a form that can be stored: cut to `length`, without lone surrogates (as in some file names)."""
    return limits.cut(text.encode("utf-8", "replace").decode(), length)


def _response(
    answer: Answer, input: dict[str, Any], output: dict[str, Any] | None, rules: InputRules
) -> dict[str, Any]:
    response: dict[str, Any]
    match answer:
        case Done():
            response = {"status": "done"}
            output = output if answer.output is None else as_dict(answer.output, "output")
            _add_message(response, answer.message)
        case Continue():
            base = {} if answer.is_whole else input
            merged = rules.merge(base, _stored(as_dict(answer.input, "input"), "input"))
            response = {"status": "continue", "input": _stored(merged, "input")}
            if answer.wait_seconds:
                response["waitSeconds"] = answer.wait_seconds
            if answer.wait_for_children is not None:
                definition = answer.wait_for_children.definition
                response["waitForChildren"] = {"definition": definition} if definition else {}
            if answer.wait_for_signal is not None:
                wanted = answer.wait_for_signal
                response["waitForSignal"] = {"names": list(wanted.names), "count": wanted.number}
        case Failed():
            response = {"status": "error", "error": error_of(answer), **_about_retries(answer)}
            _add_message(response, _invalid_fields(answer))
        case Aborted():
            response = {"status": "aborted"}
            _add_message(response, answer.message)
    if output is not None:
        response["output"] = _stored(output, "output")
    return response


def _about_retries(answer: Failed) -> dict[str, Any]:
    fields = {"retryable": answer.retryable, "retryAfterSeconds": answer.retry_after_seconds, "refusal": answer.refusal}
    return {field: value for field, value in fields.items() if value is not None}


def _invalid_fields(answer: Failed) -> str | None:
    """Return a message that names the invalid fields of an input; None for any other error."""
    data: Any = answer.data  # may be any value that the author chose
    fields = data.get("invalidFields") if isinstance(data, dict) else None
    if answer.code != invalid_input.INVALID_FIELDS or not isinstance(fields, dict):
        return None
    return invalid_input.in_words(fields, answer.message)


def _stored(payload: dict[str, Any], what: str) -> Any:
    """Return a payload as the API server will return it, so that the two can be compared: no tuple, no 1.0."""
    return numbers.loads(limits.check_payload(payload, what))


def _add_message(response: dict[str, Any], message: str | None) -> None:
    if message:
        response["message"] = clean(str(message), limits.MESSAGE_LENGTH)
