"""The runs that wait because one of their pods or records was refused, by definition, longest wait first. No I/O."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

D = TypeVar("D", bound=Hashable)
R = TypeVar("R", bound=Hashable)


class RefusedRuns(Generic[D, R]):
    """Runs `R` of definitions `D` with a refused pod or record."""

    def __init__(self) -> None:
        self._runs: dict[D, dict[R, None]] = {}

    def add(self, definition: D, run: R) -> None:
        """Add a run; one that is already present keeps its place."""
        self._runs.setdefault(definition, {})[run] = None

    def remove(self, definition: D, run: R) -> None:
        """Remove a run that no longer waits, if it is present."""
        runs = self._runs.get(definition, {})
        runs.pop(run, None)
        if not runs:
            self._runs.pop(definition, None)

    def of(self, definition: D, most: int, matches: Callable[[R], bool]) -> list[R]:
        """Return at most `most` runs of one definition that match, the longest wait first."""
        found: list[R] = []
        for run in self._runs.get(definition, ()):
            if len(found) == most:
                break
            if matches(run):
                found.append(run)
        return found

    def one_of_each(self, most: int, is_included: Callable[[D], bool], matches: Callable[[R], bool]) -> list[R]:
        """Return a matching run of each of at most `most` definitions; the checked definitions come last next time."""
        found: list[R] = []
        for definition in [known for known in self._runs if is_included(known)]:
            if len(found) == most:
                break
            found += self.of(definition, 1, matches)
            self._runs[definition] = self._runs.pop(definition)
        return found
