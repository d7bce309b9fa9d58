"""The outcome of a run, from its objects as kubectl shows them; the same in a cluster and in a unit test."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Object = dict[str, Any]


class Evidence(NamedTuple):
    """The last state of the objects of a run."""

    run: Object
    records: tuple[Object, ...]
    """The records of its attempts, in order; without those of hook pods."""
    children: "tuple[Evidence, ...]"
    is_deleted: bool

    def family(self) -> "Iterator[Evidence]":
        """Yield the run and all of its descendants."""
        yield self
        for child in self.children:
            yield from child.family()


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        tries: `i1t2 error` is the second attempt of the first iteration, which answered error.
        logs: `info begun`.
        hooks: `onDone Succeeded`, or `onDone Failed ShopError: the shop is closed`.
        children: `scripted Succeeded`, in alphabetical order.
        is_deleted: whether the run and all of its descendants are deleted.
    """

    phase: str
    reason: str
    message: str
    iterations: int = 1
    output: Object | None = None
    error: Object | None = None
    tries: tuple[str, ...] = field(default=("i1 done",), kw_only=True)
    attempts: int = field(default=0, kw_only=True)
    logs: tuple[str, ...] = field(default=(), kw_only=True)
    hooks: tuple[str, ...] = field(default=(), kw_only=True)
    children: tuple[str, ...] = field(default=(), kw_only=True)
    is_deleted: bool = field(default=False, kw_only=True)


def outcome_of(evidence: Evidence) -> Outcome:
    """Return the outcome that the objects show."""
    status = evidence.run["status"]
    deleted = {member.is_deleted for member in evidence.family()}
    assert len(deleted) == 1, "only a part of the run and its descendants is deleted"
    return Outcome(
        phase=status["phase"],
        reason=status["reason"],
        message=status["message"],
        iterations=status["iterations"],
        output=status.get("output"),
        error=status.get("error"),
        tries=tuple(map(_try, evidence.records)),
        attempts=status.get("attempts", 0),
        logs=tuple(
            f"{line['type']} {line['message']}" for record in evidence.records for line in record.get("logs", ())
        ),
        hooks=tuple(
            f"{hook['name']} {hook['outcome']} {hook.get('message', '')}".strip() for hook in status.get("hooks", ())
        ),
        children=tuple(sorted(map(_child, evidence.children))),
        is_deleted=deleted.pop(),
    )


def _try(record: Object) -> str:
    attempt = f"t{record['try']}" if record["try"] > 1 else ""
    return f"i{record['iteration']}{attempt} {record.get('response', {}).get('status', 'open')}"


def _child(child: Evidence) -> str:
    return f"{child.run['spec']['definition']} {child.run['status']['phase']}"
