"""Projections of pods, and how they handle annotations that were edited by hand."""

import pytest

from podrelay.api import names
from tests.unit.operator.builders import pod

MOMENT = "2026-03-01T12:00:00+00:00"


@pytest.mark.parametrize("value", ["", "soon", "-5", "1e3", "1.5", "9" * 30, "٣", "NaN"])
def test_an_annotation_that_is_not_a_number_of_seconds_counts_as_its_default(value: str) -> None:
    edited = pod(
        annotations={
            names.ANNOTATION_ITERATION_TIMEOUT: value,
            names.ANNOTATION_PENDING_TIMEOUT: value,
            names.ANNOTATION_NODE_LOST_TIMEOUT: value,
            names.ANNOTATION_HEARTBEAT_TIMEOUT: value,
        }
    ).metadata.annotations

    assert (edited.iteration_timeout, edited.pending_timeout, edited.node_lost_timeout) == ("900", "900", "600")
    assert edited.heartbeat_timeout is None


def test_an_annotation_that_is_a_number_counts() -> None:
    assert pod(annotations={names.ANNOTATION_PENDING_TIMEOUT: "5"}).metadata.annotations.pending_timeout == "5"


@pytest.mark.parametrize(("value", "kept"), [(MOMENT, MOMENT), ("yesterday", None), ("2026-03-01T12:00:00", None)])
def test_an_invalid_time_counts_as_none(value: str, kept: str | None) -> None:
    assert pod(annotations={names.ANNOTATION_ENDING_SINCE: value}).metadata.annotations.ending_since == kept
