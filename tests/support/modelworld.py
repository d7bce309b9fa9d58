"""A model of the world around one TaskRun: nodes that run its pods, users, time, and operators that may lag or die.

The operator in it is the real store, planner and executor; the API server is `ModelApi`; the runner follows the fence
of docs/architecture.md, and pods that report by message run as soon as they are scheduled. Everything that may happen
is a method, so that hypothesis can put histories together, and the world checks the promises as it goes.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from podrelay.api import names
from podrelay.kube.errors import ApiError
from podrelay.reconciler import planner
from podrelay.reconciler.executor import Executor
from podrelay.reconciler.objects import Pod, Record, TaskDefinition, TaskRun
from podrelay.reconciler.resources import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS
from podrelay.reconciler.store import Key, Store
from podrelay.reconciler.view import Settings
from tests.support.modelapi import FINISHED, ModelApi, run
from tests.support.projections import seen

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Key("shop", "run")
KINDS: dict[str, Any] = {"taskruns": TaskRun, "taskdefinitions": TaskDefinition, "taskiterations": Record, "pods": Pod}
TOKEN_SECONDS = 10


class _Lease:
    """Always ours: what a wrongly believed Lease does is for names, versions and the runner's fence to stand."""

    def require(self) -> None:
        pass


class Operator:
    """One replica: its own store, its own place in the stream of events."""

    def __init__(self, api: ModelApi) -> None:
        self.api = api
        self.skew = timedelta()
        """How wrong its clock is."""
        self.store = Store(lambda _key: None, Settings())
        self.executor = Executor(api, self.store, _Lease(), clock=lambda: self.now)  # type: ignore[arg-type]
        self.requeue_at: datetime | None = None
        self.seen: dict[str, int] = {}
        self.relist()

    @property
    def now(self) -> datetime:
        return self.api.now + self.skew

    def relist(self) -> None:
        for plural, kind in KINDS.items():
            objects = [seen(obj, kind) for obj in self.api.find(plural)]
            self._collection(plural).replace(objects, str(self.api.version))
            self.seen[plural] = len(self.api.events)

    def see(self, count: int, kinds: Iterable[str] = tuple(KINDS)) -> None:
        """Take the next `count` events of these watches; each kind has its own, and none waits for another."""
        for plural in kinds:
            new = self.api.events[self.seen[plural] : self.seen[plural] + count]
            self.seen[plural] = min(len(self.api.events), self.seen[plural] + count)
            for event in new:
                if event[0] == plural:
                    self._take(*event)

    def see_again(self, back: int) -> None:
        """Get an event a second time, long after it was new."""
        for event in self.api.events[-back - 1 :][:1]:
            if self.api.events.index(event) < self.seen[event[0]]:
                self._take(*event)

    def _take(self, plural: str, event: str, obj: dict[str, Any]) -> None:
        converted = seen(obj, KINDS[plural])
        collection = self._collection(plural)
        (collection.remove if event == "DELETED" else collection.apply)(converted)

    def _collection(self, plural: str) -> Any:
        return {
            "taskruns": self.store.runs,
            "taskdefinitions": self.store.definitions,
            "taskiterations": self.store.records,
            "pods": self.store.pods,
        }[plural]

    def step(self) -> bool:
        """Look once and do one thing; return whether there was anything to do."""
        view = self.store.view(KEY)
        if view is None:
            return False
        plan = planner.plan(view, self.now)
        self.requeue_at = plan.requeue_at
        with contextlib.suppress(ApiError):
            if plan.actions:
                run(self.executor.carry_out(KEY, view, plan.actions[0]))
                return True
            if plan.status is not None and plan.status != view.run.status:
                run(self.executor.write_status(KEY, view, plan))
                return True
        return False


@dataclass
class Process:
    """The container of one pod."""

    pod: str
    uid: str
    iteration: int
    node: str = ""
    runs_user_code: bool = False
    has_ended: bool = False
    is_orphan: bool = False
    """Its pod was deleted by force: the one exception of "never two at once"."""
    token_until: datetime | None = None
    message: str = ""
    """What it has written into its termination message."""


