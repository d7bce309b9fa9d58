"""The base class of all exceptions that Podrelay defines. Standard library only, because the runner imports it."""

from typing import ClassVar


class PodrelayError(Exception):
    """A problem that the user can fix.

    Attributes:
        reason: one CamelCase word, the same that a condition or status shows for this problem.
    """

    reason: ClassVar[str] = "PodrelayError"
