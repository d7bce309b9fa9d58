"""Validate the input of a run against the inputSchema of its definition, before the run is created.

The operator validates it as well. The gateway does so that a form can show at once which fields are invalid; if the
check fails or takes too long here, it is left to the operator.
"""

import asyncio
import logging
from typing import Any, Final

from podrelay.gateway.call import Call
from podrelay.gateway.errors import GatewayError, InvalidInputError
from podrelay.gateway.objects import Definition
from podrelay.gateway.payloads import Object, fetch
from podrelay.kube.resources import TASK_DEFINITIONS
from podrelay.schemas.process import SchemaProcessError
from podrelay.schemas.verdict import Verdict

log = logging.getLogger(__name__)

_SECONDS: Final = 3.0
"""How long a caller waits for the check, which takes at most one second; others may be queued before it."""


async def check_input(call: Call, definition: Definition, input: dict[str, Any] | None) -> None:
    """Return if the input is valid, or if it cannot be checked here.

    Raises:
        InvalidInputError: the input is invalid.
    """
    if definition.spec.input_schema is None:
        return
    try:
        stored = await fetch(call, TASK_DEFINITIONS, definition.key)
    except GatewayError:
        return  # the caller may start the task without the right to read its definition
    verdict = await _verdict(call, stored, input)
    if verdict is not None and verdict.problem is None and verdict.fields:
        raise InvalidInputError(verdict.fields)


async def invalid_fields(
    call: Call, definition: Definition, input: dict[str, Any] | None
) -> tuple[dict[str, Any], str | None]:
    """Return the invalid fields of an input, and why it could not be checked; None: it was checked.

    Raises:
        GatewayError: the caller may not read the definition, or it cannot be read.
    """
    stored = await fetch(call, TASK_DEFINITIONS, definition.key)
    if stored.get("spec", {}).get("inputSchema") is None:
        return {}, None
    verdict = await _verdict(call, stored, input)
    if verdict is None:
        return {}, "The check takes too long at the moment; the operator checks the input of each task, too."
    return (verdict.fields, None) if verdict.problem is None else ({}, verdict.problem)


async def _verdict(call: Call, stored: Object, input: dict[str, Any] | None) -> Verdict | None:
    """Return the result of the check; None if it failed or took too long, or if there is no schema."""
    return await verdict(call, stored.get("spec", {}).get("inputSchema"), input)


async def verdict(call: Call, schema: dict[str, Any] | None, value: dict[str, Any] | None) -> Verdict | None:
    """Return the result of a check against a schema; None if it failed or took too long, or if there is no schema."""
    if schema is None:
        return None
    try:
        async with asyncio.timeout(_SECONDS):
            return await call.services.checker.check(schema, value or {})
    except TimeoutError:
        return None
    except (SchemaProcessError, OSError) as error:
        log.warning("cannot validate inputs: %s", error)
        return None
