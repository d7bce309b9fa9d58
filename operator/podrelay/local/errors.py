"""What can go wrong between the parts of a world without a cluster."""

from podrelay.api.errors import PodrelayError


class RefusedError(PodrelayError):
    """The API server in memory refuses a request, as the real one would.

    Attributes:
        status: the HTTP status code.
        api_reason: the reason of the Status object, for example AlreadyExists.
        message: what is wrong.
    """

    reason = "ApiRefused"

    def __init__(self, status: int, api_reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.api_reason = api_reason
        self.message = message


class StuckError(PodrelayError):
    """Nothing will ever happen again, although a run is not finished."""

    reason = "Stuck"


class SecretError(PodrelayError):
    """What was given cannot be a Secret; the message says why."""

    reason = "InvalidSecret"


class NotRunnableHereError(PodrelayError):
    """A definition that cannot do without a cluster; the message says why."""

    reason = "NotRunnableHere"
