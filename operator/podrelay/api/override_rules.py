"""Which overrides of a run its definition allows, and what they must look like. Standard library only.

The policy podrelay-overrides, the task service, the gateway and the operator apply the same rule: each field of
spec.overrides must be named by spec.allowOverrides of the definition, and each environment variable by `env` or
`env.NAME`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

NAME_LENGTH: Final = 253
"""Maximum length of the name of an environment variable."""
VARIABLE: Final = r"^[A-Za-z_][-A-Za-z0-9_.]*$"
QUANTITY: Final = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
RESERVED: Final = ("PODRELAY_", "KUBERNETES_")
"""Prefixes of variables that say where and what the runner is."""
RESERVED_MESSAGE: Final = "names that begin with PODRELAY_ or KUBERNETES_ are reserved"

_TIMEOUTS: Final = (
    "iterationTimeoutSeconds",
    "pendingTimeoutSeconds",
    "abortGracePeriodSeconds",
    "heartbeatTimeoutSeconds",
)
_RETRY: Final = ("limit", "initialSeconds", "factor", "maxSeconds", "on")
_FIELDS: Final[Mapping[str, tuple[type | tuple[type, ...], tuple[str, ...]]]] = {
    "resources": (Mapping, ("requests", "limits")),
    "env": (list, ("name", "value")),
    "nodeSelector": (Mapping, ()),
    "tolerations": (list, ("key", "operator", "value", "effect", "tolerationSeconds")),
    "priorityClassName": (str, ()),
    "timeouts": (Mapping, _TIMEOUTS),
    "retry": (Mapping, _RETRY),
    "maxIterations": (int, ()),
}
"""The fields of spec.overrides: their type, and the fields of their object, or of each object of their list."""
NAMES: Final = tuple(_FIELDS)
ALLOWED: Final = "^(" + "|".join(name if name != "env" else rf"env(\.{VARIABLE[1:-1]})?" for name in NAMES) + ")$"
"""Pattern of an item of spec.allowOverrides."""


def problem_of(overrides: Any) -> str | None:
    """Return why a value cannot be spec.overrides, or None.

    The API server drops fields that it does not know, so a misspelt one would be ignored; it checks everything else.
    """
    if not isinstance(overrides, Mapping):
        return f"must be a JSON object with the fields of spec.overrides, not {type(overrides).__name__}"
    for name, value in overrides.items():
        if name not in _FIELDS:
            return f"has the unknown field {name!r}; there are {', '.join(NAMES)}"
        kind, fields = _FIELDS[name]
        if not isinstance(value, kind):
            return f"has a field {name} that is {_type_name(value)}; see kubectl explain taskrun.spec.overrides.{name}"
        for item in value if isinstance(value, list) else [value]:
            problem = _problem_of_item(item, fields) if fields else None
            if problem is not None:
                return f"has {problem} in {name}; there are {', '.join(fields)}"
    return None


def _problem_of_item(item: Any, fields: tuple[str, ...]) -> str | None:
    if not isinstance(item, Mapping):
        return f"{_type_name(item)} instead of an object"
    return next((f"the unknown field {field!r}" for field in item if field not in fields), None)


def _type_name(value: Any) -> str:
    words = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return words.get(type(value), "a number")


def not_allowed(overrides: Mapping[str, Any], allowed: Iterable[str]) -> list[str]:
    """Return the overrides that a definition does not allow, such as `resources` or `env.LOG_LEVEL`.

    Args:
        overrides: spec.overrides of a run, as JSON.
        allowed: spec.allowOverrides of the definition.
    """
    known = frozenset(allowed)
    return [name for name in _named(overrides) if name not in known and name.partition(".")[0] not in known]


def _named(overrides: Mapping[str, Any]) -> Iterator[str]:
    for field, value in overrides.items():
        if field == "env":
            yield from (f"env.{variable.get('name', '')}" for variable in value)
        else:
            yield field


def refusal(definition: str, overrides: Mapping[str, Any], allowed: Iterable[str]) -> str | None:
    """Return why a definition does not allow the overrides of a run; None if it does.

    Args:
        definition: name of the TaskDefinition.
        overrides: spec.overrides of the run, as JSON.
        allowed: its spec.allowOverrides.
    """
    allowed = tuple(allowed)
    refused = not_allowed(overrides, allowed)
    if not refused:
        return None
    permits = f"allows {', '.join(allowed)}" if allowed else "allows none"
    return (
        f"spec.overrides has {', '.join(refused)}, but TaskDefinition {definition} {permits}; "
        "its author can add them to spec.allowOverrides"
    )
