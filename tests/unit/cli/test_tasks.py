"""The commands that talk to a cluster, as far as they can be tested without one."""

import io
import subprocess
import sys
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from podrelay.cli import commands, main
from podrelay.cli.tasks import parsing, printing
from podrelay.client import Run, RunEvent, results
from podrelay.client.stream import Cancellation, Stream

RUN: dict[str, Any] = {
    "apiVersion": "podrelay.dev/v1alpha1",
    "kind": "TaskRun",
    "metadata": {
        "name": "autumn",
        "namespace": "shop",
        "uid": "u",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "managedFields": [{"manager": "x"}],
    },
    "spec": {"definition": "import-products", "displayName": "[red]All[/red]"},
    "status": {"phase": "Running", "iterations": 3, "maxIterations": 50, "message": "two\nlines"},
}


def run(**changes: Any) -> Run:
    return results.run_of({**RUN, **changes})


@pytest.mark.parametrize("command", commands.CLUSTER)
def test_the_help_of_each_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([command, "--help"], "kubectl podrelay") == 0

    out = capsys.readouterr().out
    assert out.startswith(f"Usage: kubectl podrelay {command} ")
    assert f"Example:\n    kubectl podrelay {command}" in out
    assert "--kubeconfig" in out or command == "schedule"  # a group of commands


def test_help_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.run(["--help"])

    assert set(commands.CLUSTER) <= set(capsys.readouterr().out.split())


def test_a_shell_completes_all_commands() -> None:
    from podrelay.cli.tasks.app import application

    app = application("podrelay")
    offered = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}

    assert offered == {*commands.CLUSTER, *commands.LOCAL}


def test_nothing_of_the_cluster_commands_is_imported_for_others() -> None:
    code = """
import contextlib, sys
from podrelay.cli import commands, main
with contextlib.suppress(SystemExit):
    main.run(["manifests", "--help"])
print({"kubernetes", "typer", "rich", "urllib3"} & set(sys.modules))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("package", ["typer", "kubernetes"])
def test_without_their_packages_they_say_what_to_install(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from podrelay.cli import main; sys.exit(main.run(['list']))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)

    assert (ended.returncode, ended.stderr) == (2, "podrelay list needs more packages: pip install 'podrelay[cli]'\n")


def test_as_a_plugin_it_calls_itself_by_that_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl-podrelay", "list", "--kubeconfig", str(tmp_path / "none")])
    monkeypatch.setattr(sys, "stderr", printed)

    with pytest.raises(SystemExit) as ended:
        main.main()

    assert ended.value.code == 1
    assert printed.getvalue().startswith("kubectl podrelay list: no cluster to connect to: ")
    assert printed.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172_800), ("1w", 604_800), ("1.5h", 5400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parsing.duration(text) == timedelta(seconds=seconds)


@given(st.text(max_size=6).filter(lambda text: not any(character.isdigit() for character in text)))
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parsing.duration(text)


@pytest.mark.parametrize("text", ["h", "1h soon", "-5m", "1x", "99999999999999w"])
def test_an_almost_valid_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parsing.duration(text)


def test_times() -> None:
    assert parsing.moment("2026-12-31T18:00:00Z") == datetime(2026, 12, 31, 18, tzinfo=UTC)
    assert parsing.moment("2026-12-31").tzinfo is not None
    assert abs(datetime.now(UTC) - timedelta(hours=2) - parsing.moment("2h")) < timedelta(minutes=1)
    assert parsing.start("2026-12-31T18:00:00+02:00") == datetime(2026, 12, 31, 16, tzinfo=UTC)
    for parse, text in ((parsing.moment, "yesterday"), (parsing.start, "2h"), (parsing.moment, "9999999d")):
        with pytest.raises(typer.BadParameter):
            parse(text)


def test_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"from": "file"}', encoding="utf-8")

    assert parsing.json_input('{"a": null}') == {"a": None}
    assert parsing.json_input(f"@{file}") == {"from": "file"}
    for dash in ("-", "@-"):
        monkeypatch.setattr(sys, "stdin", io.StringIO('{"from": "stdin"}'))
        assert parsing.json_input(dash) == {"from": "stdin"}
    (tmp_path / "binary").write_bytes(b"\xff")
    for wrong in ("", "[]", "null", "{", "@", f"@{tmp_path / 'none'}", f"@{tmp_path / 'binary'}"):
        with pytest.raises(typer.BadParameter):
            parsing.json_input(wrong)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([], 0), ([0, 0], 0), ([0, 3], 3), ([3, 124, 0], 124), ([124, 1, 3], 1), ([1, 130], 130)],
)
def test_the_exit_code_for_several_runs_is_the_worst_one(codes: list[int], expected: int) -> None:
    from podrelay.cli.tasks import following

    assert following.worst(codes) == expected


def test_ids_can_be_given_as_they_are_printed() -> None:
    assert parsing.run_id(printing.name_of(run())) == parsing.run_id("autumn") == "autumn"


def test_tables_show_the_texts_of_users_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_many([run()], printing.RUN_COLUMNS, "wide", namespaces=True)

    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "NAMESPACE"
    assert row.split()[:6] == ["shop", "autumn", "[red]All[/red]", "importProducts", "Running", "3/50"]
    assert "two lines" in row


def test_long_rows_are_not_cut_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_one(run(spec={"definition": "d", "displayName": "x" * 250}), printing.RUN_COLUMNS, "table")

    assert "x" * 250 in capsys.readouterr().out


def test_documents_are_complete_except_managed_fields(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    import yaml

    metadata = {key: value for key, value in RUN["metadata"].items() if key != "managedFields"}
    printing.print_one(run(), printing.RUN_COLUMNS, "json")
    assert json.loads(capsys.readouterr().out) == {**RUN, "metadata": metadata}
    printing.print_many([run()], printing.RUN_COLUMNS, "yaml")
    listed = yaml.safe_load(capsys.readouterr().out)
    assert (listed["kind"], listed["items"][0]["spec"]) == ("List", RUN["spec"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (119, "119s"), (120, "2m0s"), (3599, "59m"), (10_800, "3h"), (172_799, "47h"), (172_800, "2d")],
)
def test_ages(seconds: int, text: str) -> None:
    assert printing.short(timedelta(seconds=seconds)) == text


Kind = Literal["existing", "created", "changed", "finished", "deleted"]


def _nothing(_: Cancellation) -> Generator[RunEvent]:
    yield from ()


def test_the_board_of_top_has_the_active_runs() -> None:
    from podrelay.cli.tasks.top import Board

    def named(name: str, phase: str) -> Run:
        return run(metadata=RUN["metadata"] | {"name": name, "uid": name}, status={"phase": phase})

    board = Board(Stream(_nothing), namespaces=False)
    events: tuple[tuple[Kind, Run], ...]
    events = (
        ("existing", named("old", "Succeeded")),
        ("existing", named("waits", "Pending")),
        ("created", named("works", "Running")),
        ("created", named("ends", "Running")),
        ("finished", named("ends", "Failed")),
        ("created", named("goes", "Pending")),
        ("deleted", named("goes", "Pending")),
    )
    for kind, item in events:
        board.take(RunEvent(kind, item))

    table = board.table(rows=10)
    assert [str(cell) for cell in table.columns[0].cells] == ["works", "waits"]
    assert table.caption == "2 active"
    assert board.table(rows=1).caption == "2 active, 1 are not shown"
