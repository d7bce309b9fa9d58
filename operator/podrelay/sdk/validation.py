"""Validates a task's input against the rules of its author, and fills in defaults.

There are two sources of rules: the pydantic model that the input of `run` is annotated with, and the result of
`create_input_validation`. Both apply to the input of every iteration, and to every change of it.
"""

import warnings
from typing import Any, Protocol

from podrelay.sdk import inputs
from podrelay.sdk.calling import call
from podrelay.sdk.errors import DefinitionError, InputError


class Validated(Protocol):
    """The part of a task that this module needs."""

    def create_input_validation(self) -> Any:
        """Return a pydantic model class, a dict of fields, or None; or an awaitable that returns one of them."""


class InputRules:
    """The rules of a task for its input.

    Args:
        annotated: the model that `run` is annotated with; None for a plain dict.
        required: a further model that the input must match, or None.
    """

    def __init__(self, annotated: type | None = None, required: type | None = None) -> None:
        self._annotated = annotated
        self.models = tuple(model for model in (required, annotated) if model is not None)
        """All models, in the order in which they are applied."""

    def check(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return `value` in the form to store: as parsed, with defaults, and with the keys that no model knows.

        Raises:
            InputError: `value` violates the rules; the error names every invalid field.
        """
        invalid: dict[str, Any] = {}
        for model in self.models:
            try:
                value = _applied(model, value)
            except InputError as error:
                invalid |= error.data["invalidFields"]
        if invalid:
            raise InputError("Validation failed.", {"invalidFields": invalid})
        return value

    def merge(self, value: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        """Return `changes` merged over `value`, one level deep, in the form to store.

        Raises:
            InputError: as for `check`.
        """
        for model in self.models:
            changes = _by_alias(model, changes)
        return self.check({**value, **changes})

    def typed(self, value: dict[str, Any]) -> Any:
        """Return `value` as the argument of `run`: an instance of its model, or a dict.

        Raises:
            InputError: `value` is invalid.
        """
        return inputs.parse(self._annotated, value)


NO_RULES = InputRules()


def rules_of(task: Validated) -> InputRules:
    """Return the rules of `task` for its input.

    Raises:
        DefinitionError: the rules of the task are invalid.
    """
    return InputRules(inputs.input_type(type(task)), _model_of(call(task.create_input_validation)))


def _model_of(wanted: Any) -> type | None:
    if wanted is None:
        return None
    import pydantic  # noqa: PLC0415 - only tasks that use it load it

    if isinstance(wanted, type) and issubclass(wanted, pydantic.BaseModel):
        return wanted
    if not isinstance(wanted, dict):
        raise DefinitionError(
            "create_input_validation must return a pydantic model class, a dict of field name to type or "
            f"(type, default), or None, not {(wanted if isinstance(wanted, type) else type(wanted)).__name__}"
        )
    if any(str(name).startswith("_") for name in wanted):
        raise DefinitionError("create_input_validation returned a field whose name begins with _; use a model's alias")
    fields: dict[str, Any] = {name: kind if isinstance(kind, tuple) else (kind, ...) for name, kind in wanted.items()}
    try:
        with warnings.catch_warnings():
            # A field may be named `copy` or `json`: these methods of the model are not used here.
            warnings.simplefilter("ignore", UserWarning)
            model: type = pydantic.create_model("Input", **fields)
    except Exception as error:
        raise DefinitionError(f"create_input_validation returned fields that cannot be used: {error}") from error
    return model


def _applied(model: Any, value: dict[str, Any]) -> dict[str, Any]:
    """Return the form of `value` to store, so that parsing it again with `model` gives the same result.

    A model's output is not always valid as its input: secrets are masked, and validators may change a value again. If
    the stored form would be parsed differently, `value` is kept as given.
    """
    value = _by_alias(model, value)
    parsed = inputs.parse(model, value)
    try:
        written = parsed.model_dump(mode="json", by_alias=True, round_trip=True, warnings=False)
    except ValueError:
        return value
    for candidate in (_over(value, written, parsed), {**written, **value}):
        if _reads(model, candidate, parsed):
            return candidate
    return value


def _reads(model: Any, candidate: dict[str, Any], expected: Any) -> bool:
    try:
        return bool(inputs.parse(model, candidate) == expected)
    except InputError:
        return False


def _over(given: Any, written: Any, parsed: Any) -> Any:
    """Return `written`, with the keys of `given` that its models do not know."""
    fields = getattr(type(parsed), "model_fields", None)
    if fields is not None and isinstance(given, dict) and isinstance(written, dict):
        known = {(field.serialization_alias or name): getattr(parsed, name) for name, field in fields.items()}
        inner = {key: _over(given.get(key), written[key], item) for key, item in known.items() if key in written}
        return {**given, **written, **inner}
    is_list = isinstance(given, list) and isinstance(written, list) and isinstance(parsed, list | tuple)
    if is_list and len(given) == len(written) == len(parsed):
        return [_over(*items) for items in zip(given, written, parsed, strict=True)]
    return written


def _by_alias(model: Any, value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` with field names replaced by their aliases if the model accepts both.

    Otherwise a change under one name would be hidden by a value that is stored under the other.
    """
    if not (model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")):
        return value
    aliases = {name: field.alias for name, field in model.model_fields.items() if field.alias}
    return {(aliases[key] if aliases.get(key, key) not in value else key): item for key, item in value.items()}
