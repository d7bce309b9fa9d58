"""Reads the payloads that the operator's memory leaves out, at the moment at which they are needed.

They stand in the run itself, or in its records.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from podrelay.api import limits
from podrelay.api.errors import PodrelayError
from podrelay.kube.client import Client
from podrelay.kube.errors import NotFoundError
from podrelay.reconciler.resources import TASK_ITERATIONS, TASK_RUNS
from podrelay.reconciler.store import Key
from podrelay.reconciler.view import Target, View


class StateGoneError(PodrelayError):
    """The record that holds the state of a run is no more; the planner finds out what follows."""

    reason = "StateLost"

    def __init__(self, record: str) -> None:
        super().__init__(f"TaskIteration {record} is gone")
        self.record = record


@dataclass(frozen=True, slots=True)
class State:
    """What an iteration starts from."""

    input: dict[str, Any]
    output: dict[str, Any] | None = None


async def state_for(client: Client, key: Key, view: View, target: Target) -> State:
    """Return what the iteration of `target` starts from: a checkpoint, the last answer, or the input of the run.

    Raises:
        StateGoneError: the record that holds it is no more.
        ApiError, aiohttp.ClientError, TimeoutError: it could not be read.
    """
    name = target.checkpoint or target.state
    if name is None:
        return State(await _own_input(client, key, view))
    try:
        record = msgspec.json.decode(await client.get(TASK_ITERATIONS, key.namespace, name))
    except NotFoundError as error:
        raise StateGoneError(name) from error
    part = record.get("checkpoint" if target.checkpoint else "response") or {}
    return State(part.get("input") or {}, part.get("output"))


async def _own_input(client: Client, key: Key, view: View) -> dict[str, Any]:
    if view.run.spec.input is None:
        return {}
    run = msgspec.json.decode(await client.get(TASK_RUNS, key.namespace, key.name))
    own: dict[str, Any] = run["spec"].get("input") or {}
    return own


@dataclass(frozen=True, slots=True)
class Result:
    """What of a response belongs into the status of its run."""

    output: dict[str, Any] | None = None
    is_large: bool = False
    """The output is too large to be copied; the status names its record instead."""
    error_data: dict[str, Any] | None = None


async def result_of(client: Client, key: Key, record: str) -> Result:
    """Return the result that a record holds; an empty one if the record is no more.

    Raises:
        ApiError, aiohttp.ClientError, TimeoutError: it could not be read.
    """
    try:
        body = await client.get(TASK_ITERATIONS, key.namespace, record)
    except NotFoundError:
        return Result()
    response = msgspec.json.decode(body).get("response") or {}
    output, data = response.get("output"), (response.get("error") or {}).get("data")
    return Result(
        output,
        is_large=output is not None and not _is_small(output),
        error_data=data if data is not None and _is_small(data) else None,
    )


def _is_small(payload: dict[str, Any]) -> bool:
    return len(msgspec.json.encode(payload)) <= limits.STATUS_OUTPUT_BYTES
