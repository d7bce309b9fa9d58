"""One event, one line, with its fields; and metrics whose number is bounded."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from podrelay.operator import logs, metrics  # noqa: F401 - imported so that they are registered


@pytest.fixture
def root() -> Iterator[None]:
    before = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:], level = before
    logging.root.setLevel(level)


@pytest.mark.usefixtures("root")
def test_a_text_line_has_time_level_message_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=False, verbose=False)

    logging.getLogger("x").info("run finished", extra={"run": "shop/words", "phase": "Failed"})

    line = capsys.readouterr().err
    assert line.endswith("INFO    run finished run=shop/words phase=Failed\n")
    assert line[2] == ":"


@pytest.mark.usefixtures("root")
def test_a_message_with_line_breaks_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=False, verbose=False)

    logging.getLogger("x").warning("refused: %s", "a\n12:00:00.000 INFO forged", extra={"reason": "b\nc"})

    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.usefixtures("root")
def test_a_json_line_is_json_with_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=True, verbose=False)

    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("x").exception("gefährlich", extra={"run": "shop/words", "seconds": 1.5})

    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["message"], line["run"], line["seconds"]) == ("error", "gefährlich", "shop/words", 1.5)
    assert "ValueError: odd" in line["exception"]
    assert line["logger"] == "x"


@pytest.mark.usefixtures("root")
def test_objects_are_never_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=True, verbose=False)

    logging.getLogger("x").info("event", extra={"body": {"secret": "s"}})

    assert "secret" not in capsys.readouterr().err


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("verbose", [True, False])
def test_debug_lines_are_only_logged_if_requested(capsys: pytest.CaptureFixture[str], verbose: bool) -> None:
    logs.configure(as_json=False, verbose=verbose)

    logging.getLogger("x").debug("details")

    assert ("details" in capsys.readouterr().err) == verbose
    assert sys.stderr is not None


def test_labels_of_metrics_have_a_bounded_number_of_values() -> None:
    ours = [metric for metric in REGISTRY.collect() if metric.name.startswith("podrelay_")]
    own = [metric for metric in ours if not metric.name.startswith("podrelay_gateway_")]  # has its own test
    labels = {label for metric in own for sample in metric.samples for label in sample.labels}

    assert own
    # Namespaces and definitions come from `run_metrics`, which counts those beyond a thousand together.
    assert labels <= {"kind", "outcome", "phase", "le", "resource", "state", "namespace", "definition"}
