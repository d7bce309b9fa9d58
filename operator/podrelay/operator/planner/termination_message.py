"""What a pod says in its termination message. Pure functions over a pod.

With reporting TerminationMessage the message is the answer itself: a JSON object with the fields of a record's
response, such as `{"status": "continue", "input": {"row": 7}}`. With reporting API it is only what the runner could not
deliver.
"""

from typing import Any, Final

import msgspec

from podrelay.api import limits, protocol
from podrelay.operator.objects import StorableError, StorableResponse, UndeliveredResponse
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
    """Return what this ended pod has answered, or None if what happened to it has to speak for it."""
    terminated = pod.task.terminated
    if terminated is None or terminated.started_at is None:
        return None
    if not pod.reports_by_message:
        return _left_behind(terminated.message)
    text = terminated.message.strip()
    was_told_to_end = _was_told_to_end(pod, terminated)
    if terminated.exit_code == 0:
        if text:
            return _parse(text, _share(pod))
        return None if was_told_to_end else StorableResponse("done")
    return None if was_told_to_end else _error(text)


def succeeds_unless_told_to_end(pod: Pod) -> bool:
    """Tell whether the end of this pod means done, unless it was told to end: an exit code of 0 and no word."""
    terminated = pod.task.terminated
    return pod.reports_by_message and terminated is not None and terminated.exit_code == 0 and is_silent(pod)


def is_silent(pod: Pod) -> bool:
    """Tell whether nothing but an exit code is left of what the container may have said."""
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
    """Return that an answer is not understood because it is of a later version of the protocol, if it is."""
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
                f"the termination message was cut at {share} bytes; keep large state in a store of its own and pass a "
                "reference, or set spec.reporting to API",
                "AnswerCut",
            )
        return refused(
            f"the termination message is no answer ({error}): {limits.cut(text, _QUOTED_CHARACTERS)!r}; write JSON "
            'such as {"status":"done","output":{}}, or nothing',
            "InvalidAnswer",
        )
    return _with_error(response) if response.status == "error" else response


def _with_error(response: StorableResponse) -> StorableResponse:
    error = response.error or StorableError(response.message or "Task failed.")
    return msgspec.structs.replace(response, error=error)


def _error(text: str) -> StorableResponse | None:
    """Return the error that a failed container has described itself. A non-zero exit code never means anything else."""
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
    """Return the error that stands in the place of an answer which cannot be taken."""
    return StorableResponse("error", error=StorableError(limits.cut(message, limits.MESSAGE_LENGTH), code))


def carried_on(response: StorableResponse, input: dict[str, Any], output: dict[str, Any] | None) -> StorableResponse:
    """Return `response` with the state that the iteration began with: input merged, as with the SDK, and output kept.

    Args:
        response: what the pod has answered.
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


def _was_told_to_end(pod: Pod, terminated: ContainerTerminated) -> bool:
    """Whether SIGTERM may be why the container ended: then its exit code alone says nothing about the work."""
    # A pod with a reason was ended by its kubelet: DeadlineExceeded, Evicted, NodeShutdown and the like.
    if pod.metadata.annotations.ending_since is not None or pod.status.reason:
        return True
    return failures.disruption_of(pod) is not None
