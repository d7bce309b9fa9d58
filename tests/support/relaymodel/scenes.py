"""Scenes: several moves in a certain order, without which a dangerous situation hardly ever arises.

A scene plays the parts of several operators and users, whose requests and events overlap. It does nothing if the
history is not at a point where it can begin, and what follows is random again.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from podrelay.api import names
from podrelay.kube.resources import Key
from podrelay.operator.plan import Action, CreatePod, OpenGate
from podrelay.operator.planner import planner
from tests.support.modelapi import FINISHED
from tests.support.relaymodel.operators import KINDS, Operator
from tests.support.relaymodel.processes import Process

if TYPE_CHECKING:
    from tests.support.relaymodel.moves import History

Scene = Callable[["History", int], None]
CONTINUE: Final = {"status": "continue"}
_STEPS: Final = 6
"""So many steps lead an operator to any action of a scene."""


def ends_unseen(history: "History", how: int) -> None:
    """A pod begins to work; another operator, which has not seen it, ends the run."""
    world, name = history.world, any_unfinished(history, how)
    first, second = _two_operators(history)
    if name is None or not reach(first, key_of(name), CreatePod, ["after"]):
        return
    start_all(history, name)
    if how % 4 == 0:
        world.delete_run(name, is_held=True)
    else:
        world.abort(name)
    steps(second, key_of(name), "pods", *(["taskiterations"] if how % 2 else []))


def comes_late(history: "History", how: int) -> None:
    """A pod is created after the end of its run, or after the run was replaced by another one of the same name."""
    world, name = history.world, any_unfinished(history, how)
    first, second = _two_operators(history)
    if name is None or not reach(first, key_of(name), CreatePod, ["before"]):
        return
    if how % 2:
        world.delete_run(name, is_held=True)
        steps(second, key_of(name))
    else:
        world.delete_run(name)
        world.create_run(name)
    _deliver(first, key_of(name))
    start_all(history, name)


def has_a_name_again(history: "History", how: int) -> None:
    """A pod is deleted by force after it began, and an operator that knows nothing of it creates another one."""
    world, name = history.world, any_unfinished(history, how)
    first, second = _two_operators(history)
    if name is None or _current(history, name) is not None or not reach(second, key_of(name), CreatePod, ["before"]):
        return
    if not reach(first, key_of(name), CreatePod, []):
        return
    claims_late = how % 4 == 0
    start_all(history, name, may_claim=not claims_late)
    old = working_pod(history, name)
    if old is None:
        return
    world.force_delete(old.pod)
    steps(first, key_of(name), until=lambda: ("pods", old.pod) not in world.api.objects)
    _deliver(second, key_of(name))
    second.see_all("taskiterations")
    second.step(key_of(name))  # writes the status
    start_all(history, name, may_claim=not claims_late)
    for process in (old, *world.processes.values()):
        if process.run == name and process.has_looked and not process.has_begun:
            world.run_user_code(process)
    steps(second, key_of(name), *(["taskiterations"] if how % 8 < 4 else []))


def opens_late(history: "History", how: int) -> None:
    """The gate of a pod is opened by a late request, when another pod has the name."""
    world, name = history.world, any_unfinished(history, how)
    first, second = _two_operators(history)
    if name is None or _current(history, name) is not None or not reach(second, key_of(name), CreatePod, ["before"]):
        return
    if not reach(first, key_of(name), CreatePod, []) or not reach(first, key_of(name), OpenGate, ["before"]):
        return
    pod = names.pod_name(name, 1, 1)
    if ("pods", pod) not in world.api.objects:
        return
    world.force_delete(pod)
    world.restart_operator(0)
    steps(world.operators[0], key_of(name), until=lambda: ("pods", pod) not in world.api.objects)
    _deliver(second, key_of(name))
    while world.late:
        world.take_effect()
    start_all(history, name)


def starts_too_late(history: "History", how: int) -> None:
    """A pod starts when its time to start is over, before the operator sees that."""
    world, operator = history.world, history.world.operators[0]
    operator.work(most=30)
    waiting = [pod["metadata"]["name"] for pod in world.pods() if pod["metadata"]["uid"] not in world.processes]
    if not waiting:
        return
    pod = waiting[how % len(waiting)]
    world.advance(400 if how % 2 else 201)
    world.start(pod)
    steps(operator, key_of(names.run_of(pod)), "pods")


def calls_hooks_unseen(history: "History", how: int) -> None:
    """A pod calls its hooks and ends, and the operator sees the end before the outcomes."""
    world, operator = history.world, history.world.operators[0]
    caller = history.one(how, lambda process: process.waits_for_end or bool(process.only_hooks))
    if caller is None:
        return
    operator.work(most=30)
    while world.call_hook(caller.uid):
        pass
    world.nodes.exit(caller, 0)
    steps(operator, key_of(caller.run), "taskiterations")
    start_all(history, caller.run)
    for process in list(world.processes.values()):
        if process.run == caller.run and process.only_hooks:
            world.call_hook(process.uid)


def calls_hooks_of_another_run(history: "History", how: int) -> None:
    """A run is deleted while its pod waits for the end, and another one of its name ends."""
    world, operator = history.world, history.world.operators[0]
    caller = history.one(how, lambda process: process.waits_for_end)
    if caller is None or ("taskruns", caller.run) not in world.api.objects:
        return
    world.delete_run(caller.run)
    if ("taskruns", caller.run) in world.api.objects:
        return
    world.create_run(caller.run)
    world.abort(caller.run)
    operator.work(most=30)
    world.call_hook(caller.uid)


def waits_for_children(history: "History", how: int) -> None:
    """A task starts a child and waits for it; the operator sees the answer before the child."""
    world, operator = history.world, history.world.operators[0]
    parent = history.one(how // 4, lambda process: process.runs_user_code and not process.is_stuck)
    if parent is None or parent.by_message or ("taskruns", parent.run) not in world.api.objects:
        return
    world.add_child(parent.run)
    world.answer(parent.uid, {"status": "continue", "waitForChildren": {}})
    world.nodes.exit(parent, 0)
    operator.work(most=30, but="taskruns" if how % 4 else None)
    start_all(history, parent.run)


def has_a_standby(history: "History", how: int) -> None:
    """A pod waits while the one before it works, which then waits, ends, or answers late."""
    world, operator = history.world, history.world.operators[0]
    for _ in range(2):  # the second time, the standby is created
        operator.work(most=30)
        for name in world.names:
            start_all(history, name)
    working = history.one(how // 4, lambda process: process.runs_user_code and not process.is_stuck)
    if working is None:
        return
    if how % 4 == 3:
        world.advance(160)
    answer = ({"status": "continue", "waitSeconds": 90}, {"status": "done"}, {"status": "error"}, CONTINUE)[how % 4]
    world.answer(working.uid, answer)
    world.nodes.exit(working, 0)
    operator.work(most=30)
    for process in list(world.processes.values()):
        if process.run == working.run and process.waits_for_release:
            world.look_again(process)
            if process.has_looked:
                world.run_user_code(process)
    if how % 4 == 3:
        world.advance(160)
        operator.work(most=30)


def fails_again(history: "History", how: int) -> None:
    """Several attempts fail, one after the other, each after a checkpoint."""
    world, operator = history.world, history.world.operators[0]
    for code in (137, 1):
        operator.work(most=30)
        for name in world.names:
            start_all(history, name)
        working = history.one(how // 2, lambda process: process.runs_user_code)
        if working is None:
            return
        world.checkpoint(working.uid)
        if how % 2:
            world.answer(working.uid, {"status": "error"})
        world.nodes.exit(working, code)
        operator.work(most=30)
        world.advance(61)
    operator.work(most=30)
    for name in world.names:
        start_all(history, name)


def is_decided_already(history: "History", how: int) -> None:
    """An operator dies after it has created the next attempt, and the definition no longer allows that attempt."""
    world, operator = history.world, history.world.operators[0]
    operator.work(most=30)
    for name in world.names:
        start_all(history, name)
    working = history.one(how // 2, lambda process: process.runs_user_code)
    if working is None or world.nodes.pod_of(working) is None or working.run not in _unfinished(history):
        return
    if how % 2:
        world.answer(working.uid, {"status": "error"})
        world.nodes.exit(working, 1)
    else:
        world.delete(working.pod)
    world.advance(61)
    if not reach(operator, key_of(working.run), CreatePod, ["after"]):
        return
    start_all(history, working.run)
    world.restart_operator(0)
    retry = world.spec.get("retry") or {}
    world.change_definition(disruptionRetries=0, retry={**retry, "limit": 0})
    world.operators[0].work(most=30)


def is_left_behind(history: "History", how: int) -> None:
    """A pod is deleted by force, or with its node, while its container continues to run; it is replaced in time."""
    world, operator = history.world, history.world.operators[0]
    operator.work(most=30)
    for name in world.names:
        start_all(history, name)
    working = history.one(how // 4, lambda process: process.runs_user_code and not process.is_orphan)
    if working is None or world.nodes.pod_of(working) is None:
        return
    if how % 2:
        world.hold_pod(working.pod)
    if how % 4 < 2:
        world.force_delete(working.pod)
    else:
        world.lose_node()
        world.collect_garbage(is_slow=how // 4 % 2 == 1)
    for seconds in (1, 16, 16):
        operator.work(most=30)
        start_all(history, working.run)
        world.advance(seconds)
    operator.work(most=30)
    start_all(history, working.run)


def _two_operators(history: "History") -> tuple[Operator, Operator]:
    world = history.world
    world.promises.are_slots_certain = False
    world.second_operator()
    return world.operators[0], world.operators[1]


def _unfinished(history: "History") -> list[str]:
    """Return the names of the runs that have not ended, are not being deleted or aborted, and no operator works on."""
    world = history.world
    return [
        str(run["metadata"]["name"])
        for run in world.runs()
        if run.get("status", {}).get("phase") not in FINISHED
        and "deletionTimestamp" not in run["metadata"]
        and run["spec"].get("abort") is None
        and not any(key_of(run["metadata"]["name"]) in operator.held for operator in world.operators)
    ]


def any_unfinished(history: "History", how: int) -> str | None:
    found = _unfinished(history)
    return found[how // 8 % len(found)] if found else None


def key_of(name: str) -> Key:
    return Key("shop", name)


def _current(history: "History", name: str) -> dict[str, Any] | None:
    current: dict[str, Any] | None = history.world.status_of(name).get("current")
    return current


def reach(operator: Operator, key: Key, kind: type[Action], holds: list[str | None]) -> bool:
    """Let an operator work on a run up to an action of this kind, and carry it out; return whether there was one."""
    operator.see_all()
    for _ in range(_STEPS):
        view = operator.store.view(key)
        plan = planner.plan(view) if view is not None else None
        is_there = plan is not None and plan.actions != () and isinstance(plan.actions[0], kind)
        if not operator.step(key, holds if is_there else ()):
            return False
        if is_there:
            return True
    return False


def steps(operator: Operator, key: Key, *unseen: str, until: Callable[[], bool] = lambda: False) -> None:
    """Let an operator work on a run, without the events of some kinds, until something is true."""
    for _ in range(_STEPS):
        operator.see(len(operator.api.events), [kind for kind in KINDS if kind not in unseen])
        if until() or not operator.step(key):
            return


def _deliver(operator: Operator, key: Key) -> None:
    while key in operator.held:
        operator.proceed(key)


def start_all(history: "History", name: str, *, may_claim: bool = True) -> None:
    """The nodes start all pods of a run; with `may_claim`, they also claim their records."""
    world = history.world
    for pod in world.pods():
        about = pod["metadata"]
        if about["uid"] not in world.processes and names.run_of(about["name"]) == name:
            (world.start if may_claim else world.begin)(about["name"])


def working_pod(history: "History", name: str) -> Process | None:
    found = [process for process in history.world.processes.values() if process.run == name and not process.has_ended]
    return found[-1] if found else None
