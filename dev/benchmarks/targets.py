"""The targets of the benchmarks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One figure and its limit.

    Attributes:
        what: the name of the figure.
        value: the measured value; None if it was not measured.
        limit: the worst acceptable value.
        unit: the unit of both.
        at_least: whether higher values are better.
    """

    what: str
    value: float | None
    limit: float
    unit: str
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure is within its limit."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = "at least" if self.at_least else "at most"
        value = "not measured" if self.value is None else f"{self.value:.3g} {self.unit}".strip()
        return (
            f"{'met   ' if self.is_met else 'MISSED'}  {self.what}: {value} ({sign} {self.limit:g} {self.unit}".rstrip()
            + ")"
        )
