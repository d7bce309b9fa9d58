"""Limits on random histories of several runs: never more pods than allowed, whatever lags or dies, and all of them end.

The operator is the real store, planner and executor; API server, pods and time are models.
"""

import contextlib
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podrelay.kube.errors import ApiError
from podrelay.reconciler import planner
from podrelay.reconciler.executor import Executor
from podrelay.reconciler.resources import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS
from podrelay.reconciler.store import Key, Store
from podrelay.reconciler.view import Settings
from tests.support.modelapi import FINISHED, ModelApi, run
from tests.support.modelworld import EPOCH, Operator

RUNS = 6
VALUES = 3
ANSWERS: list[dict[str, Any]] = [
    {"status": "continue", "input": {}},
    {"status": "continue", "input": {}, "waitSeconds": 60},
    {"status": "done"},
    {"status": "error", "error": {"message": "no luck"}},
]


class Replica(Operator):
    """An operator that knows of all runs."""

    def __init__(self, api: ModelApi, total: int | None) -> None:
        self.total = total
        super().__init__(api)

    def relist(self) -> None:
        self.marked: dict[Key, None] = {}
        self.store = Store(self._mark, Settings(max_running_pods=self.total), clock=lambda: self.now)
        self.executor = Executor(self.api, self.store, _Lease(), clock=lambda: self.now)  # type: ignore[arg-type]
        super().relist()
        self.store.slots.open()

    def _mark(self, key: Key) -> None:
        self.marked[key] = None

    def look_at(self, key: Key) -> bool:
        """Look at one run and do one thing; return whether there was anything to do."""
        view = self.store.view(key)
        if view is None:
            return False
        plan = planner.plan(view, self.now)
        with contextlib.suppress(ApiError):
            if plan.actions:
                run(self.executor.carry_out(key, view, plan.actions[0]))
                return True
            if plan.status is not None and plan.status != view.run.status:
                run(self.executor.write_status(key, view, plan))
                return True
        return False


class _Lease:
    def require(self) -> None:
        pass


