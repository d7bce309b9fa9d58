"""Check the overrides of a run against its definition, before the run is created.

The policy podrelay-overrides and the operator check them as well. The gateway does so to say what is wrong even if the
policy is not installed.
"""

from typing import Any

from podrelay.api import override_rules
from podrelay.gateway.call import Call
from podrelay.gateway.errors import GatewayError, ValidationError
from podrelay.gateway.objects import Definition
from podrelay.gateway.payloads import fetch
from podrelay.kube.resources import TASK_DEFINITIONS


async def check_overrides(call: Call, definition: Definition, overrides: dict[str, Any] | None) -> None:
    """Return if the definition allows the overrides, or if that cannot be checked here.

    Raises:
        ValidationError: it does not allow one of them.
    """
    if not overrides or _refusal(definition, overrides, definition.spec.allow_overrides) is None:
        return
    try:
        stored = await fetch(call, TASK_DEFINITIONS, definition.key)  # it may be newer than the cache
    except GatewayError:
        return  # the caller may start the task without the right to read its definition
    if not stored:
        return
    refusal = _refusal(definition, overrides, stored["spec"].get("allowOverrides") or ())
    if refusal is not None:
        raise ValidationError(f"{refusal}.", "overrides")


def _refusal(definition: Definition, overrides: dict[str, Any], allowed: Any) -> str | None:
    return override_rules.refusal(definition.metadata.name, overrides, allowed)
