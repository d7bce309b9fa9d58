"""Inputs, outputs and log lines, which are not cached: they are read on request, with the caller's token."""

import asyncio
import contextlib
from typing import Any

import orjson

from podrelay.gateway.call import Budget, Call
from podrelay.gateway.errors import API_FAILURES, RefusedError, from_api
from podrelay.kube.errors import NotFoundError
from podrelay.kube.resources import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS, Key, Resource

Object = dict[str, Any]


class Payloads:
    """Reads each object at most once, regardless of how many of its fields are queried.

    Args:
        call: the call, with the caller and the budget.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.budget = call.budget
        self._reading: dict[tuple[str, Key], asyncio.Future[Object]] = {}

    async def run(self, key: Key) -> Object:
        """Return the current TaskRun; empty if it does not exist.

        Raises:
            GatewayError: it cannot be read.
        """
        return await self._get(TASK_RUNS, key)

    async def output(self, key: Key) -> Object | None:
        """Return the result of a run: its output, or {"error": ...} if it failed, as in Webiny."""
        status = (await self.run(key)).get("status", {})
        if status.get("phase") == "Failed":
            return {"error": status.get("error") or {"message": status.get("message") or ""}}
        if holder := status.get("outputFrom"):
            output: Object | None = (await self.record(Key(key.namespace, holder))).get("response", {}).get("output")
            return output
        return status.get("output")  # type: ignore[no-any-return]

    async def record(self, key: Key) -> Object:
        """Return the current TaskIteration; empty if it does not exist.

        Raises:
            GatewayError: it cannot be read.
        """
        return await self._get(TASK_ITERATIONS, key)

    async def definition(self, key: Key) -> Object:
        """Return the current TaskDefinition; empty if it does not exist.

        Raises:
            GatewayError: it cannot be read.
        """
        return await self._get(TASK_DEFINITIONS, key)

    async def _get(self, resource: Resource, key: Key) -> Object:
        place = (resource.plural, key)
        if place not in self._reading:
            self.budget.take_fetch()
            reading = asyncio.ensure_future(fetch(self.call, resource, key, self.budget))
            reading.add_done_callback(_retrieve_exception)
            self._reading[place] = reading
        # If one field fails, its siblings are cancelled; other fields may still wait for the same object.
        return await asyncio.shield(self._reading[place])


def _retrieve_exception(reading: asyncio.Future[Object]) -> None:
    """Prevent asyncio from logging an exception that no field waits for any longer."""
    if not reading.cancelled():
        reading.exception()


async def fetch(call: Call, resource: Resource, key: Key, budget: Budget | None = None) -> Object:
    """Return the current object, read with the caller's token; empty if it does not exist.

    Raises:
        GatewayError: it cannot be read, or is larger than what remains of the budget.
    """
    await call.services.turns.give()
    try:
        async with budget.fetching if budget is not None else contextlib.nullcontext():
            stored = await call.caller.client.get(resource, key.namespace, key.name)
        if budget is not None:
            budget.take_payload(len(stored))
        found: Object = orjson.loads(stored)
    except NotFoundError:
        return {}
    except API_FAILURES as error:
        raise from_api(error, f"read {resource.plural} {key.name}") from error
    except orjson.JSONDecodeError as error:
        raise RefusedError(f"{resource.plural} {key.name} cannot be shown: it is nested too deeply.") from error
    return found


def without_managed_fields(stored: Object) -> Object | None:
    """Return an object without the fields that only the API server needs; None if it does not exist."""
    if not stored:
        return None
    metadata = {name: value for name, value in stored.get("metadata", {}).items() if name != "managedFields"}
    return stored | {"metadata": metadata}
