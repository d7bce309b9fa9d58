"""Flags before the command, as kubectl accepts them: `podrelay -n shop list` means `podrelay list -n shop`."""

import shlex
from collections.abc import MutableMapping
from typing import Final

_WITH_A_VALUE: Final = ("-n", "--namespace", "--context", "--kubeconfig")
"""The flags that select a cluster or a namespace; kubectl accepts them everywhere."""


def after_the_command(arguments: list[str]) -> list[str]:
    """Return the arguments with the command first, if only flags that select a cluster or a namespace precede it.

    If there is no command, return nothing, so that the parser reports what is missing.

    Args:
        arguments: the arguments after the program's name.
    """
    count = _leading(arguments)
    if count >= len(arguments):
        return []
    return [arguments[count], *arguments[:count], *arguments[count + 1 :]]


def complete_after_the_command(environment: MutableMapping[str, str]) -> None:
    """Reorder the words of a line that a shell wants to complete in the same way.

    Args:
        environment: contains the line: in COMP_WORDS and COMP_CWORD for bash, in _TYPER_COMPLETE_ARGS for other shells.
    """
    if "COMP_WORDS" in environment and environment.get("COMP_CWORD", "").isdigit():
        words, place = _split(environment["COMP_WORDS"]), int(environment["COMP_CWORD"])
        count = _leading(words[1:])
        if 0 < count < place - 1:
            environment["COMP_WORDS"] = shlex.join([words[0], *after_the_command(words[1:])])
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
        rest = after_the_command(words[1:]) if is_after_command else words[count + 1 :]
        environment["_TYPER_COMPLETE_ARGS"] = shlex.join([words[0], *rest]) + (" " if is_new else "")


def _leading(arguments: list[str]) -> int:
    """Return how many of the first arguments are such flags and their values."""
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
