"""The signals that an iteration is given: `controller.signals`."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, overload

from podrelay.api import limits, names, signal_times


class Signal(NamedTuple):
    """An event that was sent to the run, or a decision about it.

    Attributes:
        name: name of the signal, for example payment.
        payload: its data; empty if there is none.
        key: name of the TaskSignal, which identifies the event.
        sender: user who sent it, checked by the API server; None if the sender did not say.
        sent_at: when it was sent.
        decision: Approve or Reject for an approval, otherwise None.
    """

    name: str
    payload: dict[str, Any]
    key: str
    sender: str | None
    sent_at: datetime
    decision: str | None = None


class Signals(Sequence[Signal]):
    """The signals that this iteration was given, the oldest first. Empty unless the iteration before waited for some.

    They count as consumed when the answer of this iteration is stored, unless it is an error: then the next attempt
    gets them again.

    Args:
        given: the signals.
        woken_by: what ended the wait: Signals, Approved, Rejected, Timeout or Children; empty without a wait.
        look: returns the signals of a name (all if it is None) that no iteration has consumed.
    """

    def __init__(self, given: Sequence[Signal], woken_by: str, look: Callable[[str | None], list[Signal]]) -> None:
        self._given = tuple(given)
        self._woken_by = woken_by
        self._look = look

    @overload
    def __getitem__(self, index: int) -> Signal: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Signal]: ...

    def __getitem__(self, index: int | slice) -> Signal | Sequence[Signal]:
        """Return one or some of the signals."""
        return self._given[index]

    def __len__(self) -> int:
        """Return how many signals this iteration was given."""
        return len(self._given)

    def __iter__(self) -> Iterator[Signal]:
        """Iterate over the signals, the oldest first."""
        return iter(self._given)

    def __repr__(self) -> str:
        """Return a text without payloads, so that it can be logged."""
        return f"<Signals: {', '.join(signal.name for signal in self._given) or 'none'}>"

    @property
    def timed_out(self) -> bool:
        """Whether the wait has ended without the signals, because its time was over."""
        return self._woken_by == "Timeout"

    @property
    def approved(self) -> bool | None:
        """Whether enough users have approved (True), or one has rejected (False); None if there was no decision."""
        return {"Approved": True, "Rejected": False}.get(self._woken_by)

    def of(self, name: str) -> list[Signal]:
        """Return those of the given signals that have this name, the oldest first.

        Args:
            name: name of the signal.
        """
        return [signal for signal in self._given if signal.name == name]

    def peek(self, name: str | None = None) -> list[Signal]:
        """Return signals that were sent to the run and not consumed yet, without consuming them; the oldest first.

        The result does not contain the signals that this iteration was given. A payload may not have been checked
        against its schema yet.

        Args:
            name: only signals of this name.

        Raises:
            ApiRefusedError: the API server rejected the request.
            ApiUnreachableError: the API server did not answer in time.
        """
        given = {signal.key for signal in self._given}
        return [signal for signal in self._look(name) if signal.key not in given]


def wanted_signals(signal: str | Sequence[str], count: int) -> tuple[str, ...]:
    """Return the names of signals to wait for, without duplicates.

    Raises:
        ValueError: a name is not valid, there are none or more than 20, or the count is not valid.
    """
    wanted = tuple(dict.fromkeys([signal] if isinstance(signal, str) else signal))
    if not 1 <= len(wanted) <= limits.SIGNAL_NAMES:
        raise ValueError(f"a run can wait for 1 to {limits.SIGNAL_NAMES} signals at once, not for {len(wanted)}")
    for name in wanted:
        if not names.is_signal(name):
            raise ValueError(
                f"{name!r} is not the name of a signal: at most 63 letters, digits, '-', '_' and '.', beginning with a "
                "letter, for example payment"
            )
    if not 1 <= count <= limits.SIGNALS_AT_ONCE:
        raise ValueError(f"count must be 1 to {limits.SIGNALS_AT_ONCE}, not {count}")
    return wanted


def in_resource(signal: dict[str, Any]) -> dict[str, Any]:
    """Return a signal of a task class in the form of the resource: with the schema of its payload, not its model."""
    model = signal.get("payload")
    if model is None:
        return dict(signal)
    schema: dict[str, Any] = model.model_json_schema(by_alias=True)
    return {**{field: value for field, value in signal.items() if field != "payload"}, "payloadSchema": schema}


def signal_of(stored: dict[str, Any]) -> Signal:
    """Return the signal for a TaskSignal resource."""
    about, spec = stored["metadata"], stored["spec"]
    return Signal(
        spec["signal"],
        spec.get("payload") or {},
        about["name"],
        (about.get("annotations") or {}).get(names.ANNOTATION_CREATED_BY),
        signal_times.sent_at(
            (about.get("annotations") or {}).get(names.ANNOTATION_SENT_AT),
            datetime.fromisoformat(about["creationTimestamp"]),
        ),
        spec.get("decision"),
    )
