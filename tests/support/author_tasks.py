"""Tasks that use features of the SDK: rules for the input, decisions about retries, heartbeats."""

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from podrelay import Controller, Fatal, Retry, TaskDefinition
from podrelay.runner.api_client import ApiClient
from tests.support.tasks import leave_trace


class OrderInput(BaseModel):
    """The input of the task Order."""

    cursor: int
    size: int = Field(default=10, gt=0)


class Order(TaskDefinition):
    """Is called twice; returns its inputs and the stored state."""

    id = "order"
    title = "Order"

    def create_input_validation(self) -> Any:
        return {"url": (str, "none")}

    def run(self, input: OrderInput, controller: Controller) -> Any:
        stored = controller.state.get_input()
        leave_trace(stored, controller)
        if controller.task.iteration == 1:
            return controller.response.continue_({"cursor": str(input.cursor + 1)})
        return controller.response.done({"read": input.model_dump(), "stored": stored})


class Moody(TaskDefinition):
    """Fails with a decision about another attempt, until its last attempt."""

    id = "moody"
    title = "Moody"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        leave_trace(input, controller)
        if controller.task.attempt == 2:
            return controller.response.done()
        match input["how"]:
            case "retry":
                raise Retry("busy", after=timedelta(seconds=input["after"]), code="E429")
            case "fatal":
                raise Fatal("no such shop", data={"shop": 3})
        return controller.response.error(Retry("busy"))


class Beating(TaskDefinition):
    """Sends heartbeats for some seconds."""

    id = "beating"
    title = "Beating"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        end = time.monotonic() + input["seconds"]
        while time.monotonic() < end:
            controller.heartbeat()
            time.sleep(0.1)
        return controller.response.done()


class Mortal(TaskDefinition):
    """Saves its state step by step, records acknowledged writes, and is killed at the write that the input names."""

    id = "mortal"
    title = "Mortal"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        leave_trace(input, controller)
        state = controller.state
        began = {"row": input.get("row", 0), **(state.get_output() or {})}
        attempt = controller.task.attempt
        if attempt == 1:
            die_at_write(input["write"], after=input["after"])
        with Path(f"{input['trace']}.acks").open("a", encoding="utf-8") as acks:
            state.update_input({"row": began["row"] + 1})
            print(f"{attempt} row {began['row'] + 1}", file=acks, flush=True)
            state.update_output({"rows": 1})
            print(f"{attempt} rows 1", file=acks, flush=True)
            state.update_input({"row": began["row"] + 2})
            print(f"{attempt} row {began['row'] + 2}", file=acks, flush=True)
        return controller.response.done({"began": began})


def die_at_write(number: int, *, after: bool) -> None:
    """Kill this process right before its n-th write from now on is sent, or after it has been answered."""
    request: Callable[..., Any] = ApiClient.request
    writes = 0

    def mortal_request(client: ApiClient, method: str, *arguments: Any) -> Any:
        nonlocal writes
        writes += method == "PUT"
        is_last = method == "PUT" and writes == number
        if is_last and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = request(client, method, *arguments)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    ApiClient.request = mortal_request  # type: ignore[assignment, method-assign]


class Talker(TaskDefinition):
    """Logs `lines` lines in each of `length` iterations; then waits for an abort, if the input says so."""

    id = "talker"
    title = "Talker"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        for number in range(1, input["lines"] + 1):
            controller.logger.info(f"line {number}", data={"n": number})
        while input.get("stays") and not controller.runtime.is_aborted():
            time.sleep(0.02)
        if controller.task.iteration < input.get("length", 1):
            return controller.response.continue_({})
        return controller.response.done()
