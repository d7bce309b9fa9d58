"""The one exception of this package."""


class ClusterError(Exception):
    """Something that a person has to know and can do something about.

    Attributes:
        message: What went wrong, in one sentence; the end of a log may follow it.
        hint: What to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message