class Shop:
    """Several runs of one definition with limits."""

    def __init__(self, limits: dict[str, Any], total: int | None) -> None:
        self.api = ModelApi(EPOCH)
        self.limits, self.total = limits, total
        template = {"spec": {"containers": [{"name": "task", "image": "task:1"}]}}
        spec = {"id": "work", "template": template, "retry": {"limit": 1}, "maxIterations": 5, **limits}
        run(self.api.create(TASK_DEFINITIONS, "shop", {"metadata": {"name": "work"}, "spec": spec}))
        self.keys = [Key("shop", f"run{number}") for number in range(RUNS)]
        for number, key in enumerate(self.keys):
            body = {"definition": "work", "input": {"customer": number % VALUES}}
            run(self.api.create(TASK_RUNS, "shop", {"metadata": {"name": key.name}, "spec": body}))
        self.operator = Replica(self.api, total)

    def status(self, key: Key) -> dict[str, Any]:
        status: dict[str, Any] = self.api.read("taskruns", key.name).get("status", {})
        return status

    def live_pods(self) -> list[dict[str, Any]]:
        return [pod for pod in self.api.find("pods") if self.may_work(pod)]

    @staticmethod
    def may_work(pod: dict[str, Any]) -> bool:
        has_ended = pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
        was_discarded = "deletionTimestamp" in pod["metadata"] and not pod["spec"].get("nodeName")
        return not (has_ended or was_discarded)

    def owner(self, pod: dict[str, Any]) -> str:
        name: str = pod["metadata"]["ownerReferences"][0]["name"]
        return name

    def answer(self, number: int, answer: dict[str, Any]) -> None:
        """The pod of a run, if it has one, starts, answers and ends."""
        key = self.keys[number % RUNS]
        for pod in self.live_pods():
            if self.owner(pod) != key.name:
                continue
            name, uid, now = pod["metadata"]["name"], pod["metadata"]["uid"], self.api.now.isoformat()
            iteration, _, attempt = name.rpartition("-i")[2].partition("t")
            record = {
                "metadata": {"name": name, "ownerReferences": pod["metadata"]["ownerReferences"]},
                "runName": key.name,
                "iteration": int(iteration),
                "try": int(attempt or 1),
                "podName": name,
                "podUID": uid,
                "startedAt": now,
                "finishedAt": now,
                "response": answer,
            }
            run(self.api.create(TASK_ITERATIONS, "shop", record))
            self.end(pod, 0)

    def end(self, pod: dict[str, Any], code: int) -> None:
        now = self.api.now.isoformat()
        state = {"terminated": {"exitCode": code, "startedAt": now, "finishedAt": now}}
        container = {"name": "task", "state": state}
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [container]}
        self.api.change("pods", pod["metadata"]["name"], {"status": status})

    def kubelets(self) -> None:
        """Pods that were told to end do."""
        for pod in self.live_pods():
            if pod["spec"].get("activeDeadlineSeconds") == 1:
                self.end(pod, 143)

    def play(self, what: str, number: int, how: int) -> None:
        key = self.keys[number % RUNS]
        match what:
            case "look":
                self.operator.look_at(key)
            case "see":
                self.operator.see(3 * how + 1)
            case "see_pods":
                self.operator.see(5, ["pods"])
            case "see_runs":
                self.operator.see(5, ["taskruns"])
            case "answer":
                self.answer(number, ANSWERS[how])
            case "crash":
                for pod in self.live_pods():
                    if self.owner(pod) == key.name:
                        self.end(pod, 137)
            case "delete_pod":
                for pod in self.live_pods():
                    if self.owner(pod) == key.name:
                        self.api.remove("pods", pod["metadata"]["name"])
            case "suspend" | "resume":
                self.api.change("taskruns", key.name, {"spec": {"suspend": what == "suspend"}})
            case "abort" if self.status(key).get("phase") not in FINISHED:
                self.api.change("taskruns", key.name, {"spec": {"abort": {}}})
            case "restart":
                self.operator = Replica(self.api, self.total)
            case "advance":
                self.api.now += timedelta(seconds=[1, 20, 70, 300][how])
        self.kubelets()

    def check(self) -> None:
        live = [int(self.owner(pod).removeprefix("run")) for pod in self.live_pods()]
        most = min(self.limits.get("maxConcurrentRuns", RUNS), self.total or RUNS)
        assert len(live) <= most, live
        if "concurrency" in self.limits:
            values = [number % VALUES for number in live]
            assert all(values.count(value) <= self.limits["concurrency"]["limit"] for value in values), live

    def work(self) -> None:
        """Let the operator do what there is to do, as its queue would have it."""
        self.operator.see(len(self.api.events))
        while self.operator.marked:
            key = next(iter(self.operator.marked))
            del self.operator.marked[key]
            while self.operator.look_at(key):
                self.operator.see(len(self.api.events))

    def settle(self) -> None:
        """Everybody does their work, fairly, until all runs have ended."""
        for key in self.keys:
            self.api.change("taskruns", key.name, {"spec": {"suspend": False}})
        for _ in range(300):
            self.operator.see(len(self.api.events))
            moved = [self.operator.look_at(key) for key in self.keys]
            self.check()
            if all(self.status(key).get("phase") in FINISHED for key in self.keys):
                return
            if any(moved):
                continue
            before = len(self.live_pods())
            for number in range(RUNS):
                self.answer(number, ANSWERS[2])
            self.kubelets()
            if not before:
                self.api.now += timedelta(seconds=60)
        raise AssertionError({key.name: self.status(key) for key in self.keys})


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *["look"] * 12,
                *["see"] * 5,
                *["answer"] * 4,
                "see_pods",
                "see_runs",
                "crash",
                "delete_pod",
                "suspend",
                "resume",
                "abort",
                *["restart"] * 3,
                "advance",
            ]
        ),
        st.integers(0, RUNS - 1),
        st.integers(0, 3),
    ),
    max_size=80,
)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "maxConcurrentRuns": st.integers(1, 3),
        "concurrency": st.fixed_dictionaries({"key": st.just("customer"), "limit": st.integers(1, 2)}),
    },
)


@settings(
    max_examples=400,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(LIMITS, st.none() | st.integers(1, 4), STEPS)
def test_limits_hold_in_every_history_and_all_runs_end(
    limits: dict[str, Any], total: int | None, steps: list[tuple[str, int, int]]
) -> None:
    shop = Shop(limits, total)
    for what, number, how in steps:
        shop.play(what, number, how)
        shop.check()

    shop.settle()


def test_runs_go_in_the_order_of_their_age() -> None:
    shop = Shop({"maxConcurrentRuns": 1}, None)
    order: list[str] = []
    for _ in range(200):
        shop.operator.see(len(shop.api.events))
        moved = [shop.operator.look_at(key) for key in reversed(shop.keys)]
        for pod in shop.live_pods():
            if not any(moved):
                order.append(shop.owner(pod))
                shop.answer(int(order[-1].removeprefix("run")), ANSWERS[2])

    # They are all of one second, so their names decide; the last one was looked at first, before any other asked.
    assert order == ["run5", "run0", "run1", "run2", "run3", "run4"]


def test_runs_in_the_queue_are_not_rewritten_whenever_one_ends() -> None:
    shop = Shop({"maxConcurrentRuns": 1}, None)
    for number in range(RUNS, 300):
        key = Key("shop", f"run{number}")
        run(shop.api.create(TASK_RUNS, key.namespace, {"metadata": {"name": key.name}, "spec": {"definition": "work"}}))
        shop.keys.append(key)
    shop.work()
    before = len(shop.api.events)

    shop.answer(0, ANSWERS[2])
    shop.work()

    changed = [obj["metadata"]["name"] for plural, _, obj in shop.api.events[before:] if plural == "taskruns"]
    assert {"run0", "run1"} <= set(changed)
    assert len(changed) <= 2 + 9  # the end, the next pod, and the places 1, 2, 4 ... 256
