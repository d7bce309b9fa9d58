"""Fetches payloads that the operator does not keep in memory, when they are needed.

They are in the run itself (only a small input is kept in memory) or in its records. A stored response never changes.
Responses that the operator has written itself, for pods that report by message, are therefore cached for a while: they
are needed again immediately, for the next pod or for the final status.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from podrelay.api.errors import PodrelayError
from podrelay.kube.api import Api
from podrelay.kube.errors import NotFoundError
from podrelay.kube.resources import TASK_ITERATIONS, TASK_RUNS, Key
from podrelay.operator.executor.status_body import Result, result_in
from podrelay.operator.objects.records import Record
from podrelay.operator.plan import Target
from podrelay.operator.view import View

_KEPT_RESPONSES: Final = 64
"""Enough for the runs that are currently reconciled; a response has at most 256 KiB, usually a few hundred bytes."""


class StateGoneError(PodrelayError):
    """The record that contains the state of a run does not exist; the planner decides what to do."""

    reason = "StateLost"

    def __init__(self, record: str) -> None:
        super().__init__(f"TaskIteration {record} is gone")
        self.record = record


@dataclass(frozen=True, slots=True)
class State:
    """The state that an iteration starts from."""

    input: dict[str, Any]
    output: dict[str, Any] | None = None


class Payloads:
    """Reads states and results.

    Args:
        client: the API server.
    """

    def __init__(self, client: Api) -> None:
        self._client = client
        self._responses: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def keep(self, record: Record, response: dict[str, Any]) -> None:
        """Keep a response that has just been stored in `record`."""
        self._responses[record.metadata.uid] = response
        if len(self._responses) > _KEPT_RESPONSES:
            self._responses.popitem(last=False)

    async def state_for(self, key: Key, view: View, target: Target) -> State:
        """Return the state that `target` starts from: a checkpoint, the last answer, or the input of the run.

        Raises:
            StateGoneError: the record that contains it does not exist.
            ApiError, TransportError, TimeoutError: it could not be read.
        """
        if target.checkpoint is not None:
            state = (await self._record(key, target.checkpoint)).get("checkpoint") or {}
        elif target.state is not None:
            state = await self._response(key, view, target.state)
        else:
            return State(await self._own_input(key, view))
        return State(state.get("input") or {}, state.get("output"))

    async def input_of(self, key: Key, view: View) -> dict[str, Any]:
        """Return the input that the run was created with.

        Raises:
            NotFoundError: the run does not exist.
            ApiError, TransportError, TimeoutError: it could not be read.
        """
        return await self._own_input(key, view)

    async def result_of(self, key: Key, view: View, record: str) -> Result:
        """Return the result in a record; an empty one if the record does not exist.

        Raises:
            ApiError, TransportError, TimeoutError: it could not be read.
        """
        try:
            response = await self._response(key, view, record)
        except StateGoneError:
            return Result()
        return result_in(response)

    async def _own_input(self, key: Key, view: View) -> dict[str, Any]:
        own: dict[str, Any] | None
        if view.run.spec.input:
            own = msgspec.json.decode(view.run.spec.input)
        else:
            run = msgspec.json.decode(await self._client.get(TASK_RUNS, key.namespace, key.name))
            own = run["spec"].get("input")
        return own or {}

    async def _response(self, key: Key, view: View, name: str) -> dict[str, Any]:
        for known in view.records:
            if known.metadata.name == name and known.metadata.uid in self._responses:
                return self._responses[known.metadata.uid]
        response: dict[str, Any] = (await self._record(key, name)).get("response") or {}
        return response

    async def _record(self, key: Key, name: str) -> dict[str, Any]:
        try:
            record: dict[str, Any] = msgspec.json.decode(await self._client.get(TASK_ITERATIONS, key.namespace, name))
        except NotFoundError as error:
            raise StateGoneError(name) from error
        return record
