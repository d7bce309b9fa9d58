"""Flags before the command, as kubectl accepts them."""

import pytest

from podrelay.cli import leading_flags, main


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("list", "list"),
        ("-n shop list --limit 3", "list -n shop --limit 3"),
        ("-nshop list", "list -nshop"),
        ("--namespace=shop list", "list --namespace=shop"),
        ("--context prod --kubeconfig /k -n list list", "list --context prod --kubeconfig /k -n list"),
        ("-n shop --help", "--help -n shop"),
        ("-n shop", ""),
        ("-n", ""),
        ("", ""),
        ("-o json list", "-o json list"),
        ("logs -n shop autumn", "logs -n shop autumn"),
    ],
)
def test_flags_that_select_a_cluster_move_after_the_command(line: str, expected: str) -> None:
    assert leading_flags.after_the_command(line.split()) == expected.split()


def test_a_command_gets_the_flags_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--kubeconfig", "/no/such/file", "-n", "shop", "list"]) == 1

    assert capsys.readouterr().err.startswith("podrelay list: no cluster to connect to: ")


def test_a_flag_of_the_command_itself_must_follow_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["-o", "json", "list"], "kubectl podrelay") == 2

    assert capsys.readouterr().err == ("kubectl podrelay: -o must follow the command: kubectl podrelay list -o json\n")


@pytest.mark.parametrize(
    ("words", "place", "expected", "new_place"),
    [
        ("podrelay -n shop get comp", "4", "podrelay get -n shop comp", "4"),
        ("podrelay -n shop ge", "3", "podrelay ge", "1"),
        ("podrelay -n shop", "3", "podrelay", "1"),
        ("podrelay get comp", "2", "podrelay get comp", "2"),
        ("podrelay -n sh", "2", "podrelay -n sh", "2"),
    ],
)
def test_bash_completes_in_the_same_way(words: str, place: str, expected: str, new_place: str) -> None:
    environment = {"COMP_WORDS": words, "COMP_CWORD": place}

    leading_flags.complete_after_the_command(environment)

    assert environment == {"COMP_WORDS": expected, "COMP_CWORD": new_place}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("podrelay -n shop get comp", "podrelay get -n shop comp"),
        ("podrelay -n shop get ", "podrelay get -n shop "),
        ("podrelay -n shop ge", "podrelay ge"),
        ("podrelay -n shop ", "podrelay "),
        ("podrelay get comp", "podrelay get comp"),
    ],
)
def test_other_shells_complete_in_the_same_way(words: str, expected: str) -> None:
    environment = {"_TYPER_COMPLETE_ARGS": words}

    leading_flags.complete_after_the_command(environment)

    assert environment == {"_TYPER_COMPLETE_ARGS": expected}
