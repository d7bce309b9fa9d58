"""Which finished runs are the newest, compared with a plain list."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from podrelay.operator.cache.finished_runs import FinishedRuns
from tests.unit.operator.builders import NOW

RUNS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=30)


@given(RUNS, st.sets(st.integers(0, 9)), st.integers(0, 5))
def test_the_order_is_that_of_the_ends(ends: list[tuple[int, int]], removed: set[int], limit: int) -> None:
    runs: FinishedRuns[str, int] = FinishedRuns()
    known: dict[int, int] = {}
    for run, end in ends:
        runs.add("count-words", run, NOW + timedelta(seconds=end))
        known.setdefault(run, end)
    for run in removed:
        runs.remove(run)
        known.pop(run, None)

    newest_first = sorted(known, key=lambda run: (known[run], run), reverse=True)

    assert [runs.newer_than(run) for run in newest_first] == list(range(len(newest_first)))
    assert runs.first_beyond("count-words", limit) == (newest_first[limit] if len(newest_first) > limit else None)


def test_definitions_do_not_mix() -> None:
    runs: FinishedRuns[str, str] = FinishedRuns()
    runs.add("a", "one", NOW)
    runs.add("b", "two", NOW + timedelta(seconds=1))

    assert runs.newer_than("one") == 0
    assert runs.newer_than("unknown") == 0
    assert runs.first_beyond("a", 0) == "one"
    assert runs.first_beyond("c", 0) is None
