"""Chooses what happens next, so that histories reach dangerous situations.

A history is a string of bytes: two bytes choose one of the possible moves, a third is its parameter. Byte 0 is always
the most harmless choice, so that hypothesis shrinks to short and quiet histories. A few kinds of trouble are chosen at
the beginning of each history, because a history in which everything fails at once makes no progress."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import accumulate
from typing import Any, Final

from podrelay.operator.view import Settings
from tests.support.relaymodel.operators import KINDS, Operator
from tests.support.relaymodel.processes import Process
from tests.support.relaymodel.themes import FAVOUR, HOOKS, THEMES, Theme
from tests.support.relaymodel.world import KEY, World

ANSWERS: Final[tuple[dict[str, Any], ...]] = (
    {"status": "continue"},
    {"status": "done"},
    {"status": "continue", "waitSeconds": 90},
    {"status": "error"},
    {"status": "error", "retryAfterSeconds": 90},
    {"status": "error", "retryable": False},
    {"status": "aborted"},
)
SECONDS: Final = (1, 12, 40, 61, 150, 400)
STARTS: Final[tuple[int | None, ...]] = (60, None, 400, 5)
"""Seconds from now until the start of a run that is rescheduled; None: at once."""
TROUBLES: Final = (
    "lag",  # the watch of one kind lags behind the others
    "slow requests",  # responses are late, or lost
    "crashes",  # of containers
    "evictions",
    "force",  # pods deleted by force
    "nodes",  # lost, found, or collected
    "aborts",
    "second operator",
    "standby",  # whose watches are broken until it takes over
    "restarts",
    "suspension",
    "names again",  # runs deleted, and created again with the same names
    "definition changes",
    "foreign finalizers",
    "refusals",  # of pods, by admission
    "lost state",
    "slow nodes",  # which report the end of a pod after that of its container
    "stolen names",  # pods of others with the names of the relay's pods
    "rescheduling",  # of runs, until the first pod exists
)
"""Each history has some of these; two thirds of the histories are about a theme, which adds what it needs."""
_HANDOVERS: Final[list[dict[str, Any]]] = [
    {},
    {"handover": "AfterEnd"},
    *({"standby": {"afterSeconds": s}} for s in (0, 20)),
]
_CLOCKS: Final = (0, 0, 0, -70, -400, 70, 400)

Move = tuple[int, Callable[[int], Any]]
"""Its weight, and what it does; the number is its parameter."""


class Bytes:
    """Reads a history; after its end, all bytes are 0."""

    def __init__(self, history: bytes) -> None:
        self._history = history
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._history)

    def next(self) -> int:
        self._at += 1
        return self._history[self._at - 1] if self._at <= len(self._history) else 0

    def pick(self, choices: Any) -> Any:
        return choices[self.next() % len(choices)]


@dataclass
class History:
    """A world, and what may happen in it."""

    world: World
    troubles: frozenset[str]
    theme: Theme = THEMES[0]
    lagging: str | None = None
    """The kind whose watch lags."""
    log: list[str] = field(default_factory=list)
    """The moves so far, in readable form."""

    def play(self, choices: Bytes) -> None:
        """Play one move."""
        moves = list(self._moves())
        weights = list(accumulate(self._weight(move) for move in moves))
        at = bisect_right(weights, (choices.next() * 256 + choices.next()) * weights[-1] // 65536)
        move, how = moves[at][1], choices.next()
        self.log.append(f"{move.__qualname__.rpartition('.')[2]}({how})")
        move(how)
        self.world.promises.look()

    def _weight(self, move: Move) -> int:
        weight, how = move
        return weight * (FAVOUR if how.__name__ in self.theme.favours else 1)

    def _moves(self) -> Iterator[Move]:
        yield from self._quiet()
        yield from self._of_containers()
        yield from self._of_requests()
        if self.theme.scenes:
            yield 12, self._scene
        if any(self.world.children(name) for name in self.world.names):
            yield 2, self._end_child
        for trouble in sorted(self.troubles):
            yield from self._of_trouble(trouble)

    # --- without trouble ------------------------------------------------------------------------------------------

    def _quiet(self) -> Iterator[Move]:
        yield 12, self._work
        yield 8, self._step
        yield 3, self._step_twice
        yield 6, self._see
        yield 3, self._advance
        if any(p["metadata"]["uid"] not in self.world.processes for p in self.world.pods()):
            yield 14, self._start

    def _operator(self, how: int) -> Operator:
        working = [operator for operator in self.world.operators if not operator.is_standby]
        return working[how % len(working)]

    def _key(self, how: int) -> Any:
        return KEY._replace(name=self.world.names[how // 2 % len(self.world.names)])

    def _work(self, how: int) -> None:
        self._operator(how).work(most=30, but=self.lagging)

    def _step(self, how: int) -> None:
        self._operator(how).step(self._key(how))

    def _step_twice(self, how: int) -> None:
        for _ in range(2):
            self._operator(how).step(self._key(how))

    def _see(self, how: int) -> None:
        kinds = [kind for kind in KINDS if kind != self.lagging]
        self._operator(how).see(1 + how // 16, kinds if how % 4 else [kinds[how // 4 % len(kinds)]])

    def _advance(self, how: int) -> None:
        self.world.advance(SECONDS[how % len(SECONDS)])

    # --- containers -----------------------------------------------------------------------------------------------

    def _of_containers(self) -> Iterator[Move]:
        processes = [p for p in self.world.processes.values() if not p.has_ended and not self.world.nodes.is_lost(p)]
        if any(p.runs_user_code for p in processes):
            yield 16, self._answer
            yield 3, self._beat
            yield 3, self._checkpoint
            yield 1, self._get_stuck
        if any(p.waits_for_release for p in processes):
            yield 8, self._look_again
        if any(p.has_looked and not p.has_begun for p in processes):
            yield 10, self._claim
        if any(p.waits_for_end or p.only_hooks or p.calls for p in processes):
            yield 10, self._hook
        if any(not p.runs_user_code for p in processes):
            yield 10, self._exit

    def one(self, how: int, wanted: Callable[[Process], bool]) -> Process | None:
        """Return a container that runs on a node that is not lost."""
        lost = self.world.nodes.is_lost
        found = [p for p in self.world.processes.values() if not p.has_ended and not lost(p) and wanted(p)]
        return found[how % len(found)] if found else None

    def _start(self, how: int) -> None:
        names = [p["metadata"]["name"] for p in self.world.pods() if p["metadata"]["uid"] not in self.world.processes]
        if how % 4 == 3:
            self.world.begin(names[how // 4 % len(names)])
        else:
            self.world.start(names[how // 4 % len(names)])

    def _look_again(self, how: int) -> None:
        process = self.one(how, lambda p: p.waits_for_release)
        if process is not None:
            self.world.look_again(process)

    def _claim(self, how: int) -> None:
        process = self.one(how, lambda p: p.has_looked and not p.has_begun)
        if process is not None:
            self.world.run_user_code(process)

    def _answer(self, how: int) -> None:
        process = self.one(how // 32, lambda p: p.runs_user_code and not p.is_stuck)
        if process is not None:
            process.leaves_threads = how % 64 >= 32
            self.world.answer(process.uid, ANSWERS[how % 16 % len(ANSWERS)], loses_reply=how % 32 >= 24)

    def _beat(self, how: int) -> None:
        process = self.one(how, lambda p: p.runs_user_code and not p.is_stuck)
        if process is not None:
            self.world.beat(process.uid)

    def _get_stuck(self, how: int) -> None:
        process = self.one(how, lambda p: p.runs_user_code)
        if process is not None:
            process.is_stuck = True

    def _checkpoint(self, how: int) -> None:
        process = self.one(how, lambda p: p.runs_user_code and not p.is_stuck)
        if process is not None:
            self.world.checkpoint(process.uid)

    def _hook(self, how: int) -> None:
        process = self.one(how // 4, lambda p: bool(p.waits_for_end or p.only_hooks or p.calls))
        if process is not None:
            self.world.call_hook(process.uid, loses_reply=how % 4 == 3)

    def _exit(self, how: int) -> None:
        process = self.one(how, lambda p: not p.runs_user_code)
        if process is not None:
            self.world.nodes.exit(process, 0, is_slow="slow nodes" in self.troubles and how % 2 == 1)

    def _scene(self, how: int) -> None:
        scene = self.theme.scenes[how % len(self.theme.scenes)]
        self.log.append(scene.__name__)
        scene(self, how // len(self.theme.scenes))

    def _end_child(self, how: int) -> None:
        parents = [name for name in self.world.names if self.world.children(name)]
        if parents:
            self.world.end_child(how // 4, parents[how // 4 % len(parents)], by_deletion=how % 4 == 3)

    # --- requests -------------------------------------------------------------------------------------------------

    def _of_requests(self) -> Iterator[Move]:
        if any(operator.held for operator in self.world.operators):
            yield 8, self._deliver
            yield 4, self._lose
        if any(operator.late for operator in self.world.operators) or self.world.late:
            yield 4, self._take_effect

    def _deliver(self, how: int) -> None:
        self._proceed(how, is_lost=False)

    def _lose(self, how: int) -> None:
        self._proceed(how, is_lost=True)

    def _proceed(self, how: int, *, is_lost: bool) -> None:
        working = [operator for operator in self.world.operators if operator.held]
        operator = working[how % len(working)]
        keys = list(operator.held)
        if is_lost:
            self.world.promises.are_slots_certain = False
        operator.proceed(keys[how // 2 % len(keys)], is_lost=is_lost)

    def _take_effect(self, _how: int) -> None:
        for operator in self.world.operators:
            self.world.late += operator.late
            operator.late.clear()
        self.world.take_effect()

    # --- troubles -------------------------------------------------------------------------------------------------

    def _of_trouble(self, trouble: str) -> Iterator[Move]:
        world = self.world
        has_pods = bool(world.pods())
        match trouble:
            case "lag":
                yield 4, self._lag
                yield 2, self._see_again
            case "slow requests":
                yield 8, self._slow_step
            case "crashes" if any(not p.has_ended for p in world.processes.values()):
                yield 4, self._crash
            case "evictions" if has_pods:
                yield 4, self._delete_pod
                yield 2, self._evict
            case "force" if has_pods:
                yield 4, self._force_delete
            case "nodes":
                yield 2, self._lose_node
                yield 2, self._find_nodes
                yield 2, self._collect_pods
            case "aborts":
                yield 2, self._abort
            case "second operator":
                if len(world.operators) > 1:
                    yield 3, self._take_over
                else:
                    yield 3, self._second
            case "standby" if len(world.operators) > 1:
                yield 3, self._take_over
            case "standby":
                yield 6, self._standby
            case "restarts":
                yield 4, self._restart
            case "suspension":
                yield 2, self._suspend
            case "names again":
                yield 4, self._delete_run
                yield 2, self._collect_owned
                if any(("taskruns", name) not in world.api.objects for name in world.names):
                    yield 8, self._create_again
            case "definition changes":
                yield 3, self._change_definition
            case "foreign finalizers" if has_pods:
                yield 3, self._hold_pod
                yield 1, self._delete_held_run
            case "refusals":
                yield 3, self._refuse
            case "lost state":
                yield 2, self._lose_state
            case "slow nodes":
                yield 2, self._report_ends
            case "stolen names":
                yield 3, self._squat
                yield 1, self._leave
            case "rescheduling":
                yield 6, self._reschedule

    def _name(self, how: int) -> str:
        pods = sorted(self.world.pods(), key=lambda pod: pod["metadata"]["creationTimestamp"])
        name: str = pods[-1 - how % len(pods)]["metadata"]["name"]
        return name

    def _run(self, how: int) -> str:
        return self.world.names[how % len(self.world.names)]

    def _lag(self, how: int) -> None:
        """Let another watch lag, or none; the previous one catches up with its next events."""
        self.lagging = [None, "pods", "taskiterations", "taskruns"][how % 4]

    def _see_again(self, how: int) -> None:
        self._operator(how).see_again(how // 4)

    def _slow_step(self, how: int) -> None:
        holds = (["before"], ["after"], [None, "before"], [None, "after"])[how % 4]
        self._operator(how // 4).step(self._key(how // 8), ["inside"] if how % 32 == 28 else holds)

    def _crash(self, how: int) -> None:
        process = self.one(how // 8, lambda _: True)
        if process is not None:
            # A program without the SDK may end like this, too, without an answer.
            code = 0 if process.by_message and how % 8 > 4 else 137 if how % 2 else 1
            self.world.nodes.exit(process, code, is_slow="slow nodes" in self.troubles and how % 4 > 1)

    def _delete_pod(self, how: int) -> None:
        self.world.delete(self._name(how))

    def _evict(self, how: int) -> None:
        self.world.evict(self._name(how))

    def _force_delete(self, how: int) -> None:
        name = self._name(how // 2)
        if how % 2 and "foreign finalizers" in self.troubles:
            self.world.hold_pod(name)
        self.world.force_delete(name)

    def _lose_node(self, _how: int) -> None:
        self.world.lose_node()

    def _find_nodes(self, _how: int) -> None:
        self.world.find_nodes()

    def _collect_pods(self, how: int) -> None:
        self.world.collect_garbage(is_slow=how % 2 == 1)

    def _abort(self, how: int) -> None:
        self.world.abort(self._run(how))

    def _second(self, _how: int) -> None:
        self.world.promises.are_slots_certain = False
        self.world.second_operator()

    def _standby(self, _how: int) -> None:
        self.world.standby()

    def _take_over(self, how: int) -> None:
        self.world.promises.are_slots_certain = False
        self.world.take_over(how // 4 if how % 4 == 3 else 1)

    def _restart(self, how: int) -> None:
        operator = self._operator(how)
        others = [one for one in self.world.operators if one is not operator and not one.is_standby]
        if operator.held or others:  # they do not notice that they no longer are the leader
            self.world.promises.are_slots_certain = False
        is_released = how // 2 % 4 == 3
        self.world.restart_operator(self.world.operators.index(operator), operator.skew, is_released=is_released)

    def _suspend(self, how: int) -> None:
        self.world.suspend(name=self._run(how // 2), value=how % 2 == 0)

    def _delete_run(self, how: int) -> None:
        name = self._run(how)
        if ("taskruns", name) in self.world.api.objects:
            self.world.delete_run(name)

    def _collect_owned(self, _how: int) -> None:
        self.world.collect_owned()

    def _create_again(self, how: int) -> None:
        gone = [name for name in self.world.names if ("taskruns", name) not in self.world.api.objects]
        if gone:
            given = {"customer": f"c{how // 4 % 2}", "valid": how % 2 == 0}
            self.world.create_run(gone[how // 8 % len(gone)], input=given)

    def _change_definition(self, how: int) -> None:
        now = self.world.spec
        match how % 4:
            case 0 if now.get("reporting") == "API":
                self.world.change_definition(hooks=[] if now.get("hooks") else HOOKS)
            case 1:
                self.world.change_definition(retry={**(now.get("retry") or {}), "limit": how // 4 % 3})
            case 2:
                self.world.change_definition(suspend=not now.get("suspend"))
            case _:
                self.world.change_definition(maxIterations=1 + how // 4 % 4)

    def _hold_pod(self, how: int) -> None:
        self.world.hold_pod(self._name(how))

    def _delete_held_run(self, how: int) -> None:
        name = self._run(how)
        if ("taskruns", name) in self.world.api.objects:
            self.world.delete_run(name, is_held=True)

    def _refuse(self, how: int) -> None:
        name = self._run(how // 2)
        (self.world.refused.add if how % 2 == 0 else self.world.refused.discard)(name)

    def _lose_state(self, how: int) -> None:
        if ("taskruns", self._run(how)) in self.world.api.objects:
            self.world.lose_state(self._run(how))

    def _report_ends(self, _how: int) -> None:
        self.world.nodes.report_ends()

    def _squat(self, how: int) -> None:
        self.world.squat(self._run(how))

    def _leave(self, _how: int) -> None:
        self.world.remove_foreign_pods()

    def _reschedule(self, how: int) -> None:
        if ("taskruns", self._run(how)) in self.world.api.objects:
            self.world.reschedule(self._run(how), STARTS[how // 2 % len(STARTS)])


def begin(choices: Bytes, runs: int = 2, *, always_limited: bool = False) -> History:
    """Create a world, and choose its troubles."""
    quiet = len(THEMES) // 2
    theme = THEMES[max(0, choices.next() % (quiet + len(THEMES)) - quiet)]
    most = 5 if theme is THEMES[0] else 2
    troubles = theme.troubles | {choices.pick(TROUBLES) for _ in range(choices.next() % (most + 1))}
    chosen_reporting = "TerminationMessage" if choices.next() % 3 == 2 else "API"
    by_message = theme.definition.get("reporting", chosen_reporting) == "TerminationMessage"
    has_limits = 1 + choices.next() % 2 if always_limited else choices.next() % 3
    definition: dict[str, Any] = {
        "maxIterations": 1 + choices.next() % 4,
        "disruptionRetries": choices.next() % 4,
        "retry": {"limit": choices.next() % 3, "on": choices.pick([["Error", "PodFailure", "Timeout"], ["Error"], []])},
        "historyLimit": {"iterations": 1 + choices.next() % 3},
        "podCleanup": choices.pick(["OnSuccess", "Always", "Never"]),
        "iterationTimeoutSeconds": 300,
        "pendingTimeoutSeconds": 200,
        "abortGracePeriodSeconds": 20,
        "reporting": "TerminationMessage" if by_message else "API",
    }
    if not by_message and choices.next() % 2:
        definition["hooks"] = HOOKS
    if not by_message and choices.next() % 4 > 1:
        definition["heartbeatTimeoutSeconds"] = 60
    if not by_message:
        definition |= choices.pick(_HANDOVERS)
    definition |= theme.definition
    if has_limits == 1:
        definition["maxConcurrentRuns"] = 1 + choices.next() % 2
    if has_limits == 2:
        definition["concurrency"] = {"key": "customer", "limit": 1}
    if choices.next() % 3 == 2:
        definition["inputSchema"] = {"type": "object", "properties": {"valid": {"const": True}}}
    settings = Settings(max_running_pods=1) if choices.next() % 8 == 7 else Settings()
    skew = timedelta(seconds=choices.pick(_CLOCKS if theme.skew is None else [theme.skew]))
    names = [KEY.name, *(f"run{number}" for number in range(1, runs))]
    spec = {"delaySeconds": 30} if choices.next() % 4 == 3 else {}
    has_deadlines = by_message and (theme.has_deadlines or choices.next() % 2 == 1)
    if by_message and choices.next() % 2:
        definition["recordLogs"] = False
    world = World(definition, spec, runs=names, settings=settings, node_skew=skew, has_deadlines=has_deadlines)
    world.nodes.forgets_orphans = "slow nodes" in troubles
    return History(world, troubles, theme)
