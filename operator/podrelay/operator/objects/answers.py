"""What pods report: progress, and answers, without payloads as they are read, and whole as they are stored."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from podrelay.api import limits, names
from podrelay.operator.objects.metadata import Present, Projection


class Progress(Projection, frozen=True):
    """The progress that a task reported."""

    percent: float | None = None
    message: str | None = None
    at: datetime | None = None


class TaskError(Projection, frozen=True):
    """Why a task failed. `data` is not kept here."""

    message: str
    code: str | None = None


class ResponseError(TaskError, frozen=True):
    """Why a task failed, and whether the error has data."""

    data: Present | None = None


_SignalName = Annotated[str, msgspec.Meta(max_length=63, pattern=names.SIGNAL_NAME)]


class WaitForChildren(Projection, frozen=True):
    """The children that a run waits for before its next iteration: those of one definition, or all."""

    definition: Annotated[str, msgspec.Meta(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | None = None


class WaitForSignal(Projection, frozen=True):
    """The signals that a run waits for before its next iteration."""

    names: Annotated[tuple[_SignalName, ...], msgspec.Meta(min_length=1, max_length=limits.SIGNAL_NAMES)]
    count: Annotated[int, msgspec.Meta(ge=1, le=limits.SIGNALS_AT_ONCE)] = 1


class Response(Projection, frozen=True):
    """An answer without its payloads."""

    status: str
    message: str | None = None
    wait_seconds: float | None = None
    wait_until: datetime | None = None
    wait_for_children: WaitForChildren | None = None
    wait_for_signal: WaitForSignal | None = None
    signals: tuple[str, ...] = ()
    error: ResponseError | None = None
    retryable: bool | None = None
    retry_after_seconds: float | None = None
    refusal: str | None = None
    output: Present | None = None

    @property
    def has_result(self) -> bool:
        """Whether the answer has output or error data that belong in the status of the run, but are not kept here."""
        return self.output is not None or (self.error is not None and self.error.data is not None)


_Text = Annotated[str, msgspec.Meta(max_length=limits.MESSAGE_LENGTH)]


class StorableError(Projection, frozen=True, forbid_unknown_fields=True):
    """An error as the schema of records accepts it."""

    message: _Text
    code: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    data: dict[str, Any] | None = None


class StorableResponse(Projection, frozen=True, forbid_unknown_fields=True):
    """A whole answer as the schema of records accepts it: for answers that the API server has not validated."""

    status: Literal["done", "continue", "error", "aborted"]
    message: _Text | None = None
    output: dict[str, Any] | None = None
    input: dict[str, Any] | None = None
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None
    wait_until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    wait_for_children: WaitForChildren | None = None
    wait_for_signal: WaitForSignal | None = None
    signals: tuple[str, ...] = ()
    error: StorableError | None = None
    retryable: bool | None = None
    retry_after_seconds: Annotated[float, msgspec.Meta(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None


class UndeliveredResponse(StorableResponse, frozen=True):
    """An answer that Podrelay's runner could not store, possibly from before run() was called."""

    refusal: Literal["InvalidInput", "Rejected"] | None = None
