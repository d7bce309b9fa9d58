"""The order in which runs get their slots, and the cost of waiting. test_relay_properties.py checks the limits."""

from podrelay.kube.resources import Key
from tests.support.relaymodel.world import NAMESPACE, World

DONE = {"status": "done"}
NAMES = [f"run{number}" for number in range(6)]


def finish(world: World, name: str) -> None:
    """The pod of a run, if it has one, starts, answers and ends."""
    for pod in world.pods():
        if pod["metadata"]["ownerReferences"][0]["name"] == name and world.start(pod["metadata"]["name"]):
            world.answer(pod["metadata"]["uid"], DONE)
            world.exit(pod["metadata"]["name"], 0)


def test_runs_start_in_the_order_of_their_age() -> None:
    world = World({"maxConcurrentRuns": 1}, runs=NAMES)
    operator = world.operators[0]
    order: list[str] = []
    for name in reversed(NAMES):
        operator.step(Key(NAMESPACE, name))
    while len(order) < len(NAMES):
        operator.work()
        order += [
            pod["metadata"]["ownerReferences"][0]["name"]
            for pod in world.pods()
            if pod["metadata"]["uid"] not in world.processes
        ]
        finish(world, order[-1])

    # All were created in the same second, so their names decide; the last one was reconciled first, before the others.
    assert order == ["run5", "run0", "run1", "run2", "run3", "run4"]


def test_a_pod_that_ends_before_its_status_is_written_keeps_the_slot_of_its_run() -> None:
    """The run may continue after that, with a slot that no other run may have got meanwhile."""
    world = World({"maxConcurrentRuns": 1}, runs=NAMES[:2])
    operator = world.operators[0]
    operator.step(Key(NAMESPACE, "run0"))  # requests a slot
    operator.step(Key(NAMESPACE, "run0"))  # creates the pod
    process = world.begin("run0-i1")
    assert process is not None
    world.run_user_code(process)
    world.answer(process.uid, {"status": "continue"})
    world.exit("run0-i1", 0)
    operator.see_all()

    operator.step(Key(NAMESPACE, "run1"))
    operator.work()

    events = [event for event in world.api.events if (event.plural, event.type) == ("pods", "ADDED")]
    made = [event.object["metadata"]["name"] for event in events]
    assert made == ["run0-i1", "run0-i2"]


def test_queued_runs_are_not_rewritten_whenever_one_ends() -> None:
    world = World({"maxConcurrentRuns": 1}, runs=[f"run{number}" for number in range(300)])
    operator = world.operators[0]
    operator.work(most=10_000)
    before = len(world.api.events)

    finish(world, "run0")
    operator.work(most=10_000)

    events = [event for event in world.api.events[before:] if event.plural == "taskruns"]
    changed = [event.object["metadata"]["name"] for event in events]
    assert {"run0", "run1"} <= set(changed)
    assert len(changed) <= 2 + 9  # the end, the next pod, and the places 1, 2, 4 ... 256
