"""A model of the world around one TaskRun: nodes that run its pods, users, time, and operators that may lag or die.

The operator in it is the real store, planner and executor; the API server is `ModelApi`; the runner follows the fence
of docs/architecture.md, and pods that report by message run as soon as they are scheduled. Everything that may happen
is a method, so that hypothesis can put histories together, and the world checks the promises as it goes.
"""

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
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
from podrelay.runner import hooks as runner_hooks
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
        self.store = Store(lambda _key: None, Settings(), clock=lambda: self.now)
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
    message: str = ""
    """What it has written into its termination message."""
    has_answered: bool = False
    only_hooks: tuple[str, ...] = ()
    calls: str | None = None
    """The hook that is being called."""

    @property
    def is_busy(self) -> bool:
        """Whether code of the task's author runs."""
        return self.runs_user_code or self.calls is not None


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
        self.hook_calls: list[str] = []
        """Each call of a hook whose pod lived to tell of it."""
        self.node = 1
        self.lost_nodes: set[str] = set()
        self.awaited: dict[int, list[str]] = {}
        """The children that had not ended when an iteration answered that it waits for them."""
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

    @property
    def hooks_due(self) -> list[str]:
        """Hooks that follow from the end of the run and whose outcome the status does not show."""
        return runner_hooks.due(self.api.read("taskruns", KEY.name), tuple(self.definition.get("hooks", ())))

    def pods(self) -> list[dict[str, Any]]:
        return self.api.find("pods")

    def children(self) -> list[dict[str, Any]]:
        """Those that have not ended."""
        return [
            item
            for item in self.api.find("taskruns")
            if item["spec"].get("parent") == KEY.name and item.get("status", {}).get("phase") not in FINISHED
        ]

    # --- time, users, operators -------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        self.api.now += timedelta(seconds=seconds)
        self._kubelets()

    def abort(self) -> None:
        if not self.is_finished:
            self.api.change("taskruns", KEY.name, {"spec": {"abort": {"message": "enough", "cascade": True}}})

    def suspend(self, value: bool) -> None:
        self.api.change("taskruns", KEY.name, {"spec": {"suspend": value}})

    def lose_state(self) -> None:
        """Somebody deletes the record that carries the state."""
        name: str = self.status.get("lastRecord", "")
        if ("taskiterations", name) in self.api.objects:
            self.api.remove("taskiterations", name)

    def add_child(self) -> None:
        """The task, or somebody else, starts a child."""
        name = f"child-{self.api.version}"
        owner = {"kind": "TaskRun", "name": KEY.name, "uid": self.api.read("taskruns", KEY.name)["metadata"]["uid"]}
        body = {
            "metadata": {"name": name, "ownerReferences": [owner]},
            "spec": {"definition": "work", "parent": KEY.name},
        }
        run(self.api.create(TASK_RUNS, KEY.namespace, body))

    def end_child(self, which: int, *, by_deletion: bool = False) -> None:
        children = self.children()
        name = children[which % len(children)]["metadata"]["name"]
        if by_deletion:
            self.api.remove("taskruns", name)
        else:
            self.api.change("taskruns", name, {"status": {"phase": "Failed", "finishedAt": self.api.now.isoformat()}})

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
        env = {item["name"]: item.get("value", "") for item in pod["spec"]["containers"][0]["env"]}
        process.only_hooks = tuple(filter(None, env.get(names.ENV_HOOK, "").split(",")))
        if process.only_hooks:
            if not self._may_call(process):
                self.exit(name, names.EXIT_SUPERSEDED)
            return True
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
        self._claim(name, uid, iteration, attempt, owner)
        return True

    def _claim(self, name: str, uid: str, iteration: int, attempt: int, owner: dict[str, Any], **fields: Any) -> None:
        record = {
            "metadata": {"name": name, "ownerReferences": [owner]},
            "runName": KEY.name,
            "iteration": iteration,
            "try": attempt,
            "podName": name,
            "podUID": uid,
            "startedAt": self.api.now.isoformat(),
            **fields,
        }
        run(self.api.create(TASK_ITERATIONS, KEY.namespace, record))

    def _may_call(self, process: Process) -> bool:
        """The fence of pods that are there for hooks only: podrelay.runner.hooks.superseded."""
        run_object = self.api.objects.get(("taskruns", KEY.name))
        record = self.api.objects.get(("taskiterations", process.pod))
        attempt = self._try_of(process.pod)
        me = SimpleNamespace(
            run=KEY.name,
            run_uid=run_object["metadata"]["uid"] if run_object else "",
            pod_name=process.pod,
            pod_uid=process.uid,
            only_hooks=process.only_hooks,
            attempt=attempt,
        )
        if runner_hooks.superseded(run_object, record, me) is not None:  # type: ignore[arg-type]
            return False
        for other in self.processes.values():
            if other.has_answered and not (other.has_ended or other.is_orphan or other.node in self.lost_nodes):
                self.violations.append(f"{process.pod} was made although {other.pod} can call the hooks")
        owner = {"kind": "TaskRun", "name": KEY.name, "uid": me.run_uid}
        self._claim(process.pod, process.uid, 0, attempt, owner, hook=process.only_hooks[0])
        return True

    def call_hook(self, uid: str) -> bool:
        """A pod goes on with its hooks: begins with one that is due, or tells how the one that it called ended."""
        process = self.processes[uid]
        if process.has_ended or process.node in self.lost_nodes or not self._has_token(process):
            return False
        if process.calls is not None:
            self._tell(process, process.calls)
            process.calls = None
            return True
        record = self.api.objects.get(("taskiterations", process.pod))
        if not (process.has_answered or process.only_hooks) or record is None or not self.is_finished:
            return False
        told = {outcome["name"] for outcome in record.get("hooks", ())}
        wanted = [hook for hook in process.only_hooks or self.hooks_due if hook not in told]
        if not wanted:
            return False
        for other in self.processes.values():
            if other.is_busy and not other.is_orphan:
                self.violations.append(f"{process.pod} calls {wanted[0]} while code runs in {other.pod}")
        process.calls = wanted[0]
        return True

    def _tell(self, process: Process, hook: str) -> None:
        record = self.api.objects.get(("taskiterations", process.pod))
        if record is None or record["podUID"] != process.uid:
            return
        if not process.is_orphan:
            self.hook_calls.append(hook)
        outcomes = [*record.get("hooks", []), {"name": hook, "outcome": "Succeeded"}]
        self.api.change("taskiterations", process.pod, {"hooks": outcomes})

    def _has_token(self, process: Process) -> bool:
        removed_at = self.api.removed_at.get(process.uid)
        return removed_at is None or self.api.now <= removed_at + timedelta(seconds=TOKEN_SECONDS)

    @staticmethod
    def _try_of(name: str) -> int:
        attempt = re.search(r"t(\d+)$", name)
        return int(attempt[1]) if attempt else 1

    def _check_start(self, process: Process) -> None:
        for other in self.processes.values():
            if other.is_busy and not other.is_orphan and other is not process:
                self.violations.append(f"{process.pod} and {other.pod} run user code at once")
        if self.is_finished:
            self.violations.append(f"{process.pod} runs user code after the end")
        for record in self.api.find("taskiterations"):
            answer = (record.get("response") or {}).get("status")
            if answer in {"continue", "done"} and record["iteration"] >= process.iteration:
                self.violations.append(f"{process.pod} runs although {record['podName']} answered {answer}")
        awaited = self.awaited.get(process.iteration - 1, [])
        for child in self.children():
            if child["metadata"]["name"] in awaited:
                self.violations.append(f"{process.pod} runs although {child['metadata']['name']} has not ended")
        self.user_code_starts.append((process.iteration, self._try_of(process.pod)))

    def answer(self, uid: str, response: dict[str, Any]) -> None:
        """The runner stores its answer, if it still can, and user code is over."""
        process = self.processes[uid]
        if not process.runs_user_code or process.node in self.lost_nodes:
            return
        process.runs_user_code = False
        process.has_answered = True
        if "waitForChildren" in response:
            self.awaited[process.iteration] = [child["metadata"]["name"] for child in self.children()]
        if self.reports_by_message:
            process.message = msgspec.json.encode(response).decode()
            return
        if not self._has_token(process):
            return
        with contextlib.suppress(ApiError):
            record = self.api.read("taskiterations", process.pod)
            if record["podUID"] == uid and "response" not in record:
                now = self.api.now.isoformat()
                self.api.change("taskiterations", process.pod, {"response": response, "finishedAt": now})

    def beat(self, uid: str) -> None:
        """The task gives a sign of life, if its node is heard of."""
        process = self.processes[uid]
        if process.runs_user_code and process.node not in self.lost_nodes and not self.reports_by_message:
            with contextlib.suppress(ApiError):
                record = self.api.read("taskiterations", process.pod)
                if record["podUID"] == uid and "response" not in record:
                    self.api.change("taskiterations", process.pod, {"heartbeatAt": self.api.now.isoformat()})

    def exit(self, name: str, code: int, **status: Any) -> None:
        pod = self.api.read("pods", name)
        process = self.processes[pod["metadata"]["uid"]]
        if process.has_ended or process.node in self.lost_nodes:
            return
        process.runs_user_code, process.has_ended, process.calls = False, True, None
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
        self.api.remove_pod(name)

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
                if process is None and pod["spec"].get("nodeName"):
                    self.api.change("pods", name, {"status": {"phase": "Failed"}})
                if process is None or process.has_ended:
                    self.api.remove_pod(name)
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
            if self.is_finished and not self.hooks_due:
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
                while self.call_hook(uid):
                    pass
                if not (process.has_answered and self._waits_for_the_end(process)):
                    self.exit(name, 0)
                    return True
            if "deletionTimestamp" in pod["metadata"]:
                before = self.api.version
                self.advance(0)
                if self.api.version != before:
                    return True
        if self.children():
            self.end_child(0)
            return True
        return False

    def _waits_for_the_end(self, process: Process) -> bool:
        """Whether the runner waits for the final phase, as podrelay.runner.hooks.may_follow says."""
        record = self.api.objects.get(("taskiterations", process.pod))
        if self.is_finished or record is None:
            return False
        answer = (record.get("response") or {}).get("status", "")
        return {"done": "onDone", "aborted": "onAbort"}.get(answer) in self.definition.get("hooks", ())
