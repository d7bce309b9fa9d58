"""Which operator works with which runner. Standard library only, because both sides import it.

The images of tasks, with the runner in them, are used for years, while operators are upgraded. So each side states its
version of the protocol: the operator in an environment variable of the pod, the runner in its record and in its
termination message. A side that states none has version 1, from before there were versions. The rules (see also
docs/compatibility.md):

- The newer side knows how to work with the older one, or refuses to, before user code runs if possible.
- A variable, a field or an answer that an older version of the other side needs is not removed before `OLDEST_...`
  allows it. One that an older version cannot know of requires a new version.
- If the two are incompatible, the run gets the reason UnsupportedRunner and is not retried: each attempt would end in
  the same way.
"""

import json
from typing import Any, Final

VERSION: Final = 4
"""The version that this code implements. Since 2, both sides state their version; since 3, a runner whose pod was
created ahead waits until the status of its run names that pod; since 4, an answer can wait for signals, and names
those that it has consumed."""
AHEAD_SINCE: Final = 3
"""The oldest runner whose next pod may be created ahead."""
SIGNALS_SINCE: Final = 4
"""The oldest operator that a runner may ask to wait for signals; older ones would start the next iteration at once."""
OLDEST_RUNNER: Final = 1
"""The oldest runner that this operator works with."""
OLDEST_OPERATOR: Final = 1
"""The oldest operator that this runner works with."""

EXIT_UNSUPPORTED: Final = 76
"""Exit code of a runner that is incompatible with its operator (EX_PROTOCOL of sysexits.h); it ran no user code."""

UNSUPPORTED_RUNNER: Final = "UnsupportedRunner"

_MARK: Final = '{"unsupported":'
_WORDS_OF_VERSION_1: Final = "no pod of a TaskRun (variable "


def farewell(words: str) -> str:
    """Return the termination message of a runner that is incompatible with its operator."""
    return json.dumps({"unsupported": words, "protocol": VERSION}, ensure_ascii=False, separators=(",", ":"))


def words_of_farewell(message: str, exit_code: int) -> str | None:
    """Return why a runner was incompatible, or None if its container ended for another reason.

    A runner of version 1 that lacks a variable says so only in its log; the kubelet keeps the end of it.
    """
    if exit_code == EXIT_UNSUPPORTED and message.startswith(_MARK):
        try:
            content: Any = json.loads(message)
        except ValueError:
            return None
        return str(content.get("unsupported")) if isinstance(content, dict) else None
    if exit_code == 2 and _WORDS_OF_VERSION_1 in message:
        variable = message.partition(_WORDS_OF_VERSION_1)[2].partition(")")[0]
        return f"its runner of protocol version 1 lacks the variable {variable}"
    return None


def unsupported_operator(version: int, problem: str) -> str:
    """Return the message for a runner that does not work with its operator.

    Args:
        version: the protocol version of the operator.
        problem: why the runner does not work with it.
    """
    return (
        f"the runner in this image (version {VERSION} of Podrelay's protocol) does not work with its operator (version "
        f"{version}): {problem}; upgrade the operator, or rebuild the image with the podrelay package of the "
        "operator's version"
    )


def is_too_old(version: int) -> bool:
    """Return whether a runner of this version is too old for this operator."""
    return version < OLDEST_RUNNER


def too_old_runner(image: str) -> str:
    """Return the message for a runner that is too old for this operator; `image` may be empty if it is not known."""
    return (
        f"the runner{_in(image)} speaks a version of Podrelay's protocol before {OLDEST_RUNNER}, which this operator "
        f"(version {VERSION}) does not work with; rebuild the image with the podrelay package of the operator's version"
    )


def unknown_answer(status: str, version: int, image: str) -> str:
    """Return the message for an answer that this operator does not know."""
    return (
        f'the answer "{status}" of the runner{_in(image)} (version {version} of Podrelay\'s protocol) is unknown to '
        f"this operator (version {VERSION}); upgrade the operator, or rebuild the image with the podrelay package of "
        "its version"
    )


def _in(image: str) -> str:
    return f" in image {image}" if image else ""
