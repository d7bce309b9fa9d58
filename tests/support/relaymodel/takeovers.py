"""Scenes about pods that start unclaimed: other leaders, and requests that take effect late. See `scenes`."""

from typing import TYPE_CHECKING

from podrelay.operator.plan import CreatePod
from tests.support.relaymodel.lateness import take_effect, worker
from tests.support.relaymodel.scenes import CONTINUE, any_unfinished, key_of, reach, start_all, steps, working_pod

if TYPE_CHECKING:
    from tests.support.relaymodel.moves import History


def is_unknown_to_the_next_leader(history: "History", how: int) -> None:
    """A pod comes and goes; a replica that has seen nothing of it takes over, so its name looks free."""
    world, name = history.world, any_unfinished(history, how)
    if name is None or len(world.operators) > 1:
        return
    world.standby()
    first = world.operators[0]
    first.work(most=30)
    _answer(history, name, CONTINUE)
    for _ in range(2):
        first.work(most=30)
        world.advance(4)
    first.work(most=30)
    world.promises.are_slots_certain = False
    world.take_over(1)
    world.advance(61 if how % 2 else 1)
    for _ in range(4):
        world.operators[1].step(key_of(name))
    start_all(history, name)


def gets_no_response(history: "History", how: int) -> None:
    """The creation of a pod gets no response, and takes effect when its name may be free, or its run has ended."""
    world, name = history.world, any_unfinished(history, how)
    operator = world.operators[0]
    if name is None or not reach(operator, key_of(name), CreatePod, ["before"]):
        return
    world.promises.are_slots_certain = False
    operator.proceed(key_of(name), is_lost=True)
    if how % 2:
        world.abort(name)
    else:
        world.advance(1)
        operator.work(most=30)
        _answer(history, name, CONTINUE if how % 4 else {"status": "done"})
    operator.work(most=30)
    if how % 16 > 8:
        world.advance(4)
        operator.work(most=30)
    take_effect(history, name)


def is_aborted_before_the_response(history: "History", how: int) -> None:
    """A pod that the operator ends is evicted; the creation of the next one gets no response, and the run is aborted.

    Then the creation takes effect.
    """
    world, operator = history.world, history.world.operators[0]
    working = worker(history, how)
    if working is None or world.nodes.pod_of(working) is None:
        return
    working.is_stuck = True
    world.advance(300)
    operator.work(most=30)
    if world.nodes.pod_of(working) is None:
        return
    world.evict(working.pod)
    if not reach(operator, key_of(working.run), CreatePod, ["before"]):
        return
    world.promises.are_slots_certain = False
    operator.proceed(key_of(working.run), is_lost=True)
    world.abort(working.run)
    operator.work(most=30)
    take_effect(history, working.run)


def ends_by_two_clocks(history: "History", how: int) -> None:
    """A program ends well, by the clock of its node after the deletion of its pod.

    The operator that saw it end first gets no response to what it stores, or dies; that takes effect late.
    """
    world, operator = history.world, history.world.operators[0]
    working = worker(history, how // 2)
    if working is None or world.nodes.pod_of(working) is None:
        return
    key = key_of(working.run)
    world.nodes.exit(working, 0)
    operator.see_all()
    if key in operator.held or not operator.step(key, ["before"]) or key not in operator.held:
        return
    world.promises.are_slots_certain = False
    world.delete(working.pod)
    if how % 2:
        operator.proceed(key, is_lost=True)
        if not reach(operator, key, CreatePod, []):
            return
    else:
        world.restart_operator(0)
        world.operators[0].work(most=30)
    start_all(history, working.run)
    take_effect(history, working.run)


def is_created_for_a_former_leader(history: "History", how: int) -> None:
    """A validating webhook delays the creation of a pod, until another leader has finished the run, or continued it."""
    world, name = history.world, any_unfinished(history, how)
    if name is None or not reach(world.operators[0], key_of(name), CreatePod, ["inside"]):
        return
    world.promises.are_slots_certain = False
    world.restart_operator(0, is_released=how % 4 > 1)
    operator = world.operators[0]
    if how % 2:
        world.abort(name)
    else:
        operator.work(most=30)
        _answer(history, name, CONTINUE)
    operator.work(most=30)
    world.advance(20)
    take_effect(history, name)


def is_gone_before_the_status_names_it(history: "History", how: int) -> None:
    """A pod is deleted by force soon after its start, and the leader dies when it has processed that."""
    world, name = history.world, any_unfinished(history, how)
    operator = world.operators[0]
    if name is None or not reach(operator, key_of(name), CreatePod, []):
        return
    start_all(history, name)
    process = working_pod(history, name)
    if process is None or world.nodes.pod_of(process) is None:
        return
    world.force_delete(process.pod)
    steps(operator, key_of(name), until=lambda: ("pods", process.pod) not in world.api.objects)
    world.restart_operator(0)
    world.operators[0].work(most=30)
    start_all(history, name)


def _answer(history: "History", name: str, answer: dict[str, str]) -> None:
    """The pod of a run starts, answers and ends."""
    start_all(history, name)
    process = working_pod(history, name)
    if process is not None:
        history.world.answer(process.uid, answer)
        history.world.nodes.exit(process, 0)
