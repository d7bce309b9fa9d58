"""The arguments of a task that starts children or waits for them."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel

from podrelay.api import limits
from podrelay.api.wanted_run import WantedRun
from podrelay.runner.answering import response_of
from podrelay.sdk.controller import Controller
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.task import TaskRun
from tests.unit.sdk.test_controller import FakeSession


class ResizeImage(TaskDefinition):
    id = "resizeImage"
    title = "Resize"


class ResizeInput(BaseModel):
    url: str
    width: int = 100


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


@pytest.fixture
def controller(session: FakeSession) -> Controller:
    return Controller(session)


@pytest.mark.parametrize("definition", ["resizeImage", "resize-image", ResizeImage])
def test_a_definition_is_given_by_id_name_or_class(
    session: FakeSession, controller: Controller, definition: Any
) -> None:
    session.children["resize-image"] = [TaskRun("a", "", "resize-image", "success", {}, None, 1)]

    controller.task.trigger(definition)

    assert session.triggered[0].definition == "resize-image"
    assert controller.task.list_children(definition) == session.children["resize-image"]
    assert response_of(controller.response.wait_for_children(definition=definition), {}, None) == {
        "status": "continue",
        "input": {},
        "waitForChildren": {"definition": "resize-image"},
    }


@pytest.mark.parametrize(
    ("definition", "error"),
    [("Resize Image", ValueError), ("", ValueError), ("-a", ValueError), (None, TypeError), (object, TypeError)],
)
def test_an_invalid_definition_is_rejected(controller: Controller, definition: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        controller.task.trigger(definition)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, {}), ({"url": "a"}, {"url": "a"}), (ResizeInput(url="a"), {"url": "a", "width": 100})],
)
def test_the_input_is_a_dict_or_a_model(
    session: FakeSession, controller: Controller, value: Any, expected: dict[str, Any]
) -> None:
    controller.task.trigger("chain", value)

    assert session.triggered[0].input == expected


@pytest.mark.parametrize("value", [{"x": math.nan}, {"x": {1}}, {"x": "y" * limits.PAYLOAD_BYTES}])
def test_an_input_that_cannot_be_stored_is_rejected_before_anything_is_sent(
    session: FakeSession, controller: Controller, value: dict[str, Any]
) -> None:
    with pytest.raises(limits.PayloadError, match="input"):
        controller.task.trigger("chain", value)
    assert session.triggered == []


def test_a_child_has_all_options_of_a_run(session: FakeSession, controller: Controller) -> None:
    start = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))

    controller.task.trigger("chain", {"a": 1}, name="Later", start_at=start, key="once")
    controller.task.trigger("chain", delay=5)

    assert session.triggered == [
        WantedRun("chain", {"a": 1}, "Later", None, datetime(2026, 3, 1, 12, tzinfo=UTC), "once"),
        WantedRun("chain", {}, delay_seconds=5),
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"delay": 1.5}, ValueError, "delay must be a whole number of seconds"),
        ({"start_at": datetime(2026, 3, 1, 12)}, ValueError, "start_at needs a time zone"),
        ({"start_at": "tomorrow"}, TypeError, "start_at must be a datetime, not str"),
    ],
)
def test_an_invalid_argument_is_rejected_before_anything_is_sent(
    session: FakeSession, controller: Controller, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        controller.task.trigger("chain", **arguments)
    assert session.triggered == []


def test_waiting_for_all_children_stores_the_state_like_a_continue(controller: Controller) -> None:
    answer = controller.response.wait_for_children({"cursor": 2})

    assert response_of(answer, {"cursor": 1, "kept": True}, {"rows": 1}) == {
        "status": "continue",
        "input": {"cursor": 2, "kept": True},
        "waitForChildren": {},
        "output": {"rows": 1},
    }


def test_all_children_are_listed_without_a_definition(session: FakeSession, controller: Controller) -> None:
    session.children[None] = [TaskRun("a", "", "chain", "running", {}, None, 1)]

    assert controller.task.list_children() == session.children[None]
