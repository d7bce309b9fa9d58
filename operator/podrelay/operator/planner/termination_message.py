"""Reads answers from termination messages. Pure functions over a pod.

With reporting TerminationMessage, the message is the answer: a JSON object with the fields of a record's response, such
as `{"status": "continue", "input": {"row": 7}}`. With reporting API, it only holds an answer that the runner could not
deliver.
"""

from typing import Any, Final

import msgspec

from podrelay.api import limits, protocol
from podrelay.operator.objects.answers import StorableError, StorableResponse, UndeliveredResponse
from podrelay.operator.planner import failures
from podrelay.operator.pods import ContainerTerminated, Pod

_QUOTED_CHARACTERS: Final = 80


class _LeftBehind(msgspec.Struct, frozen=True):
    response: UndeliveredResponse


class _Status(msgspec.Struct, frozen=True):
    status: str = ""


class _OfAnyVersion(msgspec.Struct, frozen=True):
    response: _Status
    protocol: int = 1


def answer_of(pod: Pod) -> StorableResponse | None:
    """Return the answer of this ended pod, or None if it left none, so that the way it ended decides."""
    terminated = pod.task.terminated
    if terminated is None or terminated.started_at is None:
        return None
    if not pod.reports_by_message:
        return _left_behind(terminated.message)
    text = terminated.message.strip()
    was_stopped = _may_have_been_stopped(pod, terminated)
    if terminated.exit_code == 0:
        if text:
            return _parse(text, _share(pod))
        return None if was_stopped else StorableResponse("done")
    return None if was_stopped else _error(text)


def succeeds_unless_stopped(pod: Pod) -> bool:
    """Return whether this pod counts as done, unless it was stopped: exit code 0 and no message."""
    terminated = pod.task.terminated
    return pod.reports_by_message and terminated is not None and terminated.exit_code == 0 and is_silent(pod)


def is_silent(pod: Pod) -> bool:
    """Return whether the container left only an exit code, and no message."""
    terminated = pod.task.terminated
    return terminated is None or not terminated.message.strip()


def _left_behind(message: str) -> StorableResponse | None:
    if not message.startswith('{"response":'):
        return None
    try:
        return msgspec.json.decode(message, type=_LeftBehind).response
    except msgspec.MsgspecError:
        return _of_a_newer_runner(message)


def _of_a_newer_runner(message: str) -> StorableResponse | None:
    """Return the refusal of an answer of a later version of the protocol; None if it is not one."""
    try:
        found = msgspec.json.decode(message, type=_OfAnyVersion)
    except msgspec.MsgspecError:
        return None
    if found.protocol <= protocol.VERSION:
        return None
    words = protocol.unknown_answer(found.response.status, found.protocol, "")
    return msgspec.structs.replace(refused(words, protocol.UNSUPPORTED_RUNNER), retryable=False)


def _parse(text: str, share: int) -> StorableResponse:
    try:
        response = msgspec.json.decode(text, type=StorableResponse)
        _check_payloads(response)
    except limits.PayloadError as error:
        return refused(str(error), "PayloadRefused")
    except msgspec.MsgspecError as error:
        size = len(text.encode())
        if size >= share:
            return refused(
                f"the termination message was cut at {share} bytes; keep large state in separate storage and pass a "
                "reference, or set spec.reporting to API",
                "AnswerCut",
            )
        return refused(
            f"the termination message is not a valid answer ({error}): {limits.cut(text, _QUOTED_CHARACTERS)!r}; write "
            'JSON such as {"status":"done","output":{}}, or nothing',
            "InvalidAnswer",
        )
    return _with_error(response) if response.status == "error" else response


def _with_error(response: StorableResponse) -> StorableResponse:
    error = response.error or StorableError(response.message or "Task failed.")
    return msgspec.structs.replace(response, error=error)


def _error(text: str) -> StorableResponse | None:
    """Return the error that a failed container reported itself; with a non-zero exit code, only errors are accepted."""
    try:
        response = msgspec.json.decode(text, type=StorableResponse)
        _check_payloads(response)
    except (msgspec.MsgspecError, limits.PayloadError):
        return None
    return _with_error(response) if response.status == "error" else None


def _check_payloads(response: StorableResponse) -> None:
    payloads: dict[str, Any] = {
        "output": response.output,
        "input": response.input,
        "error.data": response.error.data if response.error else None,
    }
    for what, payload in payloads.items():
        if payload is not None:
            limits.check_payload(payload, what)


def refused(message: str, code: str) -> StorableResponse:
    """Return the error that replaces an answer that cannot be accepted."""
    return StorableResponse("error", error=StorableError(limits.cut(message, limits.MESSAGE_LENGTH), code))


def carried_on(response: StorableResponse, input: dict[str, Any], output: dict[str, Any] | None) -> StorableResponse:
    """Return `response` with the earlier state added: input merged, as with the SDK, and output kept.

    Args:
        response: the answer of the pod.
        input: of this iteration.
        output: of the iterations before it.
    """
    if response.output is None:
        response = msgspec.structs.replace(response, output=output)
    if response.status != "continue":
        return response
    merged = {**input, **(response.input or {})}
    size = len(msgspec.json.encode(merged))
    if size > limits.ENVIRONMENT_INPUT_BYTES:
        return refused(limits.too_large_for_environment(size), "PayloadRefused")
    return msgspec.structs.replace(response, input=merged)


def _share(pod: Pod) -> int:
    containers = len(pod.status.container_statuses) + len(pod.status.init_container_statuses)
    return min(limits.TERMINATION_MESSAGE_BYTES, limits.POD_TERMINATION_MESSAGES_BYTES // max(containers, 1))


def _may_have_been_stopped(pod: Pod, terminated: ContainerTerminated) -> bool:
    """Whether the container may have ended because of SIGTERM: then its exit code alone does not show its result."""
    # A pod with a reason was ended by its kubelet: DeadlineExceeded, Evicted, NodeShutdown and so on.
    if pod.metadata.annotations.ending_since is not None or pod.status.reason:
        return True
    return failures.disruption_of(pod) is not None
