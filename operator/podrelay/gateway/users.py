"""How much of something each user has, whatever tokens they use."""

from collections import Counter


class TooManyError(Exception):
    """The user has as many as they may have.

    Attributes:
        most: so many.
    """

    def __init__(self, most: int) -> None:
        super().__init__(str(most))
        self.most = most


class ByUser:
    """Counts, and keeps nothing of users that have none."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def total(self) -> int:
        """Return how many all users have."""
        return self._counts.total()

    def add(self, user: str, most: int) -> None:
        """Count one more.

        Raises:
            TooManyError: the user has `most` already.
        """
        if self._counts[user] >= most:
            raise TooManyError(most)
        self._counts[user] += 1

    def remove(self, user: str) -> None:
        """Count one less."""
        self._counts[user] -= 1
        if not self._counts[user]:
            del self._counts[user]
