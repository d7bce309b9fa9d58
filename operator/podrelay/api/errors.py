"""The root of every error that Podrelay raises itself. Standard library only: the runner imports it."""

from typing import ClassVar


class PodrelayError(Exception):
    """Something went wrong that a person can do something about.

    Attributes:
        reason: one CamelCase word, the same that a condition or status shows for this problem.
    """

    reason: ClassVar[str] = "PodrelayError"
