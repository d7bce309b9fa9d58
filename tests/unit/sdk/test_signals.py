"""`controller.signals`, and the answer that waits for signals."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from podrelay.api import limits
from podrelay.sdk import signals as sdk_signals
from podrelay.sdk.answers import WaitForChildren, WaitForSignal
from podrelay.sdk.controller import Controller
from podrelay.sdk.signals import Signal
from tests.unit.sdk.test_controller import FakeSession

SENT_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def sent(key: str, name: str = "payment", **more: Any) -> Signal:
    return Signal(name, more.pop("payload", {}), key, None, SENT_AT, **more)


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


@pytest.fixture
def controller(session: FakeSession) -> Controller:
    return Controller(session)


def test_the_given_signals_are_a_sequence(session: FakeSession, controller: Controller) -> None:
    session.signals = [sent("a"), sent("b", "note"), sent("c")]

    signals = controller.signals
    assert [signal.key for signal in signals] == ["a", "b", "c"]
    assert (len(signals), signals[1].name, [signal.key for signal in signals[1:]]) == (3, "note", ["b", "c"])
    assert [signal.key for signal in signals.of("payment")] == ["a", "c"]
    assert repr(signals) == "<Signals: payment, note, payment>"


@pytest.mark.parametrize(
    ("woken_by", "timed_out", "approved"),
    [
        ("", False, None),
        ("Signals", False, None),
        ("Timeout", True, None),
        ("Children", False, None),
        ("Approved", False, True),
        ("Rejected", False, False),
    ],
)
def test_what_ended_the_wait(
    session: FakeSession, controller: Controller, woken_by: str, timed_out: bool, approved: bool | None
) -> None:
    session.woken_by = woken_by

    assert (controller.signals.timed_out, controller.signals.approved) == (timed_out, approved)


def test_peek_shows_what_waits_without_the_given_signals(session: FakeSession, controller: Controller) -> None:
    session.signals = [sent("a")]
    session.waiting = {None: [sent("a"), sent("b", "note")], "note": [sent("b", "note")]}

    assert [signal.key for signal in controller.signals.peek()] == ["b"]
    assert [signal.key for signal in controller.signals.peek("note")] == ["b"]


def test_a_wait_without_a_time_ends_after_355_days(controller: Controller) -> None:
    answer = controller.response.wait_for_signal("payment", {"a": 1})

    assert (answer.input, answer.wait_seconds) == ({"a": 1}, limits.MAX_WAIT_SECONDS)
    assert answer.wait_for_signal == WaitForSignal(("payment",), 1)
    assert answer.wait_for_children is None


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        ({"seconds": 90}, 90.0),
        ({"seconds": 0}, 1.0),
        ({"seconds": -5}, 1.0),
        ({"seconds": 1e12}, float(limits.MAX_WAIT_SECONDS)),
        ({"date": datetime.now(UTC) - timedelta(days=1)}, 1.0),
    ],
)
def test_the_time_of_a_wait_has_limits(controller: Controller, arguments: dict[str, Any], seconds: float) -> None:
    assert controller.response.wait_for_signal("payment", **arguments).wait_seconds == seconds


def test_a_wait_may_have_several_names_and_include_the_children(controller: Controller) -> None:
    answer = controller.response.wait_for_signal(["a", "b", "a"], count=3, or_children=True)

    assert answer.wait_for_signal == WaitForSignal(("a", "b"), 3)
    assert answer.wait_for_children == WaitForChildren()


@pytest.mark.parametrize(
    ("names", "count", "message"),
    [
        ("", 1, "is not the name of a signal"),
        ("with space", 1, "is not the name of a signal"),
        ("x" * 64, 1, "is not the name of a signal"),
        ([], 1, "1 to 20 signals"),
        ([f"s{number}" for number in range(21)], 1, "1 to 20 signals"),
        ("payment", 0, "count must be 1 to 100"),
        ("payment", 101, "count must be 1 to 100"),
    ],
)
def test_an_invalid_wait_is_refused_at_once(controller: Controller, names: Any, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        controller.response.wait_for_signal(names, count=count)


def test_the_model_of_a_payload_becomes_a_schema_in_the_resource() -> None:
    class Payment(BaseModel):
        amount: int

    signal = {"name": "payment", "description": "paid", "payload": Payment}

    assert sdk_signals.in_resource(signal) == {
        "name": "payment",
        "description": "paid",
        "payloadSchema": Payment.model_json_schema(),
    }
    assert sdk_signals.in_resource({"name": "note"}) == {"name": "note"}
