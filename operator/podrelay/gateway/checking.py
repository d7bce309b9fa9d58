"""Holds the input of a run to the inputSchema of its definition, before the run is created.

The operator does so anyway. Here it is done so that a form can say at once which field is wrong; whatever keeps it from
being told here, and soon, is left to the operator.
"""

import asyncio
import logging
from typing import Any, Final

from podrelay.gateway.call import Call
from podrelay.gateway.errors import GatewayError, InvalidInputError
from podrelay.gateway.objects import Definition
from podrelay.gateway.payloads import fetch
from podrelay.kube.resources import TASK_DEFINITIONS
from podrelay.schemas.process import SchemaProcessError

log = logging.getLogger(__name__)

_SECONDS: Final = 3.0
"""How long a caller waits for it; each check takes at most one, and others may come first."""


async def check_input(call: Call, definition: Definition, input: dict[str, Any] | None) -> None:
    """Return if the input fits, or if that cannot be told here.

    Raises:
        InvalidInputError: it does not fit.
    """
    if definition.spec.input_schema is None:
        return
    try:
        stored = await fetch(call, TASK_DEFINITIONS, definition.key)
    except GatewayError:
        return  # they may start it, but not read it
    schema = stored.get("spec", {}).get("inputSchema")
    if schema is None:
        return
    try:
        async with asyncio.timeout(_SECONDS):
            verdict = await call.services.checker.check(schema, input or {})
    except TimeoutError:
        return
    except (SchemaProcessError, OSError) as error:
        log.warning("inputs cannot be checked here: %s", error)
        return
    if verdict.problem is None and verdict.fields:
        raise InvalidInputError(verdict.fields)
