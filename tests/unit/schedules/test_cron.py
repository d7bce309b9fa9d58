"""Cron expressions against a walk through all minutes, in zones that change their clocks in every way."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podrelay.schedules.cron import Cron, CronError
from podrelay.schedules.zones import zone

MINUTE = timedelta(minutes=1)
ZONES = (
    "Europe/Vienna",
    "Europe/Dublin",  # its winter time is the exception
    "America/New_York",
    "America/Havana",  # changes at midnight
    "America/St_Johns",
    "Africa/Cairo",
    "Africa/Casablanca",  # four changes in some years
    "Asia/Tehran",
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Apia",  # left out a whole day
    "Pacific/Chatham",
    "Antarctica/Troll",  # by two hours
)


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """Return the hours in which clocks change, 2009 to 2027."""
    place = zone(name)
    hours = [datetime(2009, 1, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(19 * 8766)]
    return tuple(
        one
        for one, other in pairwise(hours)
        if one.astimezone(place).utcoffset() != other.astimezone(place).utcoffset()
    )


Field = tuple[str, Callable[[int], bool]]


def numbers(low: int, high: int) -> st.SearchStrategy[Field]:
    """Return fields of an expression, each with what it matches."""
    one = st.integers(low, high)
    listed = st.lists(one, min_size=1, max_size=3, unique=True).map(
        lambda chosen: (",".join(map(str, chosen)), lambda value: value in chosen)
    )
    ranged = st.tuples(one, one).map(
        lambda ends: (f"{min(ends)}-{max(ends)}", lambda value: min(ends) <= value <= max(ends))
    )
    stepped = st.integers(2, 7).map(lambda step: (f"*/{step}", lambda value: (value - low) % step == 0))
    return st.one_of(st.just(("*", lambda _value: True)), listed, ranged, stepped)


def walk(
    begin: datetime, minutes: int, place: ZoneInfo, matches: Callable[[datetime], bool], *, follows_clock: bool
) -> Iterator[datetime]:
    """Check every minute, and every minute that clocks leave out."""
    before = (begin - MINUTE).astimezone(place).replace(tzinfo=None)
    for number in range(minutes):
        instant = begin + number * MINUTE
        aware = instant.astimezone(place)
        local = aware.replace(tzinfo=None, fold=0)
        left_out = [before + step * MINUTE for step in range(1, int((local - before) / MINUTE))]
        is_first_pass = aware.fold == 0
        if follows_clock:
            if matches(local):
                yield instant
        elif any(map(matches, left_out)) or (matches(local) and is_first_pass):
            yield instant
        before = local


@settings(max_examples=40, deadline=None)
@given(data=st.data(), name=st.sampled_from(ZONES), literal=st.booleans())
def test_the_times_are_those_of_a_walk_through_all_minutes(data: st.DataObject, name: str, literal: bool) -> None:
    place = zone(name)
    change = data.draw(st.sampled_from(changes(name)))
    begin = change - timedelta(minutes=data.draw(st.integers(1, 1440)))
    minute, hour = data.draw(numbers(0, 59)), data.draw(numbers(0, 23))
    weekday = data.draw(st.one_of(st.just(("*", lambda _value: True)), numbers(0, 6)))
    cron = Cron(f"{minute[0]} {hour[0]} * * {weekday[0]}", place, follows_clock=literal)

    def matches(local: datetime) -> bool:
        return minute[1](local.minute) and hour[1](local.hour) and weekday[1](local.isoweekday() % 7)

    follows = literal or minute[0].startswith("*") or hour[0].startswith("*")
    length = 2 * 1440
    expected = list(walk(begin + MINUTE, length, place, matches, follows_clock=follows))
    found = []
    for time in cron.after(begin):
        if time > begin + length * MINUTE:
            break
        found.append(time)
    assert found == expected


@pytest.mark.parametrize("name", ZONES)
def test_each_zone_changes_its_clocks_in_both_directions(name: str) -> None:
    place = zone(name)

    def offset(at: datetime) -> timedelta:
        return at.astimezone(place).utcoffset() or timedelta()

    directions = {offset(at + timedelta(hours=1)) > offset(at) for at in changes(name)}
    assert directions == {True, False}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "a b c d e",
        "*/0 * * * *",
        "30 2 30 2 *",
        "* * * * * *",
        "1-0 * * * *",
        "L L L L L",
        "5/-1 * * * *",
    ],
)
def test_an_invalid_expression_is_refused_with_a_message_that_quotes_it(text: str) -> None:
    with pytest.raises(CronError, match="cron expression") as error:
        Cron(text, zone("UTC"))
    assert repr(text) in str(error.value)


@settings(max_examples=300)
@given(st.text(alphabet="0123456789*/,-#LWMONJA ", max_size=20))
def test_any_text_is_accepted_or_refused_but_never_an_error(text: str) -> None:
    with contextlib.suppress(CronError):
        Cron(text, zone("UTC"))


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("@hourly", "2026-03-28T13:00:00+00:00"),
        ("@daily", "2026-03-29T00:00:00+00:00"),
        ("@Weekly", "2026-03-29T00:00:00+00:00"),
        ("@monthly", "2026-04-01T00:00:00+00:00"),
        ("@yearly", "2027-01-01T00:00:00+00:00"),
        ("0 0 L * *", "2026-03-31T00:00:00+00:00"),
        ("0 9 * * FRI#1", "2026-04-03T09:00:00+00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00+00:00"),
    ],
)
def test_names_and_special_days(text: str, first: str) -> None:
    assert next(Cron(text, zone("UTC")).after(datetime(2026, 3, 28, 12, tzinfo=UTC))).isoformat() == first
