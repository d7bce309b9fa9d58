"""Which operator works with which runner. Standard library only: both sides import it.

The images of tasks live for years, and their runner with them; operators are upgraded. So each side tells its version
of the protocol: the operator by a variable of the pod, the runner in its record and in its termination message. Who
tells none is of version 1, from before there were versions. The rules (docs/compatibility.md is for people):

- Whoever is newer knows how to work with the older one, or refuses to, before user code runs if it can.
- A variable, a field or an answer that the other side of an older version cannot do without is not taken away before
  `OLDEST_...` says so, and one that it cannot know of makes a new version.
- Where two do not fit, the run says so with the reason UnsupportedRunner, and no try is repeated: it would end alike.
"""

import json
from typing import Any, Final

VERSION: Final = 2
"""What this code speaks. 2 tells versions; all else is as in 1."""
OLDEST_RUNNER: Final = 1
"""The oldest runner that this operator works with."""
OLDEST_OPERATOR: Final = 1
"""The oldest operator that this runner works with."""

EXIT_UNSUPPORTED: Final = 76
"""Exit code of a runner that does not fit its operator (EX_PROTOCOL of sysexits.h): it has not run user code."""

UNSUPPORTED_RUNNER: Final = "UnsupportedRunner"

_MARK: Final = '{"unsupported":'
_WORDS_OF_VERSION_1: Final = "this is no pod of a TaskRun (variable "


def farewell(words: str) -> str:
    """Return the termination message of a runner that does not fit its operator."""
    return json.dumps({"unsupported": words, "protocol": VERSION}, ensure_ascii=False, separators=(",", ":"))


def words_of_farewell(message: str, exit_code: int) -> str | None:
    """Return why a runner did not fit, or None if its container ended otherwise.

    A runner of version 1 that lacks a variable says so in its log only, of which the kubelet keeps the end.
    """
    if exit_code == EXIT_UNSUPPORTED and message.startswith(_MARK):
        try:
            told: Any = json.loads(message)
        except ValueError:
            return None
        return str(told.get("unsupported")) if isinstance(told, dict) else None
    if exit_code == 2 and _WORDS_OF_VERSION_1 in message:
        return f"its runner of protocol version 1 lacks the variable {_quoted(message)}"
    return None


def unsupported_operator(version: int, problem: str) -> str:
    """Return in words that a runner does not work with its operator.

    Args:
        version: what the operator tells.
        problem: what is wrong with it.
    """
    return (
        f"the runner in this image (version {VERSION} of Podrelay's protocol) does not work with its operator (version "
        f"{version}): {problem}; upgrade the operator, or rebuild the image with the podrelay package of the "
        "operator's version"
    )


def is_too_old(version: int) -> bool:
    """Tell whether this operator does not work with the runner whose record tells this version."""
    return version < OLDEST_RUNNER


def too_old_runner(image: str) -> str:
    """Return in words that the runner in `image` (as far as it is known) is too old for this operator."""
    return (
        f"the runner{_in(image)} speaks a version of Podrelay's protocol before {OLDEST_RUNNER}, which this operator "
        f"(version {VERSION}) does not work with; rebuild the image with the podrelay package of the operator's version"
    )


def unknown_answer(status: str, version: int, image: str) -> str:
    """Return in words that this operator does not know an answer."""
    return (
        f'the answer "{status}" of the runner{_in(image)} (version {version} of Podrelay\'s protocol) is unknown to '
        f"this operator (version {VERSION}); upgrade the operator, or rebuild the image with the podrelay package of "
        "its version"
    )


def _in(image: str) -> str:
    return f" in image {image}" if image else ""


def _quoted(message: str) -> str:
    return message.partition(_WORDS_OF_VERSION_1)[2].partition(")")[0]
