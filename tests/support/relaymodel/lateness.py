"""Scenes about answers, heartbeats and responses that an operator sees late, or that are lost. See `scenes`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from podrelay.api import names
from podrelay.operator.plan import ReadInput
from tests.support.relaymodel.processes import Process
from tests.support.relaymodel.scenes import any_unfinished, key_of, reach, start_all

if TYPE_CHECKING:
    from tests.support.relaymodel.moves import History

_TIMEOUT: Final = 60
"""The timeout of heartbeats in the themes of these scenes, in seconds."""


def is_silent_for_a_moment(history: "History", how: int) -> None:
    """A pod that has worked for longer than its timeout pauses for less than that; its last heartbeat is seen late."""
    world, operator = history.world, history.world.operators[0]
    working = worker(history, how // 2)
    if working is None or working.me.heartbeat_timeout != _TIMEOUT or working.is_stuck:
        return
    for _ in range(3):
        world.advance(_TIMEOUT / 2)
        world.beat(working.uid)
        operator.work(most=30)
    if how % 2:
        world.advance(_TIMEOUT + 1)
        operator.work(most=30)  # reads that there is no heartbeat
        world.advance(8)
        world.beat(working.uid)
        world.advance(4)
        operator.work(most=30, but="taskiterations")
    else:
        world.advance(12)
        operator.work(most=30)


def reads_the_input_of_a_former_run(history: "History", how: int) -> None:
    """The input of a run is read, and arrives when another run has its name."""
    world, operator = history.world, history.world.operators[0]
    name = any_unfinished(history, how)
    if name is None:
        return
    inputs = [{"customer": f"c{number}", "valid": number == how % 2} for number in range(2)]
    for given in inputs:
        world.delete_run(name)
        if ("taskruns", name) in world.api.objects:
            return
        world.create_run(name, input=given)
        if given is inputs[0] and not reach(operator, key_of(name), ReadInput, ["after"]):
            return
    operator.see_all()
    while key_of(name) in operator.held:
        operator.proceed(key_of(name))
    operator.work(most=30)
    start_all(history, name)


def is_drained_as_it_ends(history: "History", how: int) -> None:
    """A pod is deleted after its program has ended, before its node reports that; then the operator dies."""
    world = history.world
    working = worker(history, how)
    if working is None or world.nodes.pod_of(working) is None:
        return
    world.nodes.exit(working, 0, is_slow=True)
    world.api.now += timedelta(seconds=2)
    world.delete(working.pod)
    world.operators[0].work(most=30)
    world.nodes.run()
    world.restart_operator(0)
    world.operators[0].work(most=30)
    start_all(history, working.run)


def waits_to_call_hooks(history: "History", how: int) -> None:
    """A pod has answered, and reads only after some time that its run has ended and that hooks are due."""
    world, operator = history.world, history.world.operators[0]
    working = worker(history, how // 2)
    if working is None or working.is_stuck:
        return
    world.answer(working.uid, {"status": "done"} if how % 2 else {"status": "error", "retryable": False})
    operator.work(most=30)
    start_all(history, working.run)
    world.advance(1)
    world.call_hook(working.uid)


def is_disrupted_twice(history: "History", how: int) -> None:
    """A pod that has stored a checkpoint is lost, and the one after it before its start.

    Another replica, which takes over then, sees all of that but the records.
    """
    world = history.world
    working = worker(history, how // 2)
    if working is None or len(world.operators) > 1 or world.nodes.pod_of(working) is None:
        return
    world.standby()
    world.promises.are_slots_certain = False
    if how % 2:
        world.operators[1].see_all()  # the claim, but not the checkpoint
    world.checkpoint(working.uid)
    world.nodes.exit(working, 137)
    world.force_delete(working.pod)
    world.operators[0].work(most=30)
    following = names.pod_name(working.run, working.me.iteration, working.me.attempt + 1)
    if ("pods", following) not in world.api.objects:
        return
    world.force_delete(following)
    world.take_over(1)
    world.operators[1].work(most=30, but="taskiterations")
    world.advance(61)
    world.operators[1].work(most=30, but="taskiterations")
    start_all(history, working.run)


def worker(history: "History", how: int) -> Process | None:
    """Let the pods start; return one that runs user code."""
    history.world.operators[0].work(most=30)
    for name in history.world.names:
        start_all(history, name)
    return history.one(how, lambda process: process.runs_user_code and not process.is_orphan)


def take_effect(history: "History", name: str) -> None:
    """The requests that got no response take effect; what they have created starts, and the leader sees it."""
    world, operator = history.world, history.world.operators[0]
    world.late += operator.late
    operator.late.clear()
    while world.late:
        world.take_effect()
    start_all(history, name)
    operator.work(most=30)
