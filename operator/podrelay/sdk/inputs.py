"""Finds the type of a task's input, and parses JSON into it."""

import json
import sys
import typing
from types import SimpleNamespace
from typing import Any

from podrelay.sdk.errors import DefinitionError, InputError


def input_type(definition: type) -> type | None:
    """Return the pydantic model that `run` annotates its input with, or None for a plain dict.

    Raises:
        DefinitionError: the annotation is a string that cannot be resolved.
    """
    if "pydantic" not in sys.modules:
        return None  # without pydantic there are no models
    annotation = annotation_of(definition)
    return annotation if is_model(annotation) else None


def is_model(kind: Any) -> bool:
    """Return whether `kind` is a pydantic model class."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def annotation_of(definition: type) -> Any:
    """Return the annotation of the input in `run`, or None.

    Raises:
        DefinitionError: the annotation is a string that cannot be resolved.
    """
    run = definition.run  # type: ignore[attr-defined]
    while hasattr(run, "__wrapped__"):  # by a decorator with functools.wraps
        run = run.__wrapped__
    code = getattr(run, "__code__", None)
    if code is None:
        return None  # another kind of callable
    parameters = code.co_varnames[1 : code.co_argcount]
    annotation = run.__annotations__.get(parameters[0]) if parameters else None
    if isinstance(annotation, str):
        # Resolve only this annotation: the others may use names that are imported for type checkers only.
        alone = SimpleNamespace(__annotations__={"input": annotation})
        try:
            annotation = typing.get_type_hints(alone, run.__globals__)["input"]
        except Exception as error:
            raise DefinitionError(
                f"the type {annotation} of the input of {definition.__name__}.run cannot be resolved, "
                f"{error}; it must be importable at run time, at the top of its module"
            ) from error
    return annotation


def parse(kind: type | None, value: dict[str, Any]) -> Any:
    """Return `value` as an instance of `kind`, or unchanged if `kind` is None.

    Raises:
        InputError: `value` is invalid; the error names every invalid field.
    """
    if kind is None:
        return value
    from pydantic import ValidationError  # noqa: PLC0415 - already loaded, because the task uses it

    try:
        # Validate as JSON: otherwise strict models would reject a str for a datetime, or a list for a set.
        return kind.model_validate_json(json.dumps(value))  # type: ignore[attr-defined]
    except ValidationError as error:
        raise InputError("Validation failed.", {"invalidFields": _fields(error)}) from error


def _fields(error: Any) -> dict[str, Any]:
    return {
        ".".join(map(str, item["loc"])): {
            "code": item["type"],
            "message": item["msg"],
            "data": {"path": [str(part) for part in item["loc"]]},
        }
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    }
