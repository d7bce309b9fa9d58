"""Counters for each user, regardless of the tokens they use."""

from collections import Counter


class TooManyError(Exception):
    """The user has reached the limit.

    Attributes:
        most: the limit.
    """

    def __init__(self, most: int) -> None:
        super().__init__(str(most))
        self.most = most


class ByUser:
    """Counts by user; a count of zero is not kept."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def total(self) -> int:
        """Return the sum over all users."""
        return self._counts.total()

    def add(self, user: str, most: int) -> None:
        """Count one more.

        Raises:
            TooManyError: the user already has `most`.
        """
        if self._counts[user] >= most:
            raise TooManyError(most)
        self._counts[user] += 1

    def remove(self, user: str) -> None:
        """Count one less."""
        self._counts[user] -= 1
        if not self._counts[user]:
            del self._counts[user]
