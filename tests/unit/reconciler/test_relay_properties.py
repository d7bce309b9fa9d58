"""The promises of the relay, checked on random histories of everything that may happen to one run.

The operator is the real store, planner and executor; API server, nodes and time are models, see
tests/support/modelworld.py.
"""

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from podrelay.api.hooks import due_after
from tests.support.modelworld import World

ANSWERS: list[dict[str, Any]] = [
    {"status": "continue", "input": {}},
    {"status": "continue", "input": {}, "waitSeconds": 90},
    {"status": "done", "output": {"rows": 1}},
    {"status": "error", "error": {"message": "no luck"}},
    {"status": "error", "error": {"message": "no luck"}, "retryAfterSeconds": 90},
    {"status": "error", "error": {"message": "no luck"}, "retryable": False},
    {"status": "aborted"},
]

# Each move is (what, which pod or operator, a number); moves that do not fit at their time do nothing.
MOVES = st.tuples(
    st.sampled_from(
        [
            *["step"] * 8,
            *["see"] * 6,
            *["start"] * 4,
            *["answer"] * 4,
            *["exit"] * 3,
            *["hook"] * 3,
            *["beat"] * 2,
            "crash",
            "advance",
            "advance",
            "abort",
            "suspend",
            "resume",
            "delete",
            "force_delete",
            "evict",
            "restart",
            "second",
            "relist",
            "lose_state",
            "see_pods",
            "see_runs",
            "see_records",
            "see_again",
            "skew",
            "lose_node",
            "find_nodes",
            "collect_garbage",
        ]
    ),
    st.integers(0, 3),
    st.integers(0, 6),
)
DEFINITIONS = st.fixed_dictionaries(
    {
        "maxIterations": st.integers(1, 4),
        "disruptionRetries": st.integers(0, 3),
        "retry": st.fixed_dictionaries({"limit": st.integers(0, 2), "on": st.sampled_from([["Error", "Timeout"], []])}),
        "heartbeatTimeoutSeconds": st.sampled_from([None, 60]),
        "historyLimit": st.fixed_dictionaries({"iterations": st.integers(1, 3)}),
        "reporting": st.sampled_from(["API", "TerminationMessage"]),
        "hooks": st.sampled_from([[], ["onDone", "onError", "onAbort", "onMaxIterations"]]),
        "podCleanup": st.sampled_from(["OnSuccess", "Always", "Never"]),
        "iterationTimeoutSeconds": st.just(300),
        "pendingTimeoutSeconds": st.just(200),
        "abortGracePeriodSeconds": st.just(20),
    }
)
SPECS = st.fixed_dictionaries({}, optional={"delaySeconds": st.integers(0, 60)})


def play(world: World, what: str, which: int, number: int) -> None:
    pods = sorted(world.pods(), key=lambda pod: pod["metadata"]["creationTimestamp"])
    name = pods[which % len(pods)]["metadata"]["name"] if pods else None
    processes = [process for process in world.processes.values() if process.runs_user_code]
    operator = world.operators[which % len(world.operators)]
    match what:
        case "step":
            operator.step()
        case "see":
            operator.see(number + 1)
        case "see_pods" | "see_runs" | "see_records":
            operator.see(5, [{"see_pods": "pods", "see_runs": "taskruns", "see_records": "taskiterations"}[what]])
        case "see_again":
            operator.see_again(number)
        case "skew":
            operator.skew = timedelta(seconds=[-400, -20, 0, 20, 400][number % 5])
        case "relist":
            operator.relist()
        case "lose_node" | "find_nodes" | "collect_garbage" | "add_child" | "lose_state":
            getattr(world, what)()
        case "restart":
            world.restart_operator(which)
        case "second":
            world.second_operator()
        case "advance":
            world.advance([1, 12, 40, 150, 400][number % 5])
        case "abort":
            world.abort()
        case "suspend" | "resume":
            world.suspend(value=what == "suspend")
        case "answer" if processes:
            world.answer(processes[which % len(processes)].uid, ANSWERS[number])
        case "hook" if name and pods[which % len(pods)]["metadata"]["uid"] in world.processes:
            world.call_hook(pods[which % len(pods)]["metadata"]["uid"])
        case "beat" if processes:
            world.beat(processes[which % len(processes)].uid)
        case "end_child" | "delete_child" if world.children():
            world.end_child(which, by_deletion=what == "delete_child")
        case "start" if name:
            world.start(name)
        case "exit" | "crash" if name and pods[which % len(pods)]["metadata"]["uid"] in world.processes:
            world.exit(name, 0 if what == "exit" else 137)
        case "delete" if name:
            world.delete(name)
        case "force_delete" if name:
            world.force_delete(name)
        case "evict" if name:
            world.evict(name)


@settings(
    max_examples=600,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(DEFINITIONS, SPECS, st.lists(MOVES, min_size=5, max_size=60))
def test_every_history_keeps_the_promises(
    definition: dict[str, Any], spec: dict[str, Any], moves: list[tuple[str, int, int]]
) -> None:
    if definition["reporting"] != "API":
        definition.pop("hooks")  # it is the SDK that calls them
    world = World(definition, spec)
    phases = []
    aborted = False
    for what, which, number in moves:
        before = world.status.get("phase")
        play(world, what, which, number)
        aborted = aborted or (what == "abort" and not world.is_finished)
        phases.append(world.status.get("phase"))
        assert not world.violations
        if before in {"Succeeded", "Failed", "Aborted"}:
            assert world.status["phase"] == before, "a finished phase changed"

    world.settle(ANSWERS[2])

    assert not world.violations
    assert world.is_finished
    event(f"ends {world.status['phase']} {world.status['reason']}")
    if aborted:
        assert world.status["phase"] == "Aborted"
    check_counts(world, definition)
    assert len(set(world.hook_calls)) == len(world.hook_calls), "a hook was called again"
    due = due_after(world.status["phase"], world.status["reason"])
    told = [outcome["name"] for outcome in world.status.get("hooks", ())]
    assert told == [hook for hook in due if hook in definition.get("hooks", ())]


def check_counts(world: World, definition: dict[str, Any]) -> None:
    """Iterations are called one after the other, each no more often than attempts and disruptions allow."""
    starts = world.user_code_starts
    assert [iteration for iteration, _ in starts] == sorted(iteration for iteration, _ in starts)
    assert len(set(starts)) == len(starts), "one try ran twice"
    assert max((iteration for iteration, _ in starts), default=0) <= definition["maxIterations"]
    allowed = 1 + definition["retry"]["limit"] + definition["disruptionRetries"]
    for iteration, _ in starts:
        assert sum(1 for other, _ in starts if other == iteration) <= allowed
