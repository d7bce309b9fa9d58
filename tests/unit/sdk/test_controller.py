"""The methods of the controller, with a session that only records calls."""

import logging
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from podrelay.api import limits
from podrelay.api.wanted_run import WantedRun
from podrelay.sdk.controller import ENV_CLOSE_TO_TIMEOUT, Controller
from podrelay.sdk.errors import ApiRefusedError, InputError
from podrelay.sdk.signals import Signal
from podrelay.sdk.task import TaskRun
from podrelay.sdk.validation import NO_RULES, InputRules


class FakeSession:
    """A session in memory; it counts saves and records calls."""

    def __init__(self) -> None:
        self.input: dict[str, Any] = {"cursor": 1, "deep": {"a": 1}}
        self.output: dict[str, Any] | None = None
        self.rules = NO_RULES
        self.refusal: ApiRefusedError | None = None
        self.beats = 0
        self.saved: list[tuple[dict[str, Any], dict[str, Any] | None]] = []
        self.reports: list[tuple[float | None, str]] = []
        self.logs: list[tuple[str, str, Any, Any]] = []
        self.secret_folder = ""
        self.left = 900.0
        self.timeout_seconds = 900.0
        self.aborted = False
        self.stopping = False
        self.iteration, self.attempt, self.is_final_attempt = 3, 2, True
        self.abort_message: str | None = None
        self.triggered: list[WantedRun] = []
        self.children: dict[str | None, list[TaskRun]] = {}
        self.signals: list[Signal] = []
        self.woken_by = ""
        self.waiting: dict[str | None, list[Signal]] = {}

    @property
    def task(self) -> TaskRun:
        return TaskRun("shop", "Shop", "import-products", "running", self.input, self.output, 3)

    def save(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.saved.append((self.input, self.output))

    def report(self, percent: float | None, message: str) -> None:
        self.reports.append((percent, message))

    def heartbeat(self) -> None:
        self.beats += 1

    def write_log(self, kind: str, message: str, data: Any, error: Any) -> None:
        self.logs.append((kind, message, data, error))

    def remaining_seconds(self) -> float:
        return self.left

    def is_aborted(self) -> bool:
        return self.aborted

    def is_stopping(self) -> bool:
        return self.stopping

    def trigger(self, child: WantedRun) -> TaskRun:
        self.triggered.append(child)
        return TaskRun("child", child.name or "", child.definition, "pending", child.input or {}, None, 0, "shop")

    def list_children(self, definition: str | None) -> list[TaskRun]:
        return self.children[definition]

    def list_waiting_signals(self, name: str | None) -> list[Signal]:
        return self.waiting[name]


class Rows(BaseModel):
    rows: int = 3


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> FakeSession:
    monkeypatch.delenv(ENV_CLOSE_TO_TIMEOUT, raising=False)
    return FakeSession()


@pytest.fixture
def controller(session: FakeSession) -> Controller:
    return Controller(session)


# --- state ------------------------------------------------------------------------------------------------------------


def test_update_input_merges_one_level_deep_and_saves(session: FakeSession, controller: Controller) -> None:
    controller.state.update_input({"cursor": 2, "deep": {"b": 2}})

    assert controller.state.get_input() == {"cursor": 2, "deep": {"b": 2}}
    assert session.saved == [({"cursor": 2, "deep": {"b": 2}}, None)]


def test_update_output_replaces_and_saves(session: FakeSession, controller: Controller) -> None:
    controller.state.update_output({"a": 1})
    controller.state.update_output(Rows())

    assert controller.state.get_output() == {"rows": 3}
    assert len(session.saved) == 2


def test_update_input_takes_a_model(controller: Controller) -> None:
    controller.state.update_input(Rows(rows=4))

    assert controller.state.get_input() == {"cursor": 1, "deep": {"a": 1}, "rows": 4}


@pytest.mark.parametrize(
    "value",
    [{"x": object()}, {"x": float("nan")}, {"x": 2**63}, {1: "x"}, {"x": "\ud800"}, {"x": "a" * limits.PAYLOAD_BYTES}],
    ids=["object", "NaN", "65 bits", "key", "surrogate", "size"],
)
@pytest.mark.parametrize("what", ["update_input", "update_output"])
def test_a_value_that_cannot_be_stored_is_rejected_and_changes_nothing(
    session: FakeSession, controller: Controller, what: str, value: dict[Any, Any]
) -> None:
    controller.state.update_output({"kept": True})

    with pytest.raises(limits.PayloadError):
        getattr(controller.state, what)(value)

    assert session.input == {"cursor": 1, "deep": {"a": 1}}
    assert session.output == {"kept": True}
    assert len(session.saved) == 1


def test_a_list_as_output_is_rejected(session: FakeSession, controller: Controller) -> None:
    with pytest.raises(TypeError, match="output must be a dict"):
        controller.state.update_output([1])

    assert session.saved == []


def test_changes_after_an_update_are_not_stored_by_accident(session: FakeSession, controller: Controller) -> None:
    output: dict[str, Any] = {"rows": [1]}
    changes: dict[str, Any] = {"seen": {}}
    controller.state.update_output(output)
    controller.state.update_input(changes)

    output["rows"].append(object())
    changes["seen"]["x"] = object()

    assert session.output == {"rows": [1]}
    assert session.input["seen"] == {}


def test_a_read_value_can_be_modified_without_changing_the_state(session: FakeSession, controller: Controller) -> None:
    controller.state.update_output({"rows": [1]})

    controller.state.get_input()["deep"]["a"] = 2
    (controller.state.get_output() or {})["rows"].append(2)

    assert session.input["deep"] == {"a": 1}
    assert session.output == {"rows": [1]}


def test_there_is_no_output_before_the_first_update(controller: Controller) -> None:
    assert controller.state.get_output() is None


def test_the_task_knows_its_iteration_and_attempt(controller: Controller) -> None:
    task = controller.task

    assert (task.name, task.iteration, task.attempt, task.is_final_attempt) == ("shop", 3, 2, True)
    assert controller.state.get_status() == "running"
    assert controller.state.get_task().definition == "import-products"


class Order(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    cursor: int
    page_size: int = Field(default=10, alias="pageSize", gt=0)


def test_an_update_is_validated_and_stored_in_its_parsed_form(session: FakeSession, controller: Controller) -> None:
    session.rules = InputRules(Order)

    controller.state.update_input({"cursor": "5"})
    controller.state.update_input({"page_size": 20})

    assert session.saved[0][0] == {"cursor": 5, "deep": {"a": 1}, "pageSize": 10}
    assert session.saved[1][0] == {"cursor": 5, "deep": {"a": 1}, "pageSize": 20}


def test_an_invalid_update_is_rejected_and_changes_nothing(session: FakeSession, controller: Controller) -> None:
    session.rules = InputRules(Order)

    with pytest.raises(InputError) as caught:
        controller.state.update_input({"cursor": "far", "pageSize": 0})

    assert set(caught.value.data["invalidFields"]) == {"cursor", "pageSize"}
    assert session.input == {"cursor": 1, "deep": {"a": 1}}
    assert session.saved == []


@pytest.mark.parametrize("what", ["update_input", "update_output"])
def test_an_update_that_the_api_server_rejects_changes_nothing(
    session: FakeSession, controller: Controller, what: str
) -> None:
    session.refusal = ApiRefusedError(422, "ask the committee")

    with pytest.raises(ApiRefusedError):
        getattr(controller.state, what)({"cursor": 5})

    assert (session.input, session.output) == ({"cursor": 1, "deep": {"a": 1}}, None)


# --- runtime ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout", "left", "expected"),
    [(3600.0, 180.0, False), (3600.0, 179.9, True), (900.0, 179.9, True), (100.0, 20.0, False), (100.0, 19.9, True)],
)
def test_close_to_timeout_is_180_seconds_but_at_most_a_fifth_of_the_iteration(
    session: FakeSession, controller: Controller, timeout: float, left: float, expected: bool
) -> None:
    session.timeout_seconds, session.left = timeout, left

    assert controller.runtime.is_close_to_timeout() is expected


@pytest.mark.parametrize(("left", "expected"), [(30.0, False), (29.9, True)])
def test_close_to_timeout_accepts_an_argument(
    session: FakeSession, controller: Controller, left: float, expected: bool
) -> None:
    session.left = left

    assert controller.runtime.is_close_to_timeout(30) is expected


@pytest.mark.parametrize(
    ("configured", "left", "expected"),
    [("60", 60.0, False), ("60", 59.0, True), ("0.5", 1.0, False), ("-1", 179.0, True), ("soon", 181.0, False)],
)
def test_the_default_of_close_to_timeout_is_a_positive_number_in_the_environment(
    session: FakeSession,
    controller: Controller,
    monkeypatch: pytest.MonkeyPatch,
    configured: str,
    left: float,
    expected: bool,
) -> None:
    monkeypatch.setenv(ENV_CLOSE_TO_TIMEOUT, configured)
    session.left = left

    assert controller.runtime.is_close_to_timeout() is expected


def test_a_stopping_pod_is_close_to_timeout_regardless_of_the_remaining_time(
    session: FakeSession, controller: Controller
) -> None:
    session.stopping = True

    assert controller.runtime.is_close_to_timeout(0)


def test_an_abort_is_reported_with_its_message(session: FakeSession, controller: Controller) -> None:
    session.aborted, session.abort_message = True, "wrong file"

    assert controller.runtime.is_aborted()
    assert controller.runtime.abort_message == "wrong file"


def test_remaining_time_is_rounded_down(session: FakeSession, controller: Controller) -> None:
    session.left = 12.9876

    assert controller.runtime.remaining_seconds() == 12
    assert controller.runtime.remaining_milliseconds() == 12987


# --- progress and logs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((3,), (None, "3")),
        ((30, 100), (30.0, "30/100")),
        ((30, 100, "rows"), (30.0, "30/100 rows")),
        ((30, None, "rows"), (None, "30 rows")),
        ((1, 3), (33.3, "1/3")),
        ((0.5, 1), (50.0, "0.5/1")),
        ((1234567, 98765432), (1.2, "1234567/98765432")),
        ((1234567.0, None, "rows"), (None, "1234567 rows")),
        ((0.1 + 0.2,), (None, "0.3")),
        ((5, 0), (None, "5/0")),
        ((7, 5), (100.0, "7/5")),
        ((-1, 5), (0.0, "-1/5")),
    ],
)
def test_progress_is_reported_as_a_count_and_percent(
    session: FakeSession, controller: Controller, arguments: tuple[Any, ...], expected: tuple[Any, str]
) -> None:
    controller.progress(*arguments)

    assert session.reports == [expected]


