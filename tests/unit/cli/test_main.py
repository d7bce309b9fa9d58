"""The dispatcher: finds the subcommand, imports only that one, and reports errors."""

import ast
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from podrelay.cli import main


def exit_code(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as caught:
        main.run(list(arguments))
    return caught.value.code


def test_help_lists_the_commands_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    out = capsys.readouterr().out

    assert "podrelay manifests shop.tasks --image registry/shop:1 | kubectl apply -f -" in out
    assert {"manifests", "operator"} <= set(out.split())


def test_a_command_explains_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("manifests", "--help") == 0
    assert "--service-account" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out.startswith("podrelay 0.")


@pytest.mark.parametrize(
    "arguments",
    [[], ["unknown"], ["manifests"], ["manifests", "m"], ["manifests", "m", "--image", "x", "-o", "xml"]],
    ids=" ".join,
)
def test_wrong_usage_ends_in_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(*arguments) == 2
    assert "usage: podrelay" in capsys.readouterr().err


def test_the_operator_is_run_with_its_own_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    options = SimpleNamespace(add_arguments=lambda parser: parser.add_argument("--flag"))
    monkeypatch.setitem(sys.modules, "podrelay.operator.options", options)
    operator = SimpleNamespace(run=lambda parsed: 7 if parsed.flag == "x" else 1)
    monkeypatch.setitem(sys.modules, "podrelay.operator.main", operator)

    assert main.run(["operator", "--flag", "x"]) == 7


def test_ctrl_c_before_the_command_handles_it_prints_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "run", interrupted)

    with pytest.raises(SystemExit) as ended:
        main.main()

    assert ended.value.code == 130


def test_without_the_operators_packages_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name}", name="kopf")

    monkeypatch.setattr("importlib.import_module", missing)

    assert main.run(["operator"]) == 2
    assert "pip install 'podrelay[operator]'" in capsys.readouterr().err


def test_only_the_command_that_is_used_is_imported() -> None:
    code = """
import contextlib, sys
from podrelay.cli import main
with contextlib.suppress(SystemExit):
    main.run(["--version"])
print([name for name in sys.modules if name.startswith(("podrelay.operator", "podrelay.cli.", "kopf", "pydantic"))])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert ast.literal_eval(ended.stdout.splitlines()[-1]) == [
        f"podrelay.cli.{module}" for module in ("commands", "exit_codes", "leading_flags", "main")
    ]


def test_the_package_loads_its_names_lazily() -> None:
    code = """
import sys, podrelay
assert not [name for name in sys.modules if name.startswith("podrelay.")]
from podrelay import Controller, TaskDefinition, TaskRun
assert "pydantic" not in sys.modules
for name in podrelay.__all__:
    getattr(podrelay, name)
try:
    podrelay.Nothing
except AttributeError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout == "module 'podrelay' has no attribute 'Nothing'\n"
