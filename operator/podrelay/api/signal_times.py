"""When a TaskSignal was sent. Standard library only: pods use it."""

from datetime import datetime


def sent_at(annotated: str | None, created: datetime) -> datetime:
    """Return when a signal was sent.

    Args:
        annotated: the annotation `podrelay.dev/sent-at`, which restored signals have; a policy verifies its form.
        created: metadata.creationTimestamp.
    """
    try:
        restored = datetime.fromisoformat(annotated or "")
    except ValueError:
        return created
    return restored if restored.tzinfo is not None else created
