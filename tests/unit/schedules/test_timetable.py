"""Timetables: several rules, exclusions, begin and end, and the time before another one."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from podrelay.schedules.timetable import Timetable, TimetableError, in_text
from podrelay.schedules.zones import zone

BEGIN = datetime(2026, 3, 28, tzinfo=UTC)


def times(count: int, *schedules: dict[str, str], since: datetime = BEGIN, **spec: Any) -> list[str]:
    return [in_text(time) for time in Timetable({"schedules": schedules, **spec}).next(since, count)]


def test_a_time_that_two_rules_name_counts_once() -> None:
    assert times(4, {"cron": "0 * * * *"}, {"every": "30m"}) == [
        "2026-03-28T00:30:00Z",
        "2026-03-28T01:00:00Z",
        "2026-03-28T01:30:00Z",
        "2026-03-28T02:00:00Z",
    ]


def test_an_interval_counts_from_the_epoch_with_its_offset() -> None:
    assert times(2, {"every": "15m", "offset": "5m"}) == ["2026-03-28T00:05:00Z", "2026-03-28T00:20:00Z"]


def test_the_offset_itself_is_a_time() -> None:
    assert times(1, {"every": "24h", "offset": "1h"}, since=BEGIN + timedelta(minutes=59)) == ["2026-03-28T01:00:00Z"]


def test_no_time_is_before_the_begin_or_at_the_end() -> None:
    assert times(9, {"every": "1h"}, startAt="2026-03-28T03:00:00+01:00", endAt="2026-03-28T04:00:00Z") == [
        "2026-03-28T02:00:00Z",
        "2026-03-28T03:00:00Z",
    ]


@pytest.mark.parametrize(
    "exclusion",
    [
        {"cron": "* 1-22 * * *"},
        {"date": "2026-03-28"},
        {"from": "2026-03-28T00:30:00Z", "until": "2026-03-28T23:00:00Z"},
    ],
)
def test_excluded_times_are_left_out(exclusion: dict[str, str]) -> None:
    assert times(1, {"every": "1h"}, since=BEGIN + timedelta(minutes=5), exclude=[exclusion])[0] in {
        "2026-03-28T23:00:00Z",
        "2026-03-29T00:00:00Z",
    }


def test_a_date_is_excluded_in_the_time_zone_of_the_schedule() -> None:
    found = times(2, {"every": "1h"}, timeZone="Pacific/Kiritimati", exclude=[{"date": "2026-03-28"}], since=BEGIN)
    assert found[0] == "2026-03-28T10:00:00Z"


def test_a_schedule_that_excludes_all_of_its_times_has_none() -> None:
    assert times(1, {"every": "10s"}, exclude=[{"cron": "* * * * *"}]) == []


@given(
    rule=st.sampled_from(
        [
            {"cron": "30 2 * * *"},
            {"cron": "*/7 * * * *"},
            {"every": "17m"},
            {"cron": "0 0 29 2 *"},
            {"cron": "0 9 1 * *"},
        ]
    ),
    at=st.datetimes(datetime(2001, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
)
def test_before_is_the_opposite_of_after(rule: dict[str, str], at: datetime) -> None:
    timetable = Timetable({"schedules": [rule], "timeZone": "Europe/Vienna"})
    before = timetable.before(at)
    assert before is not None
    assert before < at
    assert timetable.next(before, 1)[0] >= at


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"timeZone": "Europe/Wien"}, "timeZone: 'Europe/Wien' is not a time zone"),
        ({"timeZone": "../../etc/passwd"}, "is not a time zone"),
        ({"timeZone": "Europe"}, "is not a time zone"),
        (
            {"schedules": [{"cron": "61 * * * *"}]},
            r"schedules\[0\]: '61 \* \* \* \*' is not a cron expression: Bad minute",
        ),
        ({"schedules": [{"every": "9s"}]}, "at least 10s"),
        ({"schedules": [{"every": "90x"}]}, "'90x' is not a duration"),
        ({"schedules": [{"every": "1m", "offset": "60s"}]}, "shorter than every"),
        ({"exclude": [{"date": "2026-02-30"}]}, r"exclude\[0\]"),
    ],
)
def test_an_invalid_rule_is_named(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(TimetableError, match=message):
        Timetable({"schedules": [{"every": "1h"}]} | spec)


def test_only_rules_about_times_make_another_timetable() -> None:
    one = Timetable({"schedules": [{"every": "1h"}], "suspend": True})
    assert one.identity == Timetable({"schedules": [{"every": "1h"}], "suspend": False}).identity
    assert one.identity != Timetable({"schedules": [{"every": "2h"}]}).identity


RULES = ({"every": "10s"}, {"every": "17m"}, {"cron": "*/5 * * * *"}, {"cron": "30 2 * * *"})
EXCLUSIONS = (
    {"cron": "* * * * *"},
    {"cron": "* * * * MON-FRI"},
    {"cron": "* 1-22 * * *"},
    {"cron": "*/10 * * * *"},
    {"cron": "0-58 2 * * *"},
    {"date": "2026-03-29"},
    {"date": "2026-10-25"},
    {"from": "2026-03-28T00:30:00Z", "until": "2026-03-30T23:00:05Z"},
    {"until": "2026-03-29T00:30:00Z"},
)


@settings(max_examples=20, deadline=None)
@given(
    rules=st.lists(st.sampled_from(RULES), min_size=1, max_size=2, unique_by=str),
    exclude=st.lists(st.sampled_from(EXCLUSIONS), max_size=3, unique_by=str),
    begin=st.sampled_from([datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 10, 24, 20, 3, 7, tzinfo=UTC)]),
)
def test_excluded_times_are_those_that_an_exclusion_covers(
    rules: list[dict[str, str]], exclude: list[dict[str, str]], begin: datetime
) -> None:
    zone_name, end = "Europe/Vienna", begin + timedelta(hours=6)
    place = zone(zone_name)

    def is_excluded(time: datetime, item: dict[str, str]) -> bool:
        if "cron" in item:
            local = time.astimezone(place).replace(tzinfo=None, second=0, fold=0)
            return next(CronSim(item["cron"], local - timedelta(seconds=1))) == local
        if "date" in item:
            return time.astimezone(place).date().isoformat() == item["date"]
        first, last = item.get("from", "1000-01-01T00:00:00Z"), item["until"]
        return datetime.fromisoformat(first) <= time < datetime.fromisoformat(last)

    def until_end(timetable: Timetable) -> list[datetime]:
        return list(itertools.takewhile(lambda time: time <= end, timetable.after(begin)))

    everything = until_end(Timetable({"schedules": rules, "timeZone": zone_name}))
    expected = [time for time in everything if not any(is_excluded(time, item) for item in exclude)]
    assert until_end(Timetable({"schedules": rules, "exclude": exclude, "timeZone": zone_name})) == expected


def test_a_year_without_times_does_not_end_a_schedule() -> None:
    year = {"from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}
    found = times(1, {"every": "10s"}, exclude=[year, {"cron": "* * * * MON-FRI"}])
    assert found == ["2027-01-02T00:00:00Z"]
