"""Settings of a namespace: a ConfigMap, read and written with the caller's token."""

from typing import Any, Final

import msgspec

from podrelay.api.settings import CONFIG_MAP, MAX_RETENTION_DAYS, RETENTION_DAYS, RetentionError, parse_retention_days
from podrelay.gateway.call import Call
from podrelay.gateway.errors import API_FAILURES, ValidationError, from_api
from podrelay.kube.api import APPLY_PATCH
from podrelay.kube.errors import NotFoundError
from podrelay.kube.resources import CONFIG_MAPS

_FIELD_MANAGER: Final = "podrelay-gateway"


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] = {}


async def retention_days(call: Call) -> int:
    """Return for how many days finished runs of the namespace are kept; 0 means forever.

    Raises:
        GatewayError: the settings cannot be read.
    """
    namespace, default = call.scope.one(), call.services.default_retention_days
    try:
        stored = await call.caller.client.get(CONFIG_MAPS, namespace, CONFIG_MAP)
    except NotFoundError:
        return default
    except API_FAILURES as error:
        raise from_api(error, f"read configmaps in namespace {namespace}") from error
    text = msgspec.json.decode(stored, type=_ConfigMap).data.get(RETENTION_DAYS)
    try:
        return default if text is None else parse_retention_days(text)
    except RetentionError:
        return 0  # like the operator, which logs what is wrong


async def set_retention_days(call: Call, days: int | None) -> int:
    """Store for how many days finished runs are kept (None: the default), and return the number.

    Raises:
        ValidationError: the number is not from 0 to 3650.
        GatewayError: the settings cannot be written.
    """
    if days is not None and not 0 <= days <= MAX_RETENTION_DAYS:
        raise ValidationError(f"{RETENTION_DAYS} must be from 0 to {MAX_RETENTION_DAYS}.", RETENTION_DAYS)
    namespace = call.scope.one()
    try:
        await (_unset(call, namespace) if days is None else _set(call, namespace, days))
    except API_FAILURES as error:
        raise from_api(error, f"write configmaps in namespace {namespace}") from error
    return call.services.default_retention_days if days is None else days


async def _set(call: Call, namespace: str, days: int) -> None:
    """Apply the ConfigMap: unlike a create request, RBAC can allow a server-side apply for a single name."""
    applied: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG_MAP}}
    applied["data"] = {RETENTION_DAYS: str(days)}
    await call.caller.client.request(
        "PATCH",
        CONFIG_MAPS.path(namespace, CONFIG_MAP),
        body=applied,
        params={"fieldManager": _FIELD_MANAGER, "force": "true"},
        content_type=APPLY_PATCH,
    )


async def _unset(call: Call, namespace: str) -> None:
    """Remove the value, whichever client has set it; applying without it would only remove the gateway's own value."""
    try:
        await call.caller.client.patch(CONFIG_MAPS, namespace, CONFIG_MAP, {"data": {RETENTION_DAYS: None}})
    except NotFoundError:
        return
