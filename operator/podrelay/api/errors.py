"""The base classes of the exceptions that Podrelay defines. Standard library only, because the runner imports it."""

from typing import ClassVar


class PodrelayError(Exception):
    """A problem that the user can fix.

    Attributes:
        reason: one CamelCase word, the same that a condition or status shows for this problem.
    """

    reason: ClassVar[str] = "PodrelayError"


class InvalidArgumentError(PodrelayError, ValueError):
    """An argument is invalid; nothing was written.

    Attributes:
        argument: its name here, for example `start_at`.
        problem: what is wrong with it, without the name: each interface has its own spelling of names.
    """

    reason: ClassVar[str] = "InvalidArgument"

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument} {problem}")
        self.argument = argument
        self.problem = problem
