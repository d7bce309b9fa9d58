"""Selects the parts of a response for the status of its run, and builds what is sent to write the status. Pure."""

from dataclasses import dataclass
from typing import Any

import msgspec

from podrelay.api import limits, names
from podrelay.operator.objects.runs import TaskRun


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


def new_status(run: TaskRun, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the object that replaces the whole status, refused with 409 unless `run` is the newest version.

    Only for a run that has not finished: the operator does not cache the result of a finished one, and would remove it.
    """
    about = {"name": run.metadata.name, "uid": run.metadata.uid, "resourceVersion": run.metadata.resource_version}
    return {"apiVersion": names.API_VERSION, "kind": "TaskRun", "metadata": about, "status": wanted}


def later_patch(run: TaskRun, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the JSON patch for the status of a finished run, which leaves its result as it is.

    It is refused with 409 unless `run` is the newest version. A merge patch would drop nulls in payloads.
    """
    before = msgspec.to_builtins(run.status)
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": run.metadata.resource_version},
        *({"op": "remove", "path": f"/status/{field}"} for field in before if field not in wanted),
        *(
            {"op": "add", "path": f"/status/{field}", "value": value}
            for field, value in wanted.items()
            if before.get(field) != value
        ),
    ]


def _is_small(payload: dict[str, Any]) -> bool:
    return len(msgspec.json.encode(payload)) <= limits.STATUS_OUTPUT_BYTES
