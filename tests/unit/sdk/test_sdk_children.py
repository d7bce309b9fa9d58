"""What a task may say when it starts children or waits for them."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel

from podrelay.api import limits
from podrelay.runner.answering import response_of
from podrelay.sdk.controller import Controller
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.task import TaskRun
from tests.unit.sdk.test_sdk_controller import FakeSession


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
def test_a_definition_has_an_id_a_name_and_a_class(
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
def test_what_can_be_no_definition_is_refused(controller: Controller, definition: Any, error: type[Exception]) -> None:
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
def test_an_input_that_cannot_be_stored_is_refused_before_anything_is_sent(
    session: FakeSession, controller: Controller, value: dict[str, Any]
) -> None:
    with pytest.raises(limits.PayloadError, match="input"):
        controller.task.trigger("chain", value)
    assert session.triggered == []


@pytest.mark.parametrize("delay", [0, 1, 30_672_000])
def test_a_delay_is_whole_seconds(session: FakeSession, controller: Controller, delay: int) -> None:
    controller.task.trigger("chain", delay=delay, name="Later", key="once")

    assert session.triggered[0][2:] == ("Later", delay, None, "once")


@pytest.mark.parametrize("delay", [-1, 30_672_001, 1.0, 1.5, math.nan, math.inf, True, "5", timedelta(seconds=5)])
def test_a_delay_that_is_none_is_refused(session: FakeSession, controller: Controller, delay: Any) -> None:
    with pytest.raises(ValueError, match="delay must be a whole number of seconds from 0 to 30672000"):
        controller.task.trigger("chain", delay=delay)
    assert session.triggered == []


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 1, 12),
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_start_is_a_time_in_utc(session: FakeSession, controller: Controller, moment: datetime) -> None:
    controller.task.trigger("chain", start_at=moment)

    assert str(session.triggered[0].start_at) == "2026-03-01 12:00:00+00:00"


def test_a_start_is_one_time(controller: Controller) -> None:
    with pytest.raises(ValueError, match="mutually exclusive"):
        controller.task.trigger("chain", delay=1, start_at=datetime.now(UTC))
    with pytest.raises(TypeError, match="must be a datetime, not str"):
        controller.task.trigger("chain", start_at="tomorrow")  # type: ignore[arg-type]


def test_waiting_for_all_children_keeps_the_state_as_a_continue_does(controller: Controller) -> None:
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
