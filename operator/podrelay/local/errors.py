"""What can go wrong between the parts of a world without a cluster."""

from podrelay.api.errors import PodrelayError


class StuckError(PodrelayError):
    """Nothing will ever happen again, although a run is not finished."""

    reason = "Stuck"


class SecretError(PodrelayError):
    """What was given cannot be a Secret; the message says why."""

    reason = "InvalidSecret"


class NotRunnableHereError(PodrelayError):
    """A definition that cannot do without a cluster; the message says why."""

    reason = "NotRunnableHere"
