"""Settings of a namespace: one small ConfigMap, read and written with the caller's token."""

from typing import Any, Final

import msgspec

from podrelay.gateway.call import Call
from podrelay.gateway.errors import API_FAILURES, ValidationError, from_api
from podrelay.kube.client import Resource
from podrelay.kube.errors import NotFoundError

CONFIG_MAP: Final = "podrelay-settings"
DEFAULT_RETENTION_DAYS: Final = 90
MAX_RETENTION_DAYS: Final = 3650

_CONFIG_MAPS: Final = Resource("", "v1", "configmaps")
_RETENTION: Final = "retentionDays"


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] = {}


async def retention_days(call: Call) -> int:
    """Return for how many days finished runs of the namespace are kept; 0: for ever.

    Raises:
        GatewayError: the settings cannot be read.
    """
    namespace = call.scope.one()
    try:
        stored = await call.caller.client.get(_CONFIG_MAPS, namespace, CONFIG_MAP)
    except NotFoundError:
        return DEFAULT_RETENTION_DAYS
    except API_FAILURES as error:
        raise from_api(error, f"read configmaps in namespace {namespace}") from error
    text = msgspec.json.decode(stored, type=_ConfigMap).data.get(_RETENTION, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= 4
    return int(text) if is_number and int(text) <= MAX_RETENTION_DAYS else DEFAULT_RETENTION_DAYS


async def set_retention_days(call: Call, days: int | None) -> int:
    """Store for how many days finished runs are kept, None for the default, and return it.

    Raises:
        ValidationError: it is not from 0 to 3650.
        GatewayError: the settings cannot be written.
    """
    if days is not None and not 0 <= days <= MAX_RETENTION_DAYS:
        raise ValidationError(f"retentionDays must be from 0 to {MAX_RETENTION_DAYS}.", _RETENTION)
    namespace = call.scope.one()
    data = {_RETENTION: None if days is None else str(days)}
    client = call.caller.client
    try:
        try:
            await client.patch(_CONFIG_MAPS, namespace, CONFIG_MAP, {"data": data})
        except NotFoundError:
            if days is not None:
                await client.create(_CONFIG_MAPS, namespace, _config_map(data))
    except API_FAILURES as error:
        raise from_api(error, f"write configmaps in namespace {namespace}") from error
    return DEFAULT_RETENTION_DAYS if days is None else days


def _config_map(data: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG_MAP}, "data": data}
