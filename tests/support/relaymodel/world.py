"""The world around some TaskRuns of one definition: users, nodes, time, and operators that may lag or die.

Each event that may happen is a method, so that histories can be composed; `promises.Promises` checks them after each.
"""

import contextlib
import itertools
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from podrelay.api import names
from podrelay.kube.errors import ApiError, InvalidError
from podrelay.kube.resources import PODS, TASK_DEFINITIONS, TASK_RUNS, Key
from podrelay.local import schema
from podrelay.local.memory_client import run
from podrelay.operator.view import Settings
from tests.support.modelapi import FINISHED, ModelApi
from tests.support.relaymodel.leases import check_deadline
from tests.support.relaymodel.nodes import Nodes
from tests.support.relaymodel.operators import ERRORS, Operator, is_foreign_pod
from tests.support.relaymodel.processes import Process
from tests.support.relaymodel.promises import Promises

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE = "shop"
DEFINITION = "work"
KEY = Key(NAMESPACE, "run")
QUIET_ROUNDS = 4


class World:
    """Some TaskRuns and everything around them.

    Args:
        definition: fields of the definition's spec.
        run_spec: fields of the first run's spec.
        runs: names of the runs that exist at the beginning.
        settings: the operators' flags.
        node_skew: how wrong the nodes' clocks are.
        has_deadlines: whether the operators trust the API server's clock.
    """

    def __init__(
        self,
        definition: dict[str, Any] | None = None,
        run_spec: dict[str, Any] | None = None,
        *,
        runs: Iterable[str] = (KEY.name,),
        settings: Settings | None = None,
        node_skew: timedelta = timedelta(),
        has_deadlines: bool = False,
    ) -> None:
        self.definition = definition or {}
        self._has_deadlines = has_deadlines
        self.api = ModelApi(EPOCH, schema.admitted)
        self.nodes = Nodes(self.api, node_skew)
        self.settings = settings or Settings()
        self.late: list[Any] = []
        """Requests of operators that have died or timed out; they may still take effect."""
        self.awaited: dict[tuple[str, int], list[str]] = defaultdict(list)
        """The children that were unfinished when an iteration of a run answered that it waits for them, by UID."""
        self.has_changed_definition = False
        self.refused: set[str] = set()
        """Runs whose pods are refused by admission."""
        self._serial = itertools.count(1)
        template = {"spec": {"containers": [{"name": "task", "image": "task:1"}]}}
        spec = {"id": "work", "title": "Work", "template": template, **self.definition}
        run(self.api.create(TASK_DEFINITIONS, NAMESPACE, {"metadata": {"name": DEFINITION}, "spec": spec}))
        self.names = list(runs)
        self.promises = Promises(self)
        self.api.admit = self._admit
        for number, name in enumerate(self.names):
            self.create_run(name, **(run_spec or {}) if number == 0 else {})
        # It has led since before the first runs were created.
        self.operators = [self._operator(led_since=EPOCH - timedelta(minutes=1))]

    def _admit(self, plural: str, body: dict[str, Any]) -> None:
        if plural != "pods" or is_foreign_pod(body):
            return
        check_deadline(body, self.api.stamp or self.api.now)
        if body["metadata"]["ownerReferences"][0]["name"] in self.refused:
            raise ApiError(403, "Forbidden", f"pods {body['metadata']['name']} is forbidden: exceeded quota: compute")

    # --- facts ------------------------------------------------------------------------------------------------------

    @property
    def processes(self) -> dict[str, Process]:
        """Containers by the UID of their pod."""
        return self.nodes.processes

    @property
    def violations(self) -> list[str]:
        """The broken promises."""
        return self.promises.violations

    @property
    def user_code_starts(self) -> list[tuple[int, int]]:
        """Iteration and attempt of each call of run() in a pod of the first run."""
        return [(start.iteration, start.attempt) for start in self.promises.starts if start.run == self.names[0]]

    @property
    def hook_calls(self) -> list[str]:
        """Each hook call of the first run whose outcome its pod could store."""
        return [hook for name, hook in self.promises.hook_calls if name == self.names[0]]

    def status_of(self, name: str) -> dict[str, Any]:
        found = self.api.objects.get(("taskruns", name))
        status: dict[str, Any] = (found or {}).get("status", {})
        return status

    @property
    def status(self) -> dict[str, Any]:
        return self.status_of(self.names[0])

    @property
    def is_finished(self) -> bool:
        return self.status.get("phase") in FINISHED

    @property
    def hooks_due(self) -> list[str]:
        """Hooks that are due after the end of the first run, without an outcome in the status."""
        return self._hooks_due(self.names[0])

    def _hooks_due(self, name: str) -> list[str]:
        status = self.status_of(name)
        known = {outcome["name"] for outcome in status.get("hooks") or ()}
        return [hook for hook in status.get("hooksDue") or () if hook not in known]

    @property
    def spec(self) -> dict[str, Any]:
        """The current spec of the definition."""
        spec: dict[str, Any] = self.api.read("taskdefinitions", DEFINITION)["spec"]
        return spec

    def runs(self) -> list[dict[str, Any]]:
        """Return the existing runs of this world, without children."""
        return [obj for obj in self.api.find("taskruns") if obj["metadata"]["name"] in self.names]

    def pods(self) -> list[dict[str, Any]]:
        """Return the pods of runs."""
        return [pod for pod in self.api.find("pods") if not is_foreign_pod(pod)]

    def children(self, parent: str | None = None) -> list[dict[str, Any]]:
        """Return the unfinished children."""
        parent = parent or self.names[0]
        return [
            item
            for item in self.api.find("taskruns")
            if item["spec"].get("parent") == parent and item.get("status", {}).get("phase") not in FINISHED
        ]

    # --- users ------------------------------------------------------------------------------------------------------

    def create_run(self, name: str, **spec: Any) -> None:
        """Create a run; its input identifies it, and contains a number that the API server stores in another form."""
        number = self.names.index(name)
        given = {"customer": f"c{number % 2}", "serial": next(self._serial), "x": 1.0, **spec.pop("input", {})}
        body = {"definition": DEFINITION, "input": given, **spec}
        run(self.api.create(TASK_RUNS, NAMESPACE, {"metadata": {"name": name}, "spec": body}))

    def abort(self, name: str | None = None) -> None:
        name = name or self.names[0]
        if ("taskruns", name) in self.api.objects and self.status_of(name).get("phase") not in FINISHED:
            self.api.change("taskruns", name, {"spec": {"abort": {"message": "enough", "cascade": True}}})

    def suspend(self, value: bool, name: str | None = None) -> None:
        name = name or self.names[0]
        if ("taskruns", name) in self.api.objects:
            self.api.change("taskruns", name, {"spec": {"suspend": value}})

    def reschedule(self, name: str, seconds: int | None) -> None:
        """Change the start of a run to `seconds` from now; None: at once. Refused if the run has started."""
        self.promises.sees_starts = True
        start = None if seconds is None else (self.api.now + timedelta(seconds=seconds)).isoformat()
        patch = {"spec": {"startAt": start, "delaySeconds": None}}
        with contextlib.suppress(InvalidError):
            run(self.api.patch(TASK_RUNS, NAMESPACE, name, patch))

    def delete_run(self, name: str, *, is_held: bool = False) -> None:
        """Delete a run; with `is_held`, a foreign finalizer keeps it."""
        if is_held:
            self.api.change("taskruns", name, {"metadata": {"finalizers": ["example.com/hold"]}})
        self.api.delete_now("taskruns", name)

    def hold_pod(self, name: str) -> None:
        """A user adds a foreign finalizer to a pod."""
        finalizers = self.api.read("pods", name)["metadata"].get("finalizers", [])
        if "deletionTimestamp" not in self.api.read("pods", name)["metadata"]:
            self.api.change("pods", name, {"metadata": {"finalizers": sorted({*finalizers, "example.com/hold"})}})

    def change_definition(self, **spec: Any) -> None:
        self.has_changed_definition = True
        self.api.change("taskdefinitions", DEFINITION, {"spec": spec})

    def delete_definition(self) -> None:
        self.has_changed_definition = True
        self.api.delete_now("taskdefinitions", DEFINITION)

    def lose_state(self, name: str | None = None) -> None:
        """A user deletes the record that contains the state of a run."""
        record: str = self.status_of(name or self.names[0]).get("lastRecord", "")
        if ("taskiterations", record) in self.api.objects:
            self.promises.lost_state.add(self.api.read("taskruns", name or self.names[0])["metadata"]["uid"])
            self.api.remove("taskiterations", record)

    def add_child(self, parent: str | None = None) -> None:
        """The task starts a child."""
        parent = parent or self.names[0]
        name = f"child-{self.api.version}"
        owner = {"kind": "TaskRun", "name": parent, "uid": self.api.read("taskruns", parent)["metadata"]["uid"]}
        body = {
            "metadata": {"name": name, "ownerReferences": [owner]},
            "spec": {"definition": DEFINITION, "parent": parent},
        }
        run(self.api.create(TASK_RUNS, NAMESPACE, body))

    def end_child(self, which: int, parent: str | None = None, *, by_deletion: bool = False) -> None:
        children = self.children(parent)
        name = children[which % len(children)]["metadata"]["name"]
        if by_deletion:
            self.api.remove("taskruns", name)
        else:
            self.api.change("taskruns", name, {"status": {"phase": "Failed", "finishedAt": self.api.now.isoformat()}})

    def squat(self, name: str) -> None:
        """Another user creates a pod that has the name of the next pod of a run."""
        status = self.status_of(name)
        attempt = 1 + (status.get("attempts") or 0) + (status.get("disruptions") or 0)
        pod = names.pod_name(name, names.iteration_of(status.get("lastRecord") or "") + 1, attempt)
        if ("pods", pod) not in self.api.objects:
            spec = {"containers": [{"name": "app", "image": "app:1"}]}
            run(self.api.create(PODS, NAMESPACE, {"metadata": {"name": pod}, "spec": spec}))

    def remove_foreign_pods(self) -> None:
        """The other users delete their pods."""
        for pod in filter(is_foreign_pod, self.api.find("pods")):
            self.api.remove("pods", pod["metadata"]["name"])

    # --- operators --------------------------------------------------------------------------------------------------

    def _operator(self, skew: timedelta = timedelta(), led_since: datetime | None = None) -> Operator:
        keys = [Key(NAMESPACE, name) for name in self.names]
        self.started_at = self.api.now
        return Operator(self.api, keys, self.settings, skew, led_since, has_deadlines=self._has_deadlines)

    def restart_operator(self, index: int = 0, skew: timedelta = timedelta(), *, is_released: bool = False) -> None:
        """An operator dies, and starts again with a fresh list from the API server, as the leader.

        The Lease of the leader before it has expired, or was released.
        """
        index %= len(self.operators)
        for operator in self.operators:
            operator.lease.lose(is_released=is_released)
        self.late += self.operators[index].die()
        self.operators[index] = self._operator(skew)

    def second_operator(self, skew: timedelta = timedelta()) -> None:
        """Another replica believes that it is the leader, too."""
        if len(self.operators) < 2:
            self.operators[0].lease.lose(is_released=False)
            self.operators.append(self._operator(skew))

    def standby(self, skew: timedelta = timedelta()) -> None:
        """Another replica starts; it sees and does nothing more until it takes over."""
        if len(self.operators) < 2:
            self.operators.append(self._operator(skew))
            self.operators[1].is_standby = True

    def take_over(self, index: int) -> None:
        """A replica whose watches may lag becomes the leader; the others do not notice that they no longer are."""
        for other in self.operators:
            other.lease.lose(is_released=False)
        operator = self.operators[index % len(self.operators)]
        operator.is_standby = False
        operator.begin_term()

    def take_effect(self) -> None:
        """A request takes effect although its sender no longer waits for the response."""
        send = self.late.pop(0)
        try:
            run(send())
        except ERRORS:
            return

    # --- pods -------------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        self.nodes.notice()
        self.api.now += timedelta(seconds=seconds)
        self.nodes.run()

    def start(self, name: str) -> bool:
        """A node starts a pod's container, whose runner checks its turn and runs user code if it may."""
        process = self.begin(name)
        if process is not None and process.has_looked:
            self.run_user_code(process)
        return process is not None

    def begin(self, name: str) -> Process | None:
        """A node starts a pod's container, whose runner checks whether it may run."""
        process = self.nodes.start(name)
        if process is not None:
            self.look_again(process)
        return process

    def look_again(self, process: Process) -> None:
        """The runner of a pod sees the current state of its run; one that was created ahead looks repeatedly."""
        if process.look():
            self.promises.see_look(process)
        else:
            self.nodes.exit(process, names.EXIT_SUPERSEDED)

    def run_user_code(self, process: Process) -> None:
        """The runner claims the record and runs user code, unless another pod was faster."""
        if process.has_ended or process.has_begun:
            return
        if process.by_message:
            state: dict[str, Any] | None = process.input
        else:
            state = process.load_state() if process.me.state or process.me.checkpoint else process.input
        if not process.begin(state or {}):
            self.nodes.exit(process, names.EXIT_SUPERSEDED)
        elif process.only_hooks:
            self.promises.see_hook_pod(process)
        elif state is None:
            process.runs_user_code = False
            error = {"message": "the state is gone", "code": "StateLost"}
            process.answer({"status": "error", "error": error})
        else:
            self.promises.see_start(process)

    def answer(self, uid: str, response: dict[str, Any], *, loses_reply: bool = False) -> None:
        """The task answers; the runner stores the answer if it still can, and user code ends."""
        process = self.processes[uid]
        if not process.runs_user_code or self.nodes.is_lost(process):
            return
        serial = {"serial": next(self._serial), "x": 2.0}
        if response["status"] == "continue":
            response = {**response, "input": {**process.input, **(response.get("input") or {}), **serial}}
        elif response["status"] == "error":
            response = {"error": {"message": "no luck"}, **response}
        else:
            response = {**response, "output": serial}
        if "waitForChildren" in response:
            children = [child["metadata"]["name"] for child in self.children(process.run)]
            self.awaited[process.run_uid, process.me.iteration] = children
        process.client.loses_next_answer = loses_reply
        process.answered_at = self.api.now
        process.answer(response)
        process.client.loses_next_answer = False

    def checkpoint(self, uid: str) -> None:
        """The task stores a checkpoint."""
        process = self.processes[uid]
        if (
            process.runs_user_code
            and not process.by_message
            and process.checkpoint({**process.input, "serial": next(self._serial)})
        ):
            self.promises.see_checkpoint(process)

    def beat(self, uid: str) -> None:
        """The task sends a heartbeat."""
        self.processes[uid].beat(self.api.now)

    def call_hook(self, uid: str, *, loses_reply: bool = False) -> bool:
        """A pod proceeds with its hooks: it calls the next one, or stores the outcome of the one that it called."""
        process = self.processes[uid]
        if process.has_ended or self.nodes.is_lost(process):
            return False
        if process.calls is not None:
            called, process.calls = process.calls, None
            process.client.loses_next_answer = loses_reply
            process.store_outcome(called)
            process.client.loses_next_answer = False
            return True
        hook = process.hook_to_call()
        if hook is None:
            return False
        process.calls = hook
        self.promises.see_hook(process, hook)
        return True

    def exit(self, name: str, code: int, *, is_slow: bool = False) -> None:
        process = self.processes[self.api.read("pods", name)["metadata"]["uid"]]
        self.nodes.exit(process, code, is_slow=is_slow)

    def delete(self, name: str) -> None:
        """A user deletes a pod, or drains its node."""
        self._taken(name, "deleted")
        self.api.delete_pod(name)

    def force_delete(self, name: str) -> None:
        self._taken(name, "force deleted")
        self.nodes.force_delete(name)

    def evict(self, name: str) -> None:
        process = self.processes.get(self.api.read("pods", name)["metadata"]["uid"])
        if process is not None and not process.has_ended:
            self._taken(name, "evicted")
            self.nodes.evict(process)

    def _taken(self, name: str, how: str) -> None:
        uid = self.api.read("pods", name)["metadata"]["uid"]
        self.promises.taken[uid] = how

    def lose_node(self) -> None:
        self.nodes.lose()

    def find_nodes(self) -> None:
        self.nodes.find()

    def collect_garbage(self, *, is_slow: bool = False) -> None:
        """The pod garbage collector removes the pods of lost nodes."""
        for process in self.processes.values():
            if self.nodes.is_lost(process):
                self.promises.taken.setdefault(process.uid, "lost with its node")
        self.nodes.collect_pods(is_slow=is_slow)

    def collect_owned(self) -> None:
        """The garbage collector deletes objects whose owner was deleted; of pods, that looks like a drain."""
        before = self._deleted_pods()
        self.nodes.collect_owned()
        for uid in self._deleted_pods() - before:
            self.promises.taken.setdefault(uid, "deleted with its run")

    def _deleted_pods(self) -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.pods() if "deletionTimestamp" in pod["metadata"]}

    # --- the end ----------------------------------------------------------------------------------------------------

    def settle(self, answer: dict[str, Any], rounds: int = 600) -> None:
        """Let all parts work, fairly, until all runs have finished; then check that nothing happens any longer."""
        has_lost = bool(self.operators[1:])
        for operator in self.operators[1:]:
            self.late += operator.die()
        del self.operators[1:]
        operator = self.operators[0]
        if operator.skew or has_lost:
            self.restart_operator(0)
            operator = self.operators[0]
        self.nodes.forgets_orphans = False
        self.remove_foreign_pods()
        self.promises.settles_since = self.api.now
        for name in self.names:
            self.suspend(value=False, name=name)
        if ("taskdefinitions", DEFINITION) in self.api.objects and self.spec.get("suspend"):
            self.change_definition(suspend=False)
        for number in range(rounds):
            for key in list(operator.held):
                operator.proceed(key)
            while self.late:
                self.take_effect()
            self.late += operator.late
            operator.late.clear()
            if not operator.work():
                self.violations.append(f"the operator never becomes idle: {operator.marked}")
                return
            self.promises.see_idle()
            if self._all_have_ended():
                break
            if self._something_happens(answer):
                continue
            self.promises.see_standstill()
            self._wait(operator)
            if number > rounds // 2:
                self.collect_garbage()  # an administrator has removed the lost nodes
        else:
            self.violations.append(f"stuck: {[self.status_of(name) for name in self.names]}")
            return
        self._become_quiet(operator, answer)

    def _become_quiet(self, operator: Operator, answer: dict[str, Any]) -> None:
        for _ in range(QUIET_ROUNDS):
            self.collect_owned()
            for _ in range(100):
                operator.work()
                if not self._something_happens(answer):
                    break
            self.advance(100)
            operator.work()
        before = operator.connection.writes
        self.advance(400)
        operator.work()
        self.promises.see_the_end(operator.connection.writes - before)
        for pod in self.pods():
            self.api.delete_pod(pod["metadata"]["name"])
        for _ in range(QUIET_ROUNDS):
            operator.work()
            self._something_happens(answer)
        self.promises.see_all_pods_deleted()

    def _all_have_ended(self) -> bool:
        return all(map(self._has_ended, self.runs()))

    def _has_ended(self, run_object: dict[str, Any]) -> bool:
        if run_object.get("status", {}).get("phase") not in FINISHED:
            return False
        is_deleted = "deletionTimestamp" in run_object["metadata"]  # nothing new starts for it, not even hooks
        return is_deleted or not self._hooks_due(run_object["metadata"]["name"])

    def _wait(self, operator: Operator) -> None:
        due = operator.next_look
        self.collect_owned()
        wait = (due - self.api.now).total_seconds() if due is not None else 60.0
        self.advance(min(max(wait, 1.0), 600.0))

    def _something_happens(self, answer: dict[str, Any]) -> bool:
        before = self.api.version
        self.nodes.run()
        if self.api.version != before:
            return True
        for pod in list(self.pods()):
            process = self.processes.get(pod["metadata"]["uid"])
            if process is None and self.start(pod["metadata"]["name"]):
                return True
            if process is None or process.has_ended or self.nodes.is_lost(process):
                continue
            if process.waits_for_release:
                self.look_again(process)
            if process.has_looked and not process.has_begun:
                self.run_user_code(process)
            if process.is_stuck and process.runs_user_code:
                continue  # until the operator ends it
            self.answer(process.uid, answer)
            while self.call_hook(process.uid):
                pass
            if not process.waits_for_end and not process.has_ended:
                self.nodes.exit(process, 0)
            if self.api.version != before:
                return True
        for name in self.names:
            if self.children(name):
                self.end_child(0, name)
                return True
        return False
