"""Nodes with wrong clocks: their timestamps neither shorten nor extend the time of a pod."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from podrelay.api import names
from podrelay.operator.plan import EndPod, Plan
from podrelay.operator.pods import Pod
from podrelay.operator.view import Sightings
from tests.unit.operator.builders import (
    NOW,
    ago,
    current,
    later,
    plan,
    pod,
    record,
    running,
    task_run,
    terminated,
    view,
)

SKEWS = [timedelta(seconds=-120), timedelta(), timedelta(seconds=120)]
RUNNING: dict[str, Any] = {"phase": "Running", "startedAt": ago(20), "iterations": 1, "current": current()}
DONE: dict[str, Any] = {
    "phase": "Succeeded",
    "startedAt": ago(20),
    "finishedAt": ago(1),
    "iterations": 1,
    "current": current(),
    "hooksDue": ["onDone"],
}
SHORT = {names.ANNOTATION_ITERATION_TIMEOUT: "30"}
LONG_AGO = ago(600)


def seen(**moments: datetime) -> dict[str, Sightings]:
    return {"uid-words-i1": Sightings(**moments)}


def working(started: datetime, **rest: Any) -> Pod:
    """A pod that was created long ago, and whose container has just started."""
    about = {"creationTimestamp": LONG_AGO}
    return pod(state=running(started), phase="Running", annotations=SHORT, about=about, **rest)


def ends(following: Plan) -> bool:
    return any(isinstance(action, EndPod) for action in following.actions)


@pytest.mark.parametrize("skew", SKEWS)
def test_an_iteration_has_its_time_from_when_it_was_seen_to_start(skew: timedelta) -> None:
    live = view(task_run(RUNNING), pods=(working(ago(10) + skew),), sightings=seen(unstarted=ago(11), started=ago(9)))

    assert not ends(plan(live, later(18)))
    assert ends(plan(live, later(21)))


def test_for_an_unseen_start_the_time_of_the_node_counts() -> None:
    live = view(task_run(RUNNING), pods=(working(ago(10)),), sightings=seen(started=NOW))

    assert not ends(plan(live, later(19)))
    assert ends(plan(live, later(20)))


@pytest.mark.parametrize("skew", SKEWS)
def test_a_pod_that_has_answered_has_its_time_to_end(skew: timedelta) -> None:
    answered = record(response={"status": "done"}, finishedAt=NOW + skew)
    live = view(
        task_run(RUNNING),
        pods=(working(ago(10) + skew),),
        records=(answered,),
        sightings=seen(unstarted=ago(11), started=ago(10), answered=NOW),
    )

    assert not ends(plan(live, later(29)))
    assert ends(plan(live, later(30)))


@pytest.mark.parametrize("skew", SKEWS)
def test_the_reason_why_a_container_ended_is_waited_for(skew: timedelta) -> None:
    """The kubelet reports whether the node ended the pod a second or two later, with the pod's phase."""
    ended = pod(state=terminated(1, at=NOW + skew), phase="Running")
    live = view(task_run(RUNNING), pods=(ended,), records=(record(),), sightings=seen(started=ago(20), ended=NOW))

    assert plan(live, later(29)).actions == ()
    assert plan(live, later(30)).actions != ()


@pytest.mark.parametrize("skew", SKEWS)
def test_hooks_have_their_time_from_the_end_of_the_run(skew: timedelta) -> None:
    answered = record(response={"status": "done"}, finishedAt=ago(1) + skew)
    live = view(
        task_run(DONE),
        pods=(working(ago(10) + skew),),
        records=(answered,),
        sightings=seen(unstarted=ago(11), started=ago(10), answered=ago(1)),
    )

    assert not ends(plan(live, later(28)))
    assert ends(plan(live, later(29)))


@pytest.mark.parametrize("skew", SKEWS)
def test_the_pod_of_a_hook_has_its_time_from_its_start(skew: timedelta) -> None:
    name = "words-hdone"
    status = DONE | {"finishedAt": ago(300), "current": current(name, 0)}
    calling = pod(
        name, state=running(ago(10) + skew), phase="Running", annotations=SHORT, about={"creationTimestamp": ago(200)}
    )
    live = view(
        task_run(status),
        pods=(calling,),
        sightings={"uid-words-hdone": Sightings(unstarted=ago(11), started=ago(10))},
    )

    assert not ends(plan(live, later(18)))
    assert ends(plan(live, later(20)))
