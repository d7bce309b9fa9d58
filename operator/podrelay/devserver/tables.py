"""Tables of objects, which `kubectl get` prints: the printer columns of the CRDs, and those of pods and the others."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from podrelay.api import crd
from podrelay.api.crd import Column
from podrelay.kube.resources import EVENTS, PODS

Object = dict[str, Any]

_AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")
_OTHERS: Final[dict[str, tuple[Column, ...]]] = {
    PODS.plural: (Column("Status", ".status.phase"), _AGE, Column("Node", ".spec.nodeName", priority=1)),
    EVENTS.plural: (
        Column("Last Seen", ".lastTimestamp", "date"),
        Column("Type", ".type"),
        Column("Reason", ".reason"),
        Column("Object", ".involvedObject.name"),
        Column("Message", ".message"),
    ),
    "namespaces": (Column("Status", ".status.phase"), _AGE),
}
_COLUMNS: Final = {kind.plural: kind.columns for kind in crd.KINDS} | _OTHERS
_FILTER: Final = re.compile(r'(\w+)\[\?\(@\.(\w+)=="(\w+)"\)\]')
_PARTS: Final = re.compile(r"\.((?:\w+\[[^]]*\]|\w+))")


def is_wanted(accept: str) -> bool:
    """Return whether an Accept header asks for a table."""
    return "as=Table" in accept


def table(plural: str, items: Sequence[Object], metadata: Object, *, with_columns: bool = True) -> Object:
    """Return the table of some objects.

    Args:
        plural: their kind.
        items: the objects.
        metadata: the metadata of their list.
        with_columns: whether to describe the columns, as in the first table of a watch.
    """
    columns = _COLUMNS.get(plural, (_AGE,))
    definitions = [_definition("Name", "string", "name")]
    definitions += [_definition(c.name, "string" if c.type == "date" else c.type, priority=c.priority) for c in columns]
    now = datetime.now(UTC)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions if with_columns else [],
        "rows": [_row(item, columns, now) for item in items],
    }


def _definition(name: str, kind: str, form: str = "", priority: int = 0) -> Object:
    return {"name": name, "type": kind, "format": form, "description": "", "priority": priority}


def _row(item: Object, columns: Sequence[Column], now: datetime) -> Object:
    about = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
    return {"cells": [item["metadata"]["name"], *(_cell(item, column, now) for column in columns)], "object": about}


def _cell(item: Object, column: Column, now: datetime) -> Any:
    value = _at(item, column.path)
    if value is None:
        return None
    if column.type == "date":
        return age(now - datetime.fromisoformat(value))
    return value if column.type == "integer" else str(value)


def _at(item: Object, path: str) -> Any:
    value: Any = item
    for part in _PARTS.findall(path):
        if found := _FILTER.fullmatch(part):
            name, key, wanted = found.groups()
            value = next((each for each in (value.get(name) or ()) if each.get(key) == wanted), None)
        else:
            value = value.get(part)
        if value is None:
            return None
    return value


def age(since: Any) -> str:
    """Return a time span as kubectl writes it, for example 5m30s."""
    seconds = max(0, int(since.total_seconds()))
    for limit, write in _STEPS:
        if seconds < limit:
            return write(seconds)
    return f"{seconds // _DAY}d"


_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_STEPS: Final[tuple[tuple[int, Callable[[int], str]], ...]] = (
    (120, lambda s: f"{s}s"),
    (600, lambda s: f"{s // 60}m{s % 60}s" if s % 60 else f"{s // 60}m"),
    (3 * _HOUR, lambda s: f"{s // 60}m"),
    (8 * _HOUR, lambda s: f"{s // _HOUR}h{s % _HOUR // 60}m" if s % _HOUR // 60 else f"{s // _HOUR}h"),
    (2 * _DAY, lambda s: f"{s // _HOUR}h"),
    (8 * _DAY, lambda s: f"{s // _DAY}d{s % _DAY // _HOUR}h" if s % _DAY // _HOUR else f"{s // _DAY}d"),
)
