"""Selects the parts of a response for the status of its run, and builds the patch of the status. Pure."""

from dataclasses import dataclass
from typing import Any

import msgspec

from podrelay.api import limits
from podrelay.operator.objects import TaskRun


@dataclass(frozen=True, slots=True)
class Result:
    """The parts of a response that belong in the status of its run."""

    output: dict[str, Any] | None = None
    is_large: bool = False
    """The output is too large to copy; the status names its record instead."""
    error_data: dict[str, Any] | None = None


def result_in(response: dict[str, Any]) -> Result:
    """Return the parts of a stored response that belong in the status."""
    output, data = response.get("output"), (response.get("error") or {}).get("data")
    return Result(
        output,
        is_large=output is not None and not _is_small(output),
        error_data=data if data is not None and _is_small(data) else None,
    )


def add_result(wanted: dict[str, Any], record: str, result: Result) -> None:
    """Add the output and the data of the error, which only the record contains, to a status."""
    if result.output is not None:
        wanted |= {"outputFrom": record} if result.is_large else {"output": result.output}
    if result.error_data is not None and "error" in wanted:
        wanted["error"] = {**wanted["error"], "data": result.error_data}


def status_patch(run: TaskRun, before: dict[str, Any], wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the JSON patch that turns one status into the other, refused with 409 unless `run` is the newest version.

    It is a JSON patch because a merge patch would drop nulls in payloads.
    """
    patch: list[dict[str, Any]] = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": run.metadata.resource_version}
    ]
    if not before:
        return [*patch, {"op": "add", "path": "/status", "value": wanted}]
    patch += [{"op": "remove", "path": f"/status/{field}"} for field in before if field not in wanted]
    patch += [
        {"op": "add", "path": f"/status/{field}", "value": value}
        for field, value in wanted.items()
        if before.get(field) != value
    ]
    return patch


def _is_small(payload: dict[str, Any]) -> bool:
    return len(msgspec.json.encode(payload)) <= limits.STATUS_OUTPUT_BYTES