@dataclass
class World:
    """One TaskRun and everything around it."""

    definition: dict[str, Any] = field(default_factory=dict)
    run_spec: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.api = ModelApi(EPOCH)
        self.processes: dict[str, Process] = {}
        self.user_code_starts: list[tuple[int, int]] = []
        self.node = 1
        self.lost_nodes: set[str] = set()
        template = {"spec": {"containers": [{"name": "task", "image": "task:1"}]}}
        spec = {"id": "work", "template": template, **self.definition}
        run(self.api.create(TASK_DEFINITIONS, KEY.namespace, {"metadata": {"name": "work"}, "spec": spec}))
        run_spec = {"definition": "work", **self.run_spec}
        run(self.api.create(TASK_RUNS, KEY.namespace, {"metadata": {"name": KEY.name}, "spec": run_spec}))
        self.operators = [Operator(self.api)]

    # --- facts ------------------------------------------------------------------------------------------------------

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.api.read("taskruns", KEY.name).get("status", {})
        return status

    @property
    def is_finished(self) -> bool:
        return self.status.get("phase") in FINISHED

    @property
    def reports_by_message(self) -> bool:
        return self.definition.get("reporting") == names.REPORTING_TERMINATION_MESSAGE

    def pods(self) -> list[dict[str, Any]]:
        return self.api.find("pods")

    # --- time, users, operators -------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        self.api.now += timedelta(seconds=seconds)
        self._kubelets()

    def abort(self) -> None:
        if not self.is_finished:
            self.api.change("taskruns", KEY.name, {"spec": {"abort": {"message": "enough"}}})

    def suspend(self, value: bool) -> None:
        self.api.change("taskruns", KEY.name, {"spec": {"suspend": value}})

    def lose_state(self) -> None:
        """Somebody deletes the record that carries the state."""
        name: str = self.status.get("lastRecord", "")
        if ("taskiterations", name) in self.api.objects:
            self.api.remove("taskiterations", name)

    def restart_operator(self, index: int) -> None:
        self.operators[index % len(self.operators)] = Operator(self.api)

    def second_operator(self) -> None:
        if len(self.operators) < 2:
            self.operators.append(Operator(self.api))

    # --- nodes ------------------------------------------------------------------------------------------------------

    def start(self, name: str) -> bool:
        """A node starts the pod's container; the runner looks around before it runs user code."""
        pod = self.api.read("pods", name)
        uid = pod["metadata"]["uid"]
        if uid in self.processes or "deletionTimestamp" in pod["metadata"] or pod["spec"].get("schedulingGates"):
            return False
        process = self.processes[uid] = Process(name, uid, names.iteration_of(name), f"node-{self.node}")
        now = self.api.now.isoformat()
        self.api.change(
            "pods",
            name,
            {
                "spec": {"nodeName": process.node},
                "status": {
                    "phase": "Running",
                    "startTime": now,
                    "containerStatuses": [{"name": "task", "state": {"running": {"startedAt": now}}}],
                },
            },
        )
        if not self.reports_by_message and not self._may_run(name, uid):
            self.exit(name, names.EXIT_SUPERSEDED)
            return True
        self._check_start(process)
        process.runs_user_code = True
        return True

    def _may_run(self, name: str, uid: str) -> bool:
        run_object = self.api.objects.get(("taskruns", KEY.name))
        if run_object is None or self.is_finished or run_object["spec"].get("abort"):
            return False
        status, iteration, attempt = self.status, names.iteration_of(name), self._try_of(name)
        due = names.iteration_of(status.get("lastRecord", "")) + 1
        due_try = 1 + status.get("attempts", 0) + status.get("disruptions", 0)
        if (iteration, attempt) < (due, due_try):
            return False
        current = status.get("current")
        if current and (current["iteration"], current["try"]) == (iteration, attempt) and current["podUID"] != uid:
            return False
        if ("taskiterations", name) in self.api.objects:
            return False
        owner = {"kind": "TaskRun", "name": KEY.name, "uid": run_object["metadata"]["uid"]}
        record = {
            "metadata": {"name": name, "ownerReferences": [owner]},
            "runName": KEY.name,
            "iteration": iteration,
            "try": attempt,
            "podName": name,
            "podUID": uid,
            "startedAt": self.api.now.isoformat(),
        }
        run(self.api.create(TASK_ITERATIONS, KEY.namespace, record))
        return True

    @staticmethod
    def _try_of(name: str) -> int:
        return int(name.rpartition("t")[2]) if "t" in name.rpartition("-")[2] else 1

    def _check_start(self, process: Process) -> None:
        for other in self.processes.values():
            if other.runs_user_code and not other.is_orphan and other is not process:
                self.violations.append(f"{process.pod} and {other.pod} run user code at once")
        if self.is_finished:
            self.violations.append(f"{process.pod} runs user code after the end")
        for record in self.api.find("taskiterations"):
            answer = (record.get("response") or {}).get("status")
            if answer in {"continue", "done"} and record["iteration"] >= process.iteration:
                self.violations.append(f"{process.pod} runs although {record['podName']} answered {answer}")
        self.user_code_starts.append((process.iteration, self._try_of(process.pod)))

    def answer(self, uid: str, response: dict[str, Any]) -> None:
        """The runner stores its answer, if it still can, and user code is over."""
        process = self.processes[uid]
        if not process.runs_user_code or process.node in self.lost_nodes:
            return
        process.runs_user_code = False
        if self.reports_by_message:
            process.message = msgspec.json.encode(response).decode()
            return
        if process.token_until is not None and self.api.now > process.token_until:
            return
        with contextlib.suppress(ApiError):
            record = self.api.read("taskiterations", process.pod)
            if record["podUID"] == uid and "response" not in record:
                now = self.api.now.isoformat()
                self.api.change("taskiterations", process.pod, {"response": response, "finishedAt": now})

    def exit(self, name: str, code: int, **status: Any) -> None:
        pod = self.api.read("pods", name)
        process = self.processes[pod["metadata"]["uid"]]
        if process.has_ended or process.node in self.lost_nodes:
            return
        process.runs_user_code, process.has_ended = False, True
        now = self.api.now.isoformat()
        terminated = {"exitCode": code, "message": process.message, "startedAt": now, "finishedAt": now}
        phase = "Succeeded" if code == 0 and not status else "Failed"
        container = {"name": "task", "state": {"terminated": terminated}}
        self.api.change("pods", name, {"status": {"phase": phase, "containerStatuses": [container], **status}})

    def evict(self, name: str) -> None:
        pod = self.api.read("pods", name)
        if pod["metadata"]["uid"] in self.processes:
            condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
            self.exit(name, 137, reason="Evicted", conditions=[condition])

    def delete(self, name: str) -> None:
        self.api.delete_pod(name)

    def force_delete(self, name: str) -> None:
        pod = self.api.read("pods", name)
        process = self.processes.get(pod["metadata"]["uid"])
        if process is not None and not process.has_ended:
            process.is_orphan = True
            process.token_until = self.api.now + timedelta(seconds=TOKEN_SECONDS)
        self.api.remove("pods", name)

    def lose_node(self) -> None:
        """The node that pods are started on is cut off: what runs there goes on, and nobody hears of it."""
        self.lost_nodes.add(f"node-{self.node}")
        self.node += 1

    def find_nodes(self) -> None:
        """The nodes that were cut off are back."""
        self.lost_nodes.clear()
        self._kubelets()

    def collect_garbage(self) -> None:
        """Kubernetes fails and removes the pods of nodes that are gone, whatever still runs there."""
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
        for pod in self.pods():
            name, process = pod["metadata"]["name"], self.processes.get(pod["metadata"]["uid"])
            if process is not None and process.node in self.lost_nodes:
                self.api.change("pods", name, {"status": {"phase": "Failed", "conditions": [condition]}})
                self.force_delete(name)

    def _kubelets(self) -> None:
        """What kubelets do as time goes on: deadlines, grace periods, the end of deleted pods."""
        for pod in list(self.pods()):
            name, metadata, spec = pod["metadata"]["name"], pod["metadata"], pod["spec"]
            process = self.processes.get(metadata["uid"])
            if process is not None and process.node in self.lost_nodes:
                continue
            if "deletionTimestamp" in metadata:
                over = self.api.now >= datetime.fromisoformat(metadata["deletionTimestamp"])
                if process is not None and not process.has_ended and over:
                    self.exit(name, 137)
                if process is None or process.has_ended:
                    self.api.remove("pods", name)
            elif process is not None and not process.has_ended:
                started = datetime.fromisoformat(pod["status"]["startTime"])
                deadline = spec["activeDeadlineSeconds"] + spec["terminationGracePeriodSeconds"]
                if self.api.now >= started + timedelta(seconds=deadline):
                    self.exit(name, 137, reason="DeadlineExceeded")

    # --- the end ----------------------------------------------------------------------------------------------------

    def settle(self, answer: dict[str, Any], rounds: int = 400) -> None:
        """Let everybody do their work, fairly, until the run is finished."""
        self.operators = self.operators[:1]
        self.operators[0].see(len(self.api.events))
        self.operators[0].skew = timedelta()
        if self.api.read("taskruns", KEY.name)["spec"].get("suspend"):
            self.suspend(value=False)
        for _ in range(rounds):
            operator = self.operators[0]
            operator.see(len(self.api.events))
            if operator.step():
                continue
            if self.is_finished:
                return
            operator.see(len(self.api.events))
            if not self._somebody_moves(answer):
                wait = (operator.requeue_at - self.api.now).total_seconds() if operator.requeue_at else 60.0
                self.advance(max(wait, 1.0))
        self.violations.append(f"stuck: {self.status}")

    def _somebody_moves(self, answer: dict[str, Any]) -> bool:
        for pod in self.pods():
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            process = self.processes.get(uid)
            if process is None and self.start(name):
                return True
            if process is not None and process.node in self.lost_nodes:
                continue
            if process is not None and not process.has_ended:
                self.answer(uid, answer)
                self.exit(name, 0)
                return True
            if "deletionTimestamp" in pod["metadata"]:
                self.advance(0)
                return True
        return False
