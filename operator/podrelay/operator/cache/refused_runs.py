"""Which runs wait because a pod or record of them was refused, by definition, the longest wait first. No I/O."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

D = TypeVar("D", bound=Hashable)
R = TypeVar("R", bound=Hashable)


class RefusedRuns(Generic[D, R]):
    """Runs `R` of definitions `D` that were refused."""

    def __init__(self) -> None:
        self._runs: dict[D, dict[R, None]] = {}

    def add(self, definition: D, run: R) -> None:
        """Note that a run was refused; one that was before keeps its place."""
        self._runs.setdefault(definition, {})[run] = None

    def remove(self, definition: D, run: R) -> None:
        """Note that a run does not wait any more. One that did not is no error."""
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

    def one_of_each(self, most: int, is_meant: Callable[[D], bool], matches: Callable[[R], bool]) -> list[R]:
        """Return a matching run of each of at most `most` definitions; those that were looked at are last next time."""
        found: list[R] = []
        for definition in [known for known in self._runs if is_meant(known)]:
            if len(found) == most:
                break
            found += self.of(definition, 1, matches)
            self._runs[definition] = self._runs.pop(definition)
        return found
