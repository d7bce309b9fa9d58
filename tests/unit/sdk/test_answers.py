"""The answers that `controller.response` creates, as specified in the contract."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, Field

from podrelay.api import limits
from podrelay.sdk.answers import Aborted, Continue, Done, Failed
from podrelay.sdk.controller import Response


class Rows(BaseModel):
    row_count: int = Field(default=3, alias="rowCount")
    at: datetime = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def response() -> Response:
    return Response()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), Done()),
        (({"rows": 3},), Done(output={"rows": 3})),
        (("imported",), Done("imported")),
        (("imported", {"rows": 3}), Done("imported", {"rows": 3})),
        ((None, {"rows": 3}), Done(output={"rows": 3})),
        (({},), Done(output={})),
        ((Rows(),), Done(output={"rowCount": 3, "at": "2026-01-02T00:00:00Z"})),
    ],
)
def test_done_accepts_nothing_an_output_a_message_or_both(
    response: Response, arguments: tuple[Any, ...], expected: Done
) -> None:
    answer = response.done(*arguments)

    assert (type(answer), answer) == (Done, expected)


@pytest.mark.parametrize("arguments", [(5,), ([1],), ("imported", [1])])
def test_done_raises_immediately_if_an_output_is_not_an_object(response: Response, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="output must be a dict or a pydantic model"):
        response.done(*arguments)


@pytest.mark.parametrize("seconds", [None, 0, 0.999, -5, float("nan")])
def test_continue_with_less_than_a_second_does_not_wait(response: Response, seconds: float | None) -> None:
    assert response.continue_({"cursor": 1}, seconds=seconds) == Continue({"cursor": 1})


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(1, 1.0), (2.5, 2.5), (limits.MAX_WAIT_SECONDS + 1, 30_672_000.0), (float("inf"), 30_672_000.0)],
)
def test_continue_waits_seconds_but_never_longer_than_355_days(
    response: Response, seconds: float, expected: float
) -> None:
    answer = response.continue_(seconds=seconds)

    assert (type(answer), answer) == (Continue, Continue({}, expected))


@pytest.mark.parametrize("zone", [UTC, None])
def test_continue_waits_until_a_date_in_utc_by_default(response: Response, zone: Any) -> None:
    date = (datetime.now(UTC) + timedelta(seconds=100)).replace(tzinfo=zone)

    assert response.continue_(date=date).wait_seconds == pytest.approx(100, abs=5)


def test_continue_with_a_date_in_the_past_does_not_wait(response: Response) -> None:
    assert response.continue_(date=datetime(2000, 1, 1, tzinfo=UTC)).wait_seconds is None


def test_continue_with_a_date_beyond_355_days_waits_355_days(response: Response) -> None:
    assert response.continue_(date=datetime(9999, 1, 1, tzinfo=UTC)).wait_seconds == 30_672_000.0


def test_continue_prefers_seconds_to_a_date(response: Response) -> None:
    assert response.continue_(seconds=7, date=datetime(9999, 1, 1, tzinfo=UTC)).wait_seconds == 7.0


def test_continue_serializes_a_model_by_alias(response: Response) -> None:
    assert response.continue_(Rows()).input == {"rowCount": 3, "at": "2026-01-02T00:00:00Z"}


class ShopError(Exception):
    def __init__(self) -> None:
        super().__init__("the shop is closed")
        self.code = "SHOP_CLOSED"
        self.shop = 12
        self.open_at = ["9:00", {"sunday": None}]
        self.ratio = float("nan")
        self.socket = object()
        self._secret = "x"


class HttpError(Exception):
    code = 404

    def __init__(self) -> None:
        super().__init__("not found")
        self.code = 404


class DataError(Exception):
    data = {"row": 3}  # noqa: RUF012 - as an author might write it


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("it broke", Failed("it broke")),
        ({"message": "it broke", "code": 12, "data": {"row": 1}}, Failed("it broke", "12", {"row": 1})),
        ({}, Failed("Task failed.")),
        (ValueError("it broke"), Failed("it broke", "ValueError")),
        (ValueError(), Failed("ValueError", "ValueError")),
        (KeyError("url"), Failed("KeyError: 'url'", "KeyError")),
        (KeyError(), Failed("KeyError", "KeyError")),
        (ShopError(), Failed("the shop is closed", "SHOP_CLOSED", {"shop": 12, "open_at": ["9:00", {"sunday": None}]})),
        (HttpError(), Failed("not found", "HttpError", {"code": 404})),
        (DataError("it broke"), Failed("it broke", "DataError", {"row": 3})),
    ],
    ids=lambda value: "" if isinstance(value, Failed) else repr(value),
)
def test_error_accepts_a_message_a_dict_or_an_exception_with_json_attributes(
    response: Response, error: Any, expected: Failed
) -> None:
    answer = response.error(error)

    assert (type(answer), answer) == (Failed, expected)


def test_a_missing_environment_variable_is_explained(response: Response) -> None:
    try:
        os.environ["NO_SUCH_URL"]
    except KeyError as error:
        answer = response.error(error)

    assert answer.message == (
        "KeyError: 'NO_SUCH_URL'; this environment variable is not set; set it with env in the template"
    )


def test_the_stack_of_an_exception_is_never_in_the_answer(response: Response) -> None:
    try:
        raise ShopError
    except ShopError as error:
        answer = response.error(error)

    assert "test_sdk_answers" not in repr(answer)


@pytest.mark.parametrize("message", [None, "cleaned up"])
def test_aborted_accepts_a_message_or_nothing(response: Response, message: str | None) -> None:
    answer = response.aborted(message)

    assert (type(answer), answer) == (Aborted, Aborted(message))
