"""An index of parents and children, updated with every change of a run.

It keeps counters, so that the work per event does not grow with the number of children.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Final, Generic, NamedTuple, TypeVar

from podrelay.api.phases import FINISHED
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.view import ABORTS_AT_ONCE, Children, RunRef

R = TypeVar("R", bound=Hashable)


class _Child(NamedTuple):
    """The facts about a child that ChildIndex counts."""

    ref: RunRef
    definition: str
    is_finished: bool
    is_aborted: bool
    is_adopted: bool
    is_own: bool
    """Whether the parent itself has started it: a policy makes every other client record its user name."""


@dataclass(slots=True)
class _Siblings(Generic[R]):
    """The children of one parent; the parent itself may be unknown."""

    members: dict[R, _Child] = field(default_factory=dict)
    unfinished: Counter[str] = field(default_factory=Counter)
    """The number of unfinished children that the parent itself has started, by definition."""
    total_unfinished: int = 0
    answered: int = 0
    """The iteration of the parent whose answer was applied last."""
    to_abort: dict[R, RunRef] = field(default_factory=dict)
    unadopted: set[R] = field(default_factory=set)


class Change(NamedTuple):
    """A change that a parent may be waiting for."""

    is_over: bool = False
    """All of its children, or all children of one definition, have finished."""
    is_new: bool = False
    """There is a new child to abort if the parent is aborted."""
    is_adopted: bool = False
    """All children are now owned by the parent, and are deleted with it."""


_NOTHING: Final = Change()
_NO_CHILDREN: Final = Children()


class ChildIndex(Generic[R]):
    """Parents and children. `R` identifies a run."""

    def __init__(self) -> None:
        self._siblings: dict[R, _Siblings[R]] = {}
        self._parents: dict[R, R] = {}

    def note(self, child: R, parent: R, run: TaskRun) -> Change:
        """Store the current state of a child, and return what it changes for its parent."""
        siblings = self._siblings.setdefault(parent, _Siblings())
        self._parents[child] = parent
        known = siblings.members.get(child)
        seen = _child(run)
        if seen == known:
            return _NOTHING
        siblings.members[child] = seen
        self._count(siblings, seen, 1)
        is_over = self._uncount(siblings, known)
        if seen.is_finished or seen.is_aborted:
            siblings.to_abort.pop(child, None)
        else:
            siblings.to_abort[child] = seen.ref
        had_unadopted = bool(siblings.unadopted)
        (siblings.unadopted.discard if seen.is_adopted else siblings.unadopted.add)(child)
        return Change(is_over, child in siblings.to_abort, had_unadopted and not siblings.unadopted)

    def remove(self, child: R) -> tuple[R | None, Change]:
        """Forget a run that was deleted; return its parent, if it had one, and what that changes for the parent."""
        parent = self._parents.pop(child, None)
        if parent is None:
            return None, _NOTHING
        siblings = self._siblings[parent]
        is_over = self._uncount(siblings, siblings.members.pop(child))
        siblings.to_abort.pop(child, None)
        had_unadopted = bool(siblings.unadopted)
        siblings.unadopted.discard(child)
        if not siblings.members:
            del self._siblings[parent]
        return parent, Change(is_over, is_adopted=had_unadopted and not siblings.unadopted)

    def of(self, parent: R) -> Iterable[R]:
        """Return all children of a run."""
        siblings = self._siblings.get(parent)
        return tuple(siblings.members) if siblings else ()

    def has_answered(self, parent: R, iteration: int) -> Iterable[R]:
        """Store the last answered iteration of a run; if it has changed, return the children that have finished.

        No further attempt of that iteration will ask for them.
        """
        siblings = self._siblings.get(parent)
        if siblings is None or siblings.answered == iteration:
            return ()
        siblings.answered = iteration
        return tuple(name for name, child in siblings.members.items() if child.is_finished)

    def summary(self, parent: R) -> Children:
        """Return what the planner needs for a plan of the parent."""
        siblings = self._siblings.get(parent)
        if siblings is None:
            return _NO_CHILDREN
        return Children(
            MappingProxyType(dict(siblings.unfinished)),
            tuple(islice(siblings.to_abort.values(), ABORTS_AT_ONCE)),
            len(siblings.unadopted),
        )

    def unfinished(self, parent: R) -> int:
        """Return how many children of a run are unfinished, regardless of who started them."""
        siblings = self._siblings.get(parent)
        return siblings.total_unfinished if siblings is not None else 0

    def leave_alone(self, child: R) -> None:
        """Do not abort a child again before it has changed."""
        parent = self._parents.get(child)
        if parent is not None:
            siblings = self._siblings[parent]
            siblings.to_abort.pop(child, None)
            siblings.members[child] = siblings.members[child]._replace(is_aborted=True)

    @staticmethod
    def _count(siblings: _Siblings[R], child: _Child, by: int) -> None:
        if child.is_finished:
            return
        siblings.total_unfinished += by
        if child.is_own:
            siblings.unfinished[child.definition] += by

    def _uncount(self, siblings: _Siblings[R], known: _Child | None) -> bool:
        """Remove the known state of a child from the counters; return whether it was the last one of its definition."""
        if known is None or known.is_finished:
            return False
        self._count(siblings, known, -1)
        if not known.is_own or siblings.unfinished[known.definition]:
            return False
        del siblings.unfinished[known.definition]
        return True


def _child(run: TaskRun) -> _Child:
    about = run.metadata
    return _Child(
        RunRef(about.name, about.uid),
        run.spec.definition,
        run.status.phase in FINISHED,
        run.spec.abort is not None,
        about.owner_run() is not None or run.spec.parent == about.name,
        about.annotations.created_by is None,
    )
