"""Patches for the API server in memory. Pure: nothing is changed in place; unchanged parts are shared."""

from typing import Any, Final

from podrelay.kube.errors import ApiError, InvalidError

_MERGE_KEYS: Final = {"ownerReferences": "uid"}
"""The merge key of each list that a strategic merge patch merges."""


def merged(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return `value` with a JSON merge patch (RFC 7396) applied."""
    result = dict(value)
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        elif isinstance(change, dict):
            before = result.get(key)
            result[key] = merged(before if isinstance(before, dict) else {}, change)
        else:
            result[key] = change
    return result


def strategically_merged(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return `value` with a strategic merge patch applied, which merges lists by the keys of their items.

    Raises:
        ApiError: 415, the patch has a list that is not supported.
    """
    result = merged(value, {key: change for key, change in patch.items() if not isinstance(change, dict | list)})
    for key, change in patch.items():
        if isinstance(change, dict):
            before = result.get(key)
            result[key] = strategically_merged(before if isinstance(before, dict) else {}, change)
        elif isinstance(change, list):
            if key not in _MERGE_KEYS:
                raise ApiError(415, "UnsupportedMediaType", f"a strategic merge patch of {key} is not possible here")
            result[key] = _merged_items(result.get(key) or [], change, _MERGE_KEYS[key])
    return result


def patched(value: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `value` with a JSON patch (RFC 6902) applied: add, replace and remove of members, and additions to lists.

    Raises:
        InvalidError: a step cannot be applied.
    """
    for step in steps:
        path = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        value = _stepped(value, path, step)
    return value


def _merged_items(before: list[dict[str, Any]], items: list[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    found = {item[by]: item for item in before}
    for item in items:
        found[item[by]] = merged(found.get(item[by], {}), item)
    return list(found.values())


def _stepped(place: Any, path: list[str], step: dict[str, Any]) -> Any:
    """Return `place` with one step applied at `path`."""
    first, *others = path
    if isinstance(place, list) and first == "-" and not others and step["op"] == "add":
        return [*place, step["value"]]
    is_needed = bool(others) or step["op"] != "add"
    if not isinstance(place, dict) or (is_needed and first not in place):
        raise InvalidError(422, "Invalid", f"the patch does not fit: there is no {step['path']}")
    if not others and step["op"] == "remove":
        return {key: item for key, item in place.items() if key != first}
    return {**place, first: _stepped(place[first], others, step) if others else step["value"]}
