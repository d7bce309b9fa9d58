"""Which type a task's input has, and how to make one from JSON."""

import sys
import typing
from typing import Any

from podrelay.sdk.errors import InputError


def input_type(definition: type) -> type | None:
    """Return the pydantic model that `run` annotates its input with, or None for a plain dict."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return None  # a model could not have been written without it
    run = definition.run  # type: ignore[attr-defined]
    parameters = run.__code__.co_varnames[1 : run.__code__.co_argcount]
    annotation = run.__annotations__.get(parameters[0]) if parameters else None
    if isinstance(annotation, str):
        annotation = typing.get_type_hints(run).get(parameters[0])
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    return None


def parse(kind: type | None, value: dict[str, Any]) -> Any:
    """Return `value` as an instance of `kind`, or as it is where there is none.

    Raises:
        InputError: it does not fit; the error names every field.
    """
    if kind is None:
        return value
    from pydantic import ValidationError  # noqa: PLC0415 - the task uses it, so it is loaded already

    try:
        return kind.model_validate(value)  # type: ignore[attr-defined]
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
