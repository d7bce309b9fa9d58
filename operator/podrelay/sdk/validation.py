"""Holds a task's input to what its author says about it, and fills in what is left out.

Two things say what an input must be: the pydantic model that `run` annotates its input with, and what
`create_input_validation` returns. Both hold for the input of every iteration, and for every change of it.
"""

import warnings
from typing import Any, Protocol

from podrelay.sdk import inputs
from podrelay.sdk.calling import call
from podrelay.sdk.errors import DefinitionError, InputError


class Validated(Protocol):
    """A task, as far as it matters here."""

    def create_input_validation(self) -> Any:
        """Return a pydantic model class, a dict of fields, or None; or something to await for one."""


class InputRules:
    """What a task says about its input.

    Args:
        annotated: the model that `run` wants, None for a plain dict.
        required: the model that the input must fit besides, if there is one.
    """

    def __init__(self, annotated: type | None = None, required: type | None = None) -> None:
        self._annotated = annotated
        self.models = tuple(model for model in (required, annotated) if model is not None)
        """All of them, in the order in which they are applied."""

    def check(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return `value` as it is to be stored: as it was read, with defaults; keys that no model knows stay.

        Raises:
            InputError: it breaks the rules; the error names every field.
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
        """Return `changes` merged over `value`, one level deep, as it is to be stored.

        Raises:
            InputError: as `check`.
        """
        for model in self.models:
            changes = _by_alias(model, changes)
        return self.check({**value, **changes})

    def typed(self, value: dict[str, Any]) -> Any:
        """Return `value` as `run` wants it: an instance of its model, or a dict.

        Raises:
            InputError: it does not fit.
        """
        return inputs.parse(self._annotated, value)


NO_RULES = InputRules()


def rules_of(task: Validated) -> InputRules:
    """Return what `task` says about its input.

    Raises:
        DefinitionError: it says something that cannot be understood.
    """
    return InputRules(inputs.input_type(type(task)), _model_of(call(task.create_input_validation)))


def _model_of(wanted: Any) -> type | None:
    if wanted is None:
        return None
    import pydantic  # noqa: PLC0415 - only tasks that use it pay for it

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
            # A field of an input may well be called `copy` or `json`; nobody calls these methods here.
            warnings.simplefilter("ignore", UserWarning)
            model: type = pydantic.create_model("Input", **fields)
    except Exception as error:
        raise DefinitionError(f"create_input_validation returned fields that cannot be used: {error}") from error
    return model


def _applied(model: Any, value: dict[str, Any]) -> dict[str, Any]:
    """Return what is to be stored for `value` so that `model` reads the same from it as it does now.

    A model need not write what it reads: secrets are masked, validators may change what they have changed before. What
    would be read differently the next time stays as it was given.
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
    """Return `written`, with the keys of `given` that the models in it do not know."""
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
    """Return `value` with the names of fields that have an alias replaced by it, where the model takes both.

    Otherwise a change by one name would not be seen behind a value that is stored by the other.
    """
    if not (model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")):
        return value
    aliases = {name: field.alias for name, field in model.model_fields.items() if field.alias}
    return {(aliases[key] if aliases.get(key, key) not in value else key): item for key, item in value.items()}
