"""The exception of this package."""


class ClusterError(Exception):
    """A failure that the user must know about and can act on.

    Attributes:
        message: What went wrong, in one sentence, possibly followed by the end of a log.
        hint: What to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message