def test_logs_go_to_the_session(session: FakeSession, controller: Controller) -> None:
    problem = ValueError("x")

    controller.logger.info("read", {"rows": 3})  # noqa: PLE1205 - not of logging
    controller.logger.error("broken", problem, {"row": 4})  # noqa: PLE1205 - not of logging

    assert session.logs == [("info", "read", {"rows": 3}, None), ("error", "broken", {"row": 4}, problem)]


def test_a_heartbeat_goes_to_the_session(session: FakeSession, controller: Controller) -> None:
    controller.heartbeat()

    assert (session.beats, session.reports) == (1, [])


def test_lines_of_the_logging_module_go_to_the_session(session: FakeSession, controller: Controller) -> None:
    logger = logging.Logger("shop.rows")
    logger.addHandler(controller.logger.handler())
    problem = ValueError("odd")

    logger.info("read %d rows", 3)
    logger.warning("slow")
    try:
        raise problem
    except ValueError:
        logger.exception("broken")

    assert session.logs == [
        ("info", "read 3 rows", {"logger": "shop.rows", "level": "INFO"}, None),
        ("info", "slow", {"logger": "shop.rows", "level": "WARNING"}, None),
        ("error", "broken", {"logger": "shop.rows", "level": "ERROR"}, problem),
    ]


def test_a_line_that_cannot_be_formatted_does_not_break_the_task(
    session: FakeSession, controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.Logger("shop")
    logger.addHandler(controller.logger.handler())

    logger.info("%d rows", "three")

    assert session.logs == []
    assert "Logging error" in capsys.readouterr().err
