"""Parses the class variable `self_cleanup`: the outcomes after which a run is deleted with its descendants."""

from collections.abc import Sequence
from typing import Any, Final

from podrelay.sdk.errors import DefinitionError

_OUTCOMES: Final = ("OnSuccess", "OnError", "OnAbort")
_MEANINGS: Final = {
    "always": _OUTCOMES,
    "never": (),
    **{outcome: (outcome,) for outcome in _OUTCOMES},
    **{outcome[0].lower() + outcome[1:]: (outcome,) for outcome in _OUTCOMES},
}


def outcomes(value: "str | Sequence[str] | None", task: str) -> list[str]:
    """Return the outcomes as the TaskDefinition resource spells them, each once.

    Args:
        value: "always", "never", "onSuccess", "onError" or "onAbort" (as Webiny writes them, or with a capital), or
            several of them; None means never.
        task: id of the task, for the message.

    Raises:
        DefinitionError: `value` is not one of these.
    """
    wanted: Sequence[Any] = [] if value is None else [value] if isinstance(value, str) else value
    unknown = [word for word in wanted if not isinstance(word, str) or word not in _MEANINGS]
    if unknown:
        raise DefinitionError(f"Task {task}: self_cleanup has {unknown[0]!r}; there are: {', '.join(_MEANINGS)}")
    chosen = {outcome for word in wanted for outcome in _MEANINGS[word]}
    return [outcome for outcome in _OUTCOMES if outcome in chosen]
