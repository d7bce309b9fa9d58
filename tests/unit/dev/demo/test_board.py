"""The demo's table of runs."""

import io
from typing import Any

from rich.console import Console

from dev.demo.board import Board, Picture, bar, row, table

UID = "00000000-0000-0000-0000-000000000001"


def a_run(name: str = "count", uid: str = UID, **status: Any) -> dict[str, Any]:
    return {"kind": "TaskRun", "metadata": {"name": name, "uid": uid}, "status": status}


def a_record(at: str, percent: float, uid: str = UID) -> dict[str, Any]:
    metadata = {"name": "count-i1", "ownerReferences": [{"kind": "TaskRun", "uid": uid}]}
    return {"kind": "TaskIteration", "metadata": metadata, "progress": progress(at, percent)}


def progress(at: str, percent: float) -> dict[str, Any]:
    return {"percent": percent, "message": f"{percent:.0f}/100 files", "at": f"2026-01-01T00:00:{at}Z"}


def a_console(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_run_that_the_operator_has_not_seen_yet_is_pending() -> None:
    new = a_run()
    del new["status"]

    assert row(new, {}) == ("count", "Pending", "", "", "", "", "")


def test_a_running_run_shows_iteration_progress_and_pod() -> None:
    run = a_run(
        phase="Running",
        reason="IterationRunning",
        iterations=3,
        maxIterations=50,
        current={"podName": "count-i3"},
    )

    cells = row(run, progress("00", 50))

    assert cells.iteration == "3 of max 50"
    assert (cells.bar, cells.progress, cells.pod) == ("######------", "50/100 files", "count-i3")


def test_a_bar_is_limited_to_its_width() -> None:
    assert [bar(percent).count("#") for percent in (-1, 0, 50, 99.9, 100, 101)] == [0, 0, 6, 11, 12, 12]


def test_the_newest_progress_counts_from_either_run_or_record() -> None:
    picture = Picture(("count",))

    picture.take(a_run(progress=progress("01", 10)))
    picture.take(a_record("05", 30))
    picture.take(a_run(progress=progress("03", 20)))

    assert picture.progress("count")["percent"] == 30


def test_a_record_of_a_former_run_of_the_same_name_does_not_count() -> None:
    picture = Picture(("count",))

    picture.take(a_run(progress=progress("01", 10)))
    picture.take(a_record("59", 90, uid="00000000-0000-0000-0000-000000000002"))

    assert picture.progress("count")["percent"] == 10


def test_runs_of_others_are_not_shown() -> None:
    picture = Picture(("count",))

    picture.take(a_run("other"))

    assert picture.rows() == []


def test_the_table_omits_bars_on_a_narrow_terminal() -> None:
    run = a_run(
        "wordcount",
        phase="Succeeded",
        reason="IterationRunning",
        iterations=6,
        maxIterations=50,
        current={"podName": "wordcount-i6"},
    )
    complete = {"percent": 100.0, "message": "544/544 files"}
    narrow, wide = a_console(80), a_console(120)

    narrow.print(table([row(run, complete)], narrow.width))
    wide.print(table([row(run, complete)], wide.width))

    assert "wordcount-i6" in printed(narrow)
    assert "#" not in printed(narrow)
    assert "############" in printed(wide)


def test_without_a_terminal_there_is_a_line_for_each_change() -> None:
    console = a_console(120)
    seconds = iter((0.0, 1.0, 7.0))
    first = row(a_run(phase="Running", current={"podName": "count-i1"}), progress("01", 50))

    with Board(console, lambda: next(seconds)) as board:
        board.show([first])
        board.show([first._replace(progress="51/100 files")])
        board.show([first._replace(pod="count-i2")])

    title, *lines = printed(console).splitlines()
    assert title.split() == ["RUN", "PHASE", "REASON", "ITERATION", "PROGRESS", "POD"]
    assert [line.split()[:2] + line.split()[-1:] for line in lines] == [["1", "s", "count-i1"], ["7", "s", "count-i2"]]
