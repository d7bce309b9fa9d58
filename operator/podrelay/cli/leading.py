"""Flags that stand before the command, as kubectl's may: `podrelay -n shop list` is `podrelay list -n shop`."""

import shlex
from collections.abc import MutableMapping
from typing import Final

_WITH_A_VALUE: Final = ("-n", "--namespace", "--context", "--kubeconfig")
"""Those that name a cluster or a namespace; kubectl takes them everywhere."""


def behind_the_command(arguments: list[str]) -> list[str]:
    """Return the arguments with the command first, if only flags that name a place stand before it.

    Without a command nothing is left of them: the parser says what is missing.

    Args:
        arguments: what follows the program's name.
    """
    count = _leading(arguments)
    if count >= len(arguments):
        return []
    return [arguments[count], *arguments[:count], *arguments[count + 1 :]]


def complete_behind_the_command(environment: MutableMapping[str, str]) -> None:
    """Change what a shell asks to be completed in the same way.

    Args:
        environment: has the words of the line: COMP_WORDS and COMP_CWORD of bash, _TYPER_COMPLETE_ARGS of others.
    """
    if "COMP_WORDS" in environment and environment.get("COMP_CWORD", "").isdigit():
        words, place = _split(environment["COMP_WORDS"]), int(environment["COMP_CWORD"])
        count = _leading(words[1:])
        if 0 < count < place - 1:
            environment["COMP_WORDS"] = shlex.join([words[0], *behind_the_command(words[1:])])
        elif 0 < count == place - 1:  # the command itself is being typed
            environment["COMP_WORDS"] = shlex.join([words[0], *words[place:]])
            environment["COMP_CWORD"] = "1"
    elif "_TYPER_COMPLETE_ARGS" in environment:
        line = environment["_TYPER_COMPLETE_ARGS"]
        words, is_new = _split(line), line.endswith(" ")
        count = _leading(words[1:])
        if count == 0:
            return
        is_after_command = len(words) - 1 > count + (not is_new)
        rest = behind_the_command(words[1:]) if is_after_command else words[count + 1 :]
        environment["_TYPER_COMPLETE_ARGS"] = shlex.join([words[0], *rest]) + (" " if is_new else "")


def _leading(arguments: list[str]) -> int:
    """Return how many arguments are flags of that kind and their values."""
    count = 0
    while count < len(arguments):
        flag, has_value, _ = arguments[count].partition("=")
        if flag in _WITH_A_VALUE:
            count += 1 if has_value else 2
        elif len(flag) > 2 and flag.startswith("-n"):
            count += 1
        else:
            break
    return count


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an open quote
        return line.split()
