"""What is asked for: so many runs of so many iterations, all at once or one after the other."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Load:
    """One load.

    Attributes:
        name: what it is called on the command line.
        runs: how many runs there are.
        iterations: how many pods each needs, one after the other.
        per_second: how many runs are begun in a second; None: all of them at once.
    """

    name: str
    runs: int
    iterations: int
    per_second: float | None = None

    @property
    def title(self) -> str:
        """The load in words."""
        rate = f", {self.per_second:g} begun a second" if self.per_second else " at once"
        return f"{self.runs} runs of {self.iterations} iteration{'s' if self.iterations > 1 else ''}{rate}"


LOADS: Final = (
    Load("burst", runs=500, iterations=1),
    Load("chain", runs=100, iterations=5),
    Load("open", runs=150, iterations=2, per_second=5),
)
