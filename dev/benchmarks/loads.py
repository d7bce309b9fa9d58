"""The loads: a number of runs with a number of iterations, started at once or at a rate."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Load:
    """One load.

    Attributes:
        name: its name on the command line.
        runs: the number of runs.
        iterations: the number of pods of each run, one after the other.
        per_second: the number of runs that start per second; None: all of them at once.
    """

    name: str
    runs: int
    iterations: int
    per_second: float | None = None

    @property
    def title(self) -> str:
        """The load as text."""
        rate = f", {self.per_second:g} started per second" if self.per_second else " at once"
        return f"{self.runs} runs of {self.iterations} iteration{'s' if self.iterations > 1 else ''}{rate}"


LOADS: Final = (
    Load("burst", runs=500, iterations=1),
    Load("chain", runs=100, iterations=5),
    Load("open", runs=150, iterations=2, per_second=5),
)
