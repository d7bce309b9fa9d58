"""A run that waits for its children, on random histories of what becomes of them and in what order it is seen."""

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.support.modelworld import World
from tests.unit.reconciler.test_relay_properties import play

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
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.integers(0, 3), st.sampled_from(["API", "TerminationMessage"]), st.booleans(), st.lists(MOVES, max_size=40))
def test_a_parent_goes_on_once_when_its_children_have_ended(
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
    event(f"{children} children, {'aborted' if aborted else 'goes on'}")
