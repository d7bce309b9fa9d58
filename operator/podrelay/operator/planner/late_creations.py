"""Requests that may still create a pod: of a former leader, or of this one if it has got no response.

A pod that reports by termination message, and needs no claim, works as soon as it exists. So while such a request may
still take effect, the name of its pod must stay taken, and a run without a pod must not end. Pods that report by API
find out themselves that they are not needed. Pure functions, like the planner.
"""

from datetime import datetime

from podrelay.operator import object_rules
from podrelay.operator.pods import Pod
from podrelay.operator.view import View


def keeps_name(view: View, pod: Pod) -> datetime | None:
    """Return until when a deleted pod has to be kept, so that no request can create another one of its name."""
    return _future(view) if pod.reports_by_message else None


def may_appear_until(view: View) -> datetime | None:
    """Return until when a pod of the run may be created that works without asking first; None if that is impossible."""
    by_message = view.definition is None or object_rules.reports_by_message(view.definition)
    return _future(view) if by_message else None


def _future(view: View) -> datetime | None:
    until = view.late_creations_until
    return until if until is not None and view.now < until else None
