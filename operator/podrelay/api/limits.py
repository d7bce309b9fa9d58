"""Limits that CRDs, runner, operator and gateway share. Standard library only.

The size of a payload is that of its compact JSON in UTF-8, as it is sent.
"""

import json
import math
from collections.abc import Iterator
from typing import Any, Final

KIB: Final = 1024

PAYLOAD_BYTES: Final = 256 * KIB
"""Maximum size of input, output and error data, each. Webiny's orchestrator stops at 232 KiB, etcd near 1400 KiB."""
STATUS_OUTPUT_BYTES: Final = 32 * KIB
"""An output up to this size is copied into the status of the TaskRun; a larger one stays in its record."""
TERMINATION_MESSAGE_BYTES: Final = 4096
"""The kubelet truncates longer termination messages (MaxContainerTerminationMessageLength, pkg/kubelet/container)."""
POD_TERMINATION_MESSAGES_BYTES: Final = 12 * KIB
"""Total of all messages of a pod; each container gets an equal share (MaxPodTerminationMessageLogLength)."""
ENVIRONMENT_INPUT_BYTES: Final = 100 * KIB
"""Maximum size of an input in an environment variable: Linux limits each string there to 128 KiB (MAX_ARG_STRLEN)."""
CONSOLE_BYTES: Final = 16 * KIB
"""How much of the end of a pod's output its record keeps."""
MAX_WAIT_SECONDS: Final = 30_672_000
"""355 days, the longest delay and the longest wait between two iterations (as in Webiny)."""
RUN_NAME_LENGTH: Final = 50
SCHEDULE_NAME_LENGTH: Final = 33
"""The names of its runs have 17 more characters: `-20260328t013000z`."""
SHORTEST_EVERY_SECONDS: Final = 10
"""The shortest interval of a schedule. A run takes a pod, so shorter ones would overlap."""
SCHEDULE_ACTIVE_RUNS: Final = 1000
"""A schedule starts no further run while so many of its runs are unfinished."""
SCHEDULE_BUFFER: Final = 1000
SIGNAL_BYTES: Final = 64 * KIB
"""Maximum size of the payload of a signal."""
SIGNALS_AT_ONCE: Final = 100
"""An iteration is given so many signals at most; the rest waits for the next iteration that asks for them."""
SIGNALS_BYTES: Final = 256 * KIB
"""Maximum size of the payloads that an iteration is given, together."""
SIGNAL_NAMES: Final = 20
"""A wait names so many signals at most."""
SIGNAL_GROUPS: Final = 100
"""A signal names so many groups of its sender at most."""
APPROVERS: Final = 20
"""Most decisions that an approval can require."""
MESSAGE_LENGTH: Final = 4096
"""Maximum length of the messages of answers, errors and aborts."""
RECENT_MESSAGE_LENGTH: Final = 256
HOOK_MESSAGE_LENGTH: Final = 1024
RECENT_ITERATIONS: Final = 10
IMAGE_LENGTH: Final = 1024
MAX_ITERATIONS: Final = 10_000
MAX_DEPTH: Final = 200
"""Maximum nesting of a payload; parsers of other languages fail soon after."""
SAFE_INTEGER: Final = 2**63 - 1
"""The API server stores integers in 64 bits; larger ones would lose digits."""

_PATH_ENDS: Final = 100


class PayloadError(ValueError):
    """A payload that cannot be stored without loss. The message names the value, its path and the limit."""


def check_payload(value: Any, what: str) -> bytes:
    """Return `value` as compact JSON, or raise an error that says exactly why it cannot be stored.

    Args:
        value: a value from a task or a user; must be a JSON object.
        what: its name in messages, for example `output`.

    Raises:
        PayloadError: not an object, not JSON, a number that JSON or 64 bits cannot hold, or more than 256 KiB.
    """
    if not isinstance(value, dict):
        raise PayloadError(f"{what} must be a JSON object, not {type(value).__name__}")
    for path, problem in _problems(value, what):
        raise PayloadError(f"{_shorten_path(path)}: {problem}")
    try:
        data = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(f"{what} is not JSON: {error}") from error
    if len(data) > PAYLOAD_BYTES:
        raise PayloadError(
            f"{what} has {len(data)} bytes as JSON, the limit is {PAYLOAD_BYTES}; "
            "keep large data in separate storage and pass a reference"
        )
    return data


def _problems(value: Any, path: str) -> Iterator[tuple[str, str]]:
    # An explicit stack, so that a payload nested deeper than Python's recursion limit gets a clear message.
    stack = [(value, path, 0)]
    while stack:
        item, where, depth = stack.pop()
        if depth > MAX_DEPTH:
            yield where, f"nested more than {MAX_DEPTH} levels deep"
        elif isinstance(item, dict):
            for key, child in item.items():
                problem = _problem_of_key(key)
                if problem:
                    yield where, problem
                stack.append((child, f"{where}.{key}", depth + 1))
        elif isinstance(item, list | tuple):
            stack.extend((child, f"{where}[{index}]", depth + 1) for index, child in enumerate(item))
        elif problem := _problem_of_scalar(item):
            yield where, problem


def _problem_of_key(key: Any) -> str | None:
    if not isinstance(key, str):
        return f"the key {key!r} is {type(key).__name__}, JSON keys are strings"
    return None if _is_unicode(key) else "a key with a lone surrogate, which UTF-8 cannot hold"


def _problem_of_scalar(item: Any) -> str | None:
    if item is None or isinstance(item, bool):
        return None
    if isinstance(item, str):
        return None if _is_unicode(item) else "a string with a lone surrogate, which UTF-8 cannot hold"
    if isinstance(item, int):
        fits = -SAFE_INTEGER - 1 <= item <= SAFE_INTEGER
        return None if fits else f"the integer {_shorten(item)} needs more than 64 bits; send it as a string"
    if isinstance(item, float):
        return None if math.isfinite(item) else f"{item} is not a JSON number; send null or a string"
    return f"{type(item).__name__} is not a JSON type"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shorten_path(path: str) -> str:
    return path if len(path) <= 2 * _PATH_ENDS else f"{path[:_PATH_ENDS]}…{path[-_PATH_ENDS:]}"


def _shorten(number: int) -> str:
    if number.bit_length() > 200:
        return f"of {number.bit_length()} bits"
    return str(number)


def too_large_for_environment(size: int) -> str:
    """Return the message for an input that is too large for a pod that reports by termination message."""
    return (
        f"the input has {size} bytes as JSON, with reporting TerminationMessage the limit is "
        f"{ENVIRONMENT_INPUT_BYTES}; keep large data in separate storage and pass a reference, or set "
        "spec.reporting to API"
    )


def cut(text: str, length: int) -> str:
    """Return `text`; if it is longer than `length` characters, cut to that length with an ellipsis at the end."""
    return text if len(text) <= length else text[: length - 1] + "…"
