"""A run that waits for its children, in random histories of their ends and of the order of events."""

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.support.relaymodel.world import World
from tests.unit.operator.test_relay_properties import PHASES

DONE = {"status": "done"}
WAIT = {"status": "continue", "input": {}, "waitForChildren": {}}
MOVES = st.tuples(
    st.sampled_from(
        [
            *["step"] * 8,
            *["see_runs"] * 4,
            *["see_records"] * 3,
            *["see_pods"] * 3,
            *["end_child"] * 3,
            *["delete_child"] * 2,
            *["add_child"] * 2,
            "start",
            "exit",
            "see_again",
            "second",
            "restart",
            "relist",
            "suspend",
            "resume",
            "abort",
        ]
    ),
    st.integers(0, 3),
    st.integers(0, 4),
)


def play(world: World, what: str, which: int, number: int) -> None:
    pods = sorted(world.pods(), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    name = pods[which % len(pods)]["metadata"]["name"] if pods else None
    operator = world.operators[which % len(world.operators)]
    match what:
        case "step":
            operator.step()
        case "see_pods" | "see_runs" | "see_records":
            operator.see(5, [{"see_pods": "pods", "see_runs": "taskruns", "see_records": "taskiterations"}[what]])
        case "see_again":
            operator.see_again(number)
        case "relist":
            operator.relist()
        case "restart":
            world.restart_operator(which)
        case "second":
            world.second_operator()
        case "add_child":
            world.add_child()
        case "end_child" | "delete_child" if world.children():
            world.end_child(which, by_deletion=what == "delete_child")
        case "abort":
            world.abort()
        case "suspend" | "resume":
            world.suspend(value=what == "suspend")
        case "start" if name:
            world.start(name)
        case "exit" if name and pods[which % len(pods)]["metadata"]["uid"] in world.processes:
            world.exit(name, 0)
    world.promises.look()


def parent(children: int, reporting: str) -> World:
    """A run whose first iteration has started children; the operator has not seen them yet."""
    world = World({"reporting": reporting, "maxIterations": 2})
    for _ in range(3):
        world.operators[0].step()
    assert world.start("run-i1")
    world.operators[0].see(100)
    for _ in range(children):
        world.add_child()
    return world


@settings(
    max_examples=200,
    deadline=None,
    phases=PHASES,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.integers(0, 3), st.sampled_from(["API", "TerminationMessage"]), st.booleans(), st.lists(MOVES, max_size=40))
def test_a_parent_continues_once_when_its_children_have_finished(
    children: int, reporting: str, ends_at_once: bool, moves: list[tuple[str, int, int]]
) -> None:
    world = parent(children, reporting)
    first = world.api.read("pods", "run-i1")["metadata"]["uid"]
    world.answer(first, WAIT)
    if ends_at_once:
        world.exit("run-i1", 0)
    aborted = False
    for what, which, number in moves:
        play(world, what, which, number)
        aborted = aborted or (what == "abort" and not world.is_finished)
        assert not world.violations

    world.settle(DONE)

    assert not world.violations
    assert world.user_code_starts.count((2, 1)) == 1 or aborted
    assert world.status["phase"] == ("Aborted" if aborted else "Succeeded")
    if aborted:
        assert all("abort" in child["spec"] for child in world.children())
    event(f"{children} children, {'aborted' if aborted else 'continues'}")
