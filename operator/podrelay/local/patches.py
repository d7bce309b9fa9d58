"""The two kinds of patch that the API server in memory takes. Pure: a copy is changed, never what is given."""

import copy
from typing import Any

from podrelay.local.errors import RefusedError


def merged(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return `value` with a JSON merge patch (RFC 7396) applied."""
    result = copy.deepcopy(value)
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        elif isinstance(change, dict):
            before = result.get(key)
            result[key] = merged(before if isinstance(before, dict) else {}, change)
        else:
            result[key] = copy.deepcopy(change)
    return result


def patched(value: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `value` with a JSON patch (RFC 6902) applied: add, replace and remove of members of objects.

    Raises:
        RefusedError: a step does not fit.
    """
    result = copy.deepcopy(value)
    for step in steps:
        *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:])
        place = result
        try:
            for part in parents:
                place = place[part]
            if step["op"] != "add":
                del place[last]
        except (KeyError, TypeError) as error:
            raise RefusedError(422, "Invalid", f"the patch does not fit: there is no {step['path']}") from error
        if step["op"] != "remove":
            place[last] = copy.deepcopy(step["value"])
    return result
