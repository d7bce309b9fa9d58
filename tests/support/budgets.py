"""The writes of the operator that a run of each shape may cost, as the audit log has them.

The operator's term has just begun: a pod that reports by message then starts with a gate, so each of its iterations has
two more than later. The statuses are those of a machine without other load.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Final

from tests.support.audit import writes_of_the_operator
from tests.support.shapes import SHAPES, Shape

CREATE, CHANGE, DELETE = "create pods", "patch pods", "delete pods"
"""A pod is changed to open its gate, to end it, and to remove its finalizer."""
RECORD, ANSWER = "create taskiterations", "patch taskiterations"
"""Of a pod that cannot write its own record, or could not write its answer."""
STATUS, OUTCOME = "update taskruns/status", "patch taskruns/status"
"""Outcomes are those of hooks."""

BUDGETS: Final[dict[str, dict[str, int]]] = {
    "disrupted": {CREATE: 2, STATUS: 4, CHANGE: 1},
    "timeout": {CREATE: 1, STATUS: 3, CHANGE: 1, ANSWER: 1},
    "continue": {CREATE: 2, STATUS: 3, DELETE: 2, CHANGE: 2},
    "wait": {CREATE: 2, STATUS: 4},
    "retry-kill": {CREATE: 2, STATUS: 4, ANSWER: 1},
    "retry-exit": {CREATE: 2, STATUS: 4, ANSWER: 1},
    "retry-raise": {CREATE: 2, STATUS: 4},
    "abort-work": {CREATE: 1, STATUS: 3, CHANGE: 1},
    "abort-deaf": {CREATE: 1, STATUS: 3, CHANGE: 1, ANSWER: 1},
    "abort-wait": {CREATE: 1, STATUS: 3},
    "max-iterations": {CREATE: 2, STATUS: 3},
    "hooks": {CREATE: 1, STATUS: 2, OUTCOME: 2},
    "hook-pod": {CREATE: 2, STATUS: 2, ANSWER: 1, OUTCOME: 2},
    "delay": {CREATE: 1, STATUS: 3},
    "suspend": {CREATE: 2, STATUS: 4},
    "children": {CREATE: 2, STATUS: 4},
    "ttl": {CREATE: 1, STATUS: 2, CHANGE: 1, "delete taskruns": 1},
    "cleanup-always": {CREATE: 1, STATUS: 2, DELETE: 1, CHANGE: 1},
    "message-continue": {CREATE: 2, STATUS: 3, CHANGE: 2, RECORD: 2},
    "message-once": {CREATE: 1, STATUS: 2, CHANGE: 1},
    "message-retry": {CREATE: 2, STATUS: 4, CHANGE: 2, RECORD: 2},
    "message-abort": {CREATE: 1, STATUS: 3, CHANGE: 2, RECORD: 1},
}
assert BUDGETS.keys() == {shape.name for shape in SHAPES}, "each shape needs a budget"

_UNDER_LOAD: Final = {STATUS: 2}
"""How many statuses depend on when the operator sees a change: on a busy machine, an abort took five, not three."""


def check_budget(log: Path, namespace: str, shape: Shape, name: str) -> None:
    """Check the writes of a run of this shape that nothing has disturbed."""
    own = re.compile(rf"{name}(-(i\d+|h[a-z]+)(t\d+)?)?")
    writes = [write.split() for write in writes_of_the_operator(log, namespace)]
    found = [f"{verb} {what}" for verb, what, *target in writes if target and own.fullmatch(target[0])]
    excess = Counter(found) - Counter(BUDGETS[shape.name]) - Counter(_UNDER_LOAD)
    assert not excess, f"{shape.name} has more writes than its budget allows: {dict(excess)}; it has {found}"
