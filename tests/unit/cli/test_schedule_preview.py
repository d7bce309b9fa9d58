"""`podrelay schedule preview` without a cluster."""

import json

import pytest

from podrelay.cli.main import run

VIENNA = ["--cron", "30 2 * * *", "--time-zone", "Europe/Vienna"]
FROM = ["--from", "2026-03-28T00:00:00Z"]


def preview(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run(["schedule", "preview", *arguments, "-o", "json"]) == 0
    times: list[str] = json.loads(capsys.readouterr().out)
    return times


def test_it_prints_a_list_of_times_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(capsys, *VIENNA, *FROM, "--count", "3") == [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
    ]


def test_literal_times_are_left_out_when_clocks_do(capsys: pytest.CaptureFixture[str]) -> None:
    times = preview(capsys, *VIENNA, *FROM, "--count", "2", "--daylight-saving", "Literal")
    assert times == ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]


def test_a_time_at_the_begin_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(capsys, "--every", "15m", *FROM, "--count", "2") == ["2026-03-28T00:00:00Z", "2026-03-28T00:15:00Z"]


def test_a_fraction_of_a_second_later_it_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    times = preview(capsys, "--every", "15m", "--from", "2026-03-28T00:00:00.5Z", "--count", "1")
    assert times == ["2026-03-28T00:15:00Z"]


def test_excluded_times_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    times = preview(capsys, "--every", "12h", "--exclude", "* 12 * * *", *FROM, "--count", "2")
    assert times == ["2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z"]


def test_without_a_format_each_time_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schedule", "preview", *VIENNA, *FROM, "--count", "2"]) == 0
    assert capsys.readouterr().out == "2026-03-28T01:30:00Z\n2026-03-29T01:00:00Z\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--cron", "61 2 * * *"], 1, "schedules[0]: '61 2 * * *' is not a cron expression: Bad minute"),
        (["--cron", "* * * * *", "--time-zone", "Europe/Wien"], 1, "'Europe/Wien' is not a time zone"),
        (["--every", "1s"], 1, "at least 10s"),
        ([], 2, "give either the name of a schedule, or --cron or --every"),
        (["nightly", "--cron", "* * * * *"], 2, "give either"),
    ],
)
def test_wrong_arguments_are_explained(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert run(["schedule", "preview", *arguments]) == code
    assert message in " ".join(capsys.readouterr().err.split())
