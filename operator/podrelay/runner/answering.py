"""From what run() returned, or raised, to the response that is stored. Pure but for the traceback on stderr."""

import sys
from collections.abc import Iterable
from typing import Any

from podrelay.api import invalid_input, limits, numbers
from podrelay.api.errors import PodrelayError
from podrelay.sdk.answers import Aborted, Answer, Built, Continue, Done, Failed, failed
from podrelay.sdk.controller import as_dict
from podrelay.sdk.errors import DefinitionError, InputError, TaskModuleError
from podrelay.sdk.validation import NO_RULES, InputRules


def answer_of(value: Any, built: Iterable[Built] = ()) -> Answer:
    """Return the answer that a value returned by run() means: None or a JSON object mean done.

    Args:
        value: what run() returned.
        built: the answers that it has made. One of them and no `return` is an error, because the task meant something;
            an answer that is not the one which was returned may be meant so, and is told on stderr.
    """
    dropped = [item for item in built if item.answer is not value]
    if value is None and dropped:
        # Its work is done: to do it once more would not bring the answer back.
        words = f"run() returned None, but {dropped[-1]}; write: return {dropped[-1].call}"
        return Failed(words, "InvalidAnswer", retryable=False)
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
    """Return the answer for an exception that left run(); its traceback goes to stderr, never into the record."""
    import traceback  # noqa: PLC0415 - most pods need none

    traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, InputError):
        return Failed(str(error), error.reason, error.data)
    if isinstance(error, SystemExit):
        return Failed(f"the task called sys.exit({error.code!r})", "SystemExit")
    if isinstance(error, limits.PayloadError):
        return Failed(str(error), "PayloadRefused")
    answer = described(error)
    if isinstance(error, TaskModuleError | DefinitionError):
        # The image has no other module and no other class, however often it is started.
        return Failed(answer.message, error.reason, answer.data, retryable=False)
    if isinstance(error, PodrelayError) and answer.code == type(error).__name__:
        return Failed(answer.message, error.reason, answer.data)
    return answer


def described(error: BaseException | dict[str, Any] | str) -> Failed:
    """Return what `failed` says about an error, also of an exception that cannot even say what it is."""
    try:
        return failed(error)
    except Exception:  # noqa: BLE001 - whatever an author's __str__ or property raises
        return Failed(type(error).__name__, type(error).__name__)


def response_of(
    answer: Answer, input: dict[str, Any], output: dict[str, Any] | None, rules: InputRules = NO_RULES
) -> dict[str, Any]:
    """Return the response to store for `answer`, given input and output as this iteration holds them.

    A payload that cannot be stored, or that breaks the rules, turns the answer into an error that says so.
    """
    try:
        return _response(answer, input, output, rules)
    except InputError as error:
        refused = Failed(str(error), error.reason, error.data)
    except (limits.PayloadError, TypeError) as error:
        refused = Failed(str(error), "PayloadRefused")
    return _response(refused, input, output, rules)


def error_of(answer: Failed) -> dict[str, Any]:
    """Return message, code and data as they are stored."""
    error: dict[str, Any] = {"message": clean(answer.message, limits.MESSAGE_LENGTH)}
    if answer.code:
        error["code"] = clean(answer.code, 256)
    if answer.data is not None:
        try:
            error["data"] = _stored(answer.data, "error.data")
        except limits.PayloadError as refusal:
            # The error itself matters more than what goes with it.
            error["data"] = {"refused": clean(str(refusal), limits.MESSAGE_LENGTH)}
    return error


def clean(text: str, length: int) -> str:
    """Return `text` as it can be stored: cut to `length`, without lone surrogates (of file names that are no UTF-8)."""
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
    told = {
        "retryable": answer.retryable,
        "retryAfterSeconds": answer.retry_after_seconds,
        "refusal": answer.refusal,
    }
    return {field: value for field, value in told.items() if value is not None}


def _invalid_fields(answer: Failed) -> str | None:
    """Return a message that names the fields of an input that does not fit; None for any other error."""
    data: Any = answer.data  # an author may have put anything there
    fields = data.get("invalidFields") if isinstance(data, dict) else None
    if answer.code != invalid_input.INVALID_FIELDS or not isinstance(fields, dict):
        return None
    return invalid_input.in_words(fields, answer.message)


def _stored(payload: dict[str, Any], what: str) -> Any:
    """Return a payload as it will come back from the API server, so that the two can be compared: no tuple, no 1.0."""
    return numbers.loads(limits.check_payload(payload, what))


def _add_message(response: dict[str, Any], message: str | None) -> None:
    if message:
        response["message"] = clean(str(message), limits.MESSAGE_LENGTH)
