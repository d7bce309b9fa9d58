"""The types of signals: what a task waits for, what a definition says about it, and what was sent."""

from datetime import datetime
from enum import Enum

import strawberry

from podrelay.api import names
from podrelay.gateway import awaited
from podrelay.gateway.objects import ApprovalDecision as StoredDecision
from podrelay.gateway.objects import AwaitedSignals as StoredWait
from podrelay.gateway.objects import Run
from podrelay.gateway.objects import SignalType as StoredType
from podrelay.gateway.payloads import Object, Payloads
from podrelay.gateway.schema.describing import described
from podrelay.gateway.schema.scalars import DateTime, Json, json_or_null
from podrelay.kube.resources import Key


@strawberry.enum(name="BackgroundTaskDecision")
class Decision(Enum):
    """A decision about a task."""

    APPROVE = "Approve"
    REJECT = "Reject"


@strawberry.type(name="BackgroundTaskSignal", description="A signal that was sent to a task.")
class Signal:
    """A TaskSignal."""

    id: str = strawberry.field(description="Name of the TaskSignal, which identifies the event.")
    task: str = strawberry.field(description="Id of the task.")
    signal: str
    payload: Json
    decision: Decision | None
    sender: str | None
    phase: str = strawberry.field(description="Pending, Consumed or Rejected.")
    reason: str | None = strawberry.field(description="Why it was rejected.")
    message: str | None
    created_on: DateTime

    @classmethod
    def of(cls, task: str, stored: Object) -> "Signal":
        """Return the signal of a TaskSignal resource."""
        about, spec, status = stored["metadata"], stored["spec"], stored.get("status") or {}
        return cls(
            id=about["name"],
            task=task,
            signal=spec["signal"],
            payload=Json(spec.get("payload") or {}),
            decision=Decision(spec["decision"]) if spec.get("decision") else None,
            sender=(about.get("annotations") or {}).get(names.ANNOTATION_CREATED_BY),
            phase=status.get("phase") or "Pending",
            reason=status.get("reason"),
            message=status.get("message"),
            created_on=DateTime(datetime.fromisoformat(about["creationTimestamp"])),
        )


@strawberry.type(name="BackgroundTaskApprovalPolicy", description="Who may decide about a task.")
class ApprovalPolicy:
    """`approval` of a signal of a definition."""

    required: int = strawberry.field(description="So many different users must approve; one rejection is enough.")
    groups: list[str] | None = strawberry.field(description="Only their members may decide; null: no such limit.")
    exclude_creator: bool = strawberry.field(description="The user who has created the task may not decide.")


@strawberry.type(name="BackgroundTaskSignalType", description="A signal that tasks of a definition understand.")
class SignalType:
    """An entry of `spec.signals` of a definition."""

    definition: strawberry.Private[Key]
    payloads: strawberry.Private[Payloads]
    has_schema: strawberry.Private[bool]
    name: str
    description: str | None
    approval: ApprovalPolicy | None = strawberry.field(description="Not null: it is a decision, APPROVE or REJECT.")

    @described
    async def payload_schema(self) -> Json | None:
        """JSON Schema of its payload; null if any JSON object is valid."""
        if not self.has_schema:
            return None
        stored = await self.payloads.definition(self.definition)
        known = stored.get("spec", {}).get("signals") or ()
        return json_or_null(next((one.get("payloadSchema") for one in known if one["name"] == self.name), None))

    @classmethod
    def of(cls, stored: StoredType, definition: Key, payloads: Payloads) -> "SignalType":
        """Return what a definition says about a signal."""
        approval = stored.approval
        return cls(
            definition=definition,
            payloads=payloads,
            has_schema=stored.payload_schema is not None,
            name=stored.name,
            description=stored.description,
            approval=None
            if approval is None
            else ApprovalPolicy(
                required=approval.required,
                groups=None if approval.groups is None else list(approval.groups),
                exclude_creator=approval.exclude_creator,
            ),
        )


@strawberry.type(name="BackgroundTaskAwaitedSignal", description="A signal that a task waits for.")
class AwaitedSignal:
    """One signal of a wait."""

    name: str
    type: SignalType | None = strawberry.field(
        description="What the definition says about it; null if it says nothing, or the caller may not read it."
    )
    refusal: str | None = strawberry.field(
        description="Why the caller may not send it; null if they may. An admission policy may still refuse it."
    )


@strawberry.type(name="BackgroundTaskAwaitedSignals", description="The signals that a task waits for.")
class AwaitedSignals:
    """What a run waits for."""

    run: strawberry.Private[Run]
    payloads: strawberry.Private[Payloads]
    signals: list[str]
    count: int = strawberry.field(description="How many signals, or approvals, end the wait.")
    until: DateTime = strawberry.field(description="When the wait ends without them.")

    @described
    def since(self) -> DateTime | None:
        """When the wait began."""
        last, namespace = self.run.status.last_record, self.run.metadata.namespace
        record = self.payloads.call.cache.records.get(Key(namespace, last)) if last else None
        # The end of an iteration is shown in the status of its run as well, so it needs no other right.
        return None if record is None else DateTime(record.finished_at or record.metadata.creation_timestamp)

    @described
    async def awaited(self) -> list[AwaitedSignal] | None:
        """Each of the signals, and whether the caller may send it."""
        call, namespace = self.payloads.call, self.run.metadata.namespace
        caller = await awaited.sender(call, namespace)
        definition = Key(namespace, self.run.spec.definition)
        return [
            AwaitedSignal(
                name=one.name,
                type=SignalType.of(one.kind, definition, self.payloads) if one.kind else None,
                refusal=one.refusal,
            )
            for one in awaited.signals_of(call.cache, self.run, caller)
        ]

    @classmethod
    def of(cls, stored: StoredWait, run: Run, payloads: Payloads) -> "AwaitedSignals":
        """Return what a run waits for."""
        return cls(
            run=run, payloads=payloads, signals=list(stored.signals), count=stored.count, until=DateTime(stored.until)
        )


@strawberry.type(name="BackgroundTaskApproval", description="A decision about a task.")
class ApprovalDecision:
    """A decision about a run."""

    signal: str
    decision: str = strawberry.field(description="Approve or Reject.")
    by: str = strawberry.field(description="Name of the user.")
    restored_by: str | None = strawberry.field(description="Name of the user who restored it from a backup, if any.")
    at: DateTime
    iteration: int = strawberry.field(description="The iteration that waited for it.")

    @classmethod
    def of(cls, stored: StoredDecision) -> "ApprovalDecision":
        """Return a decision."""
        return cls(
            signal=stored.signal,
            decision=stored.decision,
            by=stored.by,
            restored_by=stored.restored_by,
            at=DateTime(stored.at),
            iteration=stored.iteration,
        )
