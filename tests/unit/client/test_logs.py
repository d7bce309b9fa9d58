"""Every log line is returned once and in order, however its record grows, drops lines and is read."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from podrelay.client import logs

KEPT = 5


def record(count: int, iteration: int = 1, attempt: int = 1, hook: str | None = None) -> dict[str, Any]:
    """Return a record into which `count` lines have been logged; it keeps only the newest ones."""
    items = [
        {"time": "2026-01-02T03:04:05.123456789Z", "type": "info", "message": str(number)} for number in range(count)
    ][-KEPT:]
    return {
        "metadata": {"uid": f"{iteration}-{attempt}", "creationTimestamp": "2026-01-02T03:04:05Z"},
        "iteration": iteration,
        "try": attempt,
        "podName": "a-run-i1",
        **({"hook": hook} if hook else {}),
        **({"logs": items} if items else {}),
        **({"droppedLogs": count - KEPT} if count > KEPT else {}),
    }


@given(st.lists(st.integers(0, 6)))
def test_each_line_is_returned_once_or_counted_as_dropped(steps: list[int]) -> None:
    reader, total = logs.Reader(), 0
    returned: list[int] = []
    dropped = 0
    for step in steps:
        total += step
        lines = list(reader.new_lines(record(total)))
        returned += [int(line.message) for line in lines]
        dropped += sum(line.dropped for line in lines)
        assert all(line.dropped == 0 for line in lines[1:])

    assert returned == sorted(set(returned))
    assert len(returned) + dropped == total
    assert returned[-1:] == ([total - 1] if total else [])


def test_an_older_version_of_a_record_returns_no_line_again() -> None:
    reader = logs.Reader()
    list(reader.new_lines(record(3)))

    assert list(reader.new_lines(record(2))) == []
    assert [line.message for line in reader.new_lines(record(4))] == ["3"]


def test_only_the_requested_iteration() -> None:
    reader = logs.Reader(iteration=2)

    assert list(reader.new_lines(record(1, iteration=1))) == []
    assert [(line.iteration, line.attempt) for line in reader.new_lines(record(1, iteration=2, attempt=3))] == [(2, 3)]


def test_records_are_sorted_as_they_were_written() -> None:
    hook = record(1, iteration=0, hook="onDone")
    expected = [record(1, 1), record(1, 2), record(1, 2, 2), record(1, 10), hook]

    assert sorted((expected[i] for i in (3, 0, 4, 2, 1)), key=logs.order) == expected


# --- the output of pods -----------------------------------------------------------------------------------------------


def printed(text: str, dropped: int = 0, finished: bool = True) -> dict[str, Any]:
    console = {"text": text} | ({"droppedBytes": dropped} if dropped else {})
    return record(0) | {"console": console} | ({"finishedAt": "2026-01-02T03:04:06Z"} if finished else {})


def test_the_output_of_a_pod_is_returned_once_it_has_answered() -> None:
    reader = logs.Reader(console=True)

    assert list(reader.new_lines(printed("one\n", finished=False))) == []
    lines = list(reader.new_lines(printed("one\ntwo\n")))
    assert [(line.type, line.message, line.pod) for line in lines] == [
        ("output", "one", "a-run-i1"),
        ("output", "two", "a-run-i1"),
    ]
    assert list(reader.new_lines(printed("one\ntwo\n"))) == []


def test_only_new_output_of_hooks_is_returned() -> None:
    reader = logs.Reader(console=True)
    list(reader.new_lines(printed("one\ntwo\n")))

    assert [line.message for line in reader.new_lines(printed("one\ntwo\nhook\n"))] == ["hook"]
    assert [line.message for line in reader.new_lines(printed("two\nhook\nlast\n", dropped=4))] == ["last"]


def test_dropped_and_unavailable_output_is_reported() -> None:
    (first, second) = logs.Reader(console=True).new_lines(printed("end\n", dropped=7))
    assert (first.message, second.message) == ("(7 bytes before this are not kept)", "end")
    refused = record(0) | {"console": {"problem": "no such right"}, "finishedAt": "2026-01-02T03:04:06Z"}
    (line,) = logs.Reader(console=True).new_lines(refused)
    assert line.message == "(no such right)"


def test_the_output_of_pods_is_returned_only_if_requested() -> None:
    assert list(logs.Reader().new_lines(printed("one\n"))) == []
