"""Exceptions of runs without a cluster."""

from podrelay.api.errors import PodrelayError


class StuckError(PodrelayError):
    """A run is not finished, but nothing will ever continue it."""

    reason = "Stuck"


class SecretError(PodrelayError):
    """The given values are not valid for a Secret; the message says why."""

    reason = "InvalidSecret"


class NotRunnableHereError(PodrelayError):
    """The definition needs a cluster; the message says why."""

    reason = "NotRunnableHere"
