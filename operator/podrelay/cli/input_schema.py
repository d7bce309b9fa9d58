"""The JSON Schema of a task's input, derived from its class."""

import contextlib
import sys
from typing import Any

from podrelay.sdk import inputs, validation
from podrelay.sdk.definition import TaskDefinition


def of(definition: type[TaskDefinition]) -> dict[str, Any] | None:
    """Return the schema of all models that an input of `definition` must match, or None if there are none.

    create_input_validation may need something that exists only in the cluster. If it fails here, a warning on stderr
    says so, and the schema omits its models: the pod validates the input anyway.

    Raises:
        DefinitionError: the type of the input of `run` cannot be resolved.
    """
    annotated = inputs.input_type(definition)
    models: tuple[type, ...] = () if annotated is None else (annotated,)
    if definition.create_input_validation is not TaskDefinition.create_input_validation:
        models = _all_models(definition, models)
    if not models:
        return None
    if len(models) == 1:
        schema: dict[str, Any] = models[0].model_json_schema(by_alias=True)  # type: ignore[attr-defined]
        return schema
    from pydantic.json_schema import models_json_schema  # noqa: PLC0415 - only if there are models

    references, definitions = models_json_schema([(model, "validation") for model in models], by_alias=True)
    return {"allOf": list(references.values()), **definitions}


def _all_models(definition: type[TaskDefinition], fallback: tuple[type, ...]) -> tuple[type, ...]:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # its output does not belong to the manifest
            return validation.rules_of(definition()).models
    except Exception as error:  # noqa: BLE001 - an author's code may raise anything
        problem = f"create_input_validation failed ({type(error).__name__}: {error})"
        print(f"podrelay manifests: {definition.id}: {problem}; inputSchema omits it", file=sys.stderr)
        return fallback
