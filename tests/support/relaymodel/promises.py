"""The promises that must always hold, checked after every move, for running code as well as for starts.

Each broken promise becomes a line of `Promises.violations`.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from podrelay.api import hooks as hook_names
from podrelay.api import names
from podrelay.kube.resources import Key
from podrelay.operator import object_rules
from podrelay.operator.object_rules import POD_UNCERTAIN
from tests.support.modelapi import FINISHED
from tests.support.relaymodel.operators import is_foreign_pod
from tests.support.relaymodel.pod_promises import LONGEST_PAUSE, PodPromises
from tests.support.relaymodel.processes import Process, has_token

if TYPE_CHECKING:
    from tests.support.relaymodel.world import World

_WITHOUT_END: Final = {"NodeLost"}
"""Reasons of final phases in which the last pod may still be running, which is not known."""


class Start(NamedTuple):
    """A call of run()."""

    run: str
    run_uid: str
    iteration: int
    attempt: int


@dataclass
class _Iteration:
    """The facts about one iteration of one run."""

    pods: dict[str, str] = field(default_factory=dict)
    """Names of the pods that were created for it, by UID."""
    answer: dict[str, Any] | None = None
    """The stored answer that ends it: continue, done or aborted."""
    checkpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Inputs that were stored as checkpoints, by the name of their record."""


class Promises:
    """Checks a world, move by move."""

    def __init__(self, world: "World") -> None:
        self.violations: list[str] = []
        self.starts: list[Start] = []
        self.hook_calls: list[tuple[str, str]] = []
        self.taken: dict[str, str] = {}
        """Pods that were taken away, but not by the operator, by UID: how."""
        self.lost_state: set[str] = set()
        """Runs, by UID, whose record with the state was deleted by a user."""
        self.sees_starts = False
        """Whether runs are rescheduled, so that their starts are checked."""
        self._starts: dict[str, datetime] = {}
        """When runs start, by UID: only of those whose start all operators know, without any request on its way."""
        self.are_slots_certain = True
        """Whether limits must hold exactly: false with two leaders, or after late requests."""
        self._world = world
        self._seen = 0
        self._iterations: dict[tuple[str, int], _Iteration] = defaultdict(_Iteration)
        self._ends: dict[str, dict[str, Any]] = {}
        """Final status of each finished run, by UID."""
        self._hook_outcomes: dict[str, list[str]] = {}
        self._declared: set[str] = set()
        """All hooks that the definition has ever declared."""
        self._declared_at_end: dict[str, set[str]] = {}
        self._inputs: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str] = {}
        self._stopped: set[str] = set()
        """Pods that the operator has asked to end, by UID."""
        self._limits: dict[str, int] = {}
        self._retries: tuple[int, int] = (0, 0)
        self._fewest_disruptions = 1_000_000
        """The smallest disruptionRetries that the definition has ever had."""
        self._max_iterations = 0
        self._causes: set[str] = set()
        self._pods = PodPromises(world, self._break)
        self.settles_since: datetime | None = None
        """Since when all operators see everything, and there are no faults."""

    def _break(self, words: str) -> None:
        self.violations.append(words)

    # --- after every move -----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Check what the last move has changed."""
        self._catch_up()
        self._see_what_runs()
        if self.sees_starts:
            self._note_starts()

    def _note_starts(self) -> None:
        """Note the starts that all operators know: with an old view, a run may begin at its former time."""
        world = self._world
        self._starts = {}
        if world.late or any(operator.held or operator.late or operator.skew for operator in world.operators):
            return
        for item in world.runs():
            start, about = _start_of(item), item["metadata"]
            key = Key(about["namespace"], about["name"])
            known = [operator.store.run(key) for operator in world.operators]
            if start is not None and all(
                run is not None and run.metadata.uid == about["uid"] and object_rules.start_of(run) == start
                for run in known
            ):
                self._starts[about["uid"]] = start

    def _catch_up(self) -> None:
        events = self._world.api.events
        for plural, event, obj, _ in events[self._seen :]:
            match plural:
                case "taskruns" if obj["metadata"]["name"] in self._world.names:
                    self._see_run(event, obj)
                case "taskdefinitions":
                    self._see_definition(obj)
                    self._pods.see_definition(obj)
                case "pods" if not is_foreign_pod(obj):
                    self._see_pod(event, obj)
                    self._pods.see_pod(event, obj)
                case "taskiterations":
                    self._see_record(event, obj)
                    self._pods.see_record(event, obj)
        self._seen = len(events)

    def _see_definition(self, obj: dict[str, Any]) -> None:
        spec = obj["spec"]
        self._declared |= set(spec.get("hooks") or ())
        retry = spec.get("retry") or {}
        self._causes |= set(retry.get("on", ["Error", "PodFailure", "Timeout"]))
        limit, disruptions = self._retries
        self._retries = max(limit, retry.get("limit", 0)), max(disruptions, spec.get("disruptionRetries", 100))
        self._fewest_disruptions = min(self._fewest_disruptions, spec.get("disruptionRetries", 100))
        self._max_iterations = max(self._max_iterations, spec.get("maxIterations", 100))
        self._limits = {
            "definition": spec.get("maxConcurrentRuns") or 1_000_000,
            "value": (spec.get("concurrency") or {}).get("limit") or 1_000_000,
        }

    def _see_run(self, event: str, obj: dict[str, Any]) -> None:
        uid, name, status = obj["metadata"]["uid"], obj["metadata"]["name"], obj.get("status") or {}
        self._pods.see_status(status)
        self._inputs.setdefault(uid, obj["spec"].get("input") or {})
        self._names[uid] = name
        before = self._ends.get(uid)
        if event == "DELETED":
            return
        if before is None and status.get("phase") in FINISHED:
            self._see_end(uid, name, obj)
        elif before is not None and (status.get("phase"), status.get("reason")) != (before["phase"], before["reason"]):
            self._break(f"{name} was {before['phase']} ({before['reason']}), now {status.get('phase')}")
        outcomes = [outcome["name"] for outcome in status.get("hooks") or ()]
        if len(set(outcomes)) != len(outcomes):
            self._break(f"{name} has two outcomes of a hook: {outcomes}")
        key = status.get("concurrencyKey")
        if key is not None and key != json.dumps(self._inputs[uid].get("customer")):
            self._break(f"{name} is limited by {key!r}, which is another run's value")

    def _see_end(self, uid: str, name: str, obj: dict[str, Any]) -> None:
        status = obj["status"]
        self._ends[uid] = status
        self._declared_at_end[uid] = set(self._declared)
        reason, phase = status["reason"], status["phase"]
        finished = [item for item in status.get("conditions") or () if item["type"] == "Finished"]
        if [(item["status"], item["reason"]) for item in finished] != [("True", reason)]:
            self._break(f"{name} is {phase} ({reason}), its condition Finished is {finished}")
        if reason not in _WITHOUT_END:
            for process in self._of(uid):
                if process.runs_user_code and not process.is_orphan:
                    self._break(f"{name} is {phase} ({reason}) while {process.pod} runs user code")
        else:
            self._see_lost_node(uid, name, status)
        if obj["spec"].get("abort") is not None and phase != "Aborted":
            self._break(f"{name} was aborted and became {phase} ({reason})")
        self._see_reason(uid, name, status)

    def _see_lost_node(self, uid: str, name: str, status: dict[str, Any]) -> None:
        current = (status.get("current") or {}).get("podUID")
        process = self._world.processes.get(current or "")
        if process is not None and process.is_orphan:
            return  # its node still runs it, but reports nothing about a pod that was deleted by force
        if process is None or process.node not in self._world.nodes.ever_lost:
            self._break(
                f"{name} ends as NodeLost, its pod is {process.pod if process else None} on a node that was never lost"
            )

    def _see_reason(self, uid: str, name: str, status: dict[str, Any]) -> None:
        reason, due = status["reason"], set(status.get("hooksDue") or ())
        if not due <= set(hook_names.due_after(status["phase"], reason)):
            self._break(f"{name} ({reason}) has hooks due that do not follow: {due}")
        is_valid = self._inputs[uid].get("valid", True) or "inputSchema" not in self._world.definition
        if (reason == "InvalidInput") == is_valid and (reason == "InvalidInput" or status.get("iterations")):
            self._break(f"{name} ended as {reason}, its input is {'valid' if is_valid else 'invalid'}")
        since = self.settles_since
        is_sure = since is not None and self._world.api.now > since + LONGEST_PAUSE
        if reason == "NameTaken" and is_sure and self._pods.is_name_free(name, uid):
            self._break(f"{name} ends as NameTaken, and the name of its pod is free")
        if reason == "StateLost" and uid not in self.lost_state:
            self._break(f"{name} ends as StateLost, but its state was not deleted")
        made = self._pods_of_last_iteration(uid, status)
        limit = self._retries[0]
        if reason == "Disrupted" and len(made) < self._fewest_disruptions + 1:
            fewest = self._fewest_disruptions
            self._break(f"{name} ends as Disrupted after {len(made)} pods, disruptionRetries is {fewest}")
        is_tried_again = "Error" in self._causes and not self._world.has_changed_definition
        if reason == "TaskFailed" and is_tried_again and not self._is_ruled_out(made) and len(made) < limit + 1:
            self._break(f"{name} failed after {len(made)} attempts, retry.limit is {limit}")
        if status["phase"] == "Succeeded":
            self._see_output(uid, name, status)

    def _is_ruled_out(self, made: dict[str, str]) -> bool:
        answers = [process.answered for uid, process in self._world.processes.items() if uid in made]
        return any(answer is not None and answer.get("retryable") is False for answer in answers)

    def _pods_of_last_iteration(self, uid: str, status: dict[str, Any]) -> dict[str, str]:
        iteration = names.iteration_of(status.get("lastRecord") or "") + 1
        return self._iterations[uid, iteration].pods

    def _see_output(self, uid: str, name: str, status: dict[str, Any]) -> None:
        outputs = list(filter(None, (_serial(process.answered, "done") for process in self._of(uid))))
        given = (status.get("output") or {}).get("serial")
        if given is not None and given not in outputs:
            self._break(f"{name} succeeded with the output {given}, its pods answered {outputs}")
        if not outputs and not any(map(self._has_ended_as_done, self._of(uid))):
            self._break(f"{name} succeeded, and no pod has answered done")

    def _has_ended_as_done(self, process: Process) -> bool:
        """Whether the exit code of a program without the SDK means done: it was not asked to end."""
        is_silent = process.exit_code == 0 and process.answered is None
        # Only the clock of the node shows which came first, the deletion or the end.
        is_clock_late = self._world.nodes.skew < timedelta()
        return process.by_message and is_silent and (is_clock_late or not process.was_asked_to_end)

    def _is_certainly_done(self, process: Process) -> bool:
        """Whether a program without the SDK ended as done before the deletion of its pod, also by the clocks."""
        if self._world.nodes.skew or not self._has_ended_as_done(process):
            return False
        pod = self._world.nodes.pod_of(process)
        deleted = pod["metadata"].get("deletionTimestamp") if pod is not None else None
        over = datetime.fromisoformat(deleted) if deleted else self._world.api.deleted_at.get(process.uid)
        if over is None or process.ended_at is None:
            return True
        return process.ended_at < over - timedelta(seconds=process.me.grace_period)

    # --- pods and records -----------------------------------------------------------------------------------------

    def _see_pod(self, event: str, obj: dict[str, Any]) -> None:
        metadata = obj["metadata"]
        if event == "ADDED":
            self._see_new_pod(obj)
        if names.ANNOTATION_ENDING_SINCE in (metadata.get("annotations") or {}):
            self._stopped.add(metadata["uid"])
        reason = (metadata.get("annotations") or {}).get(names.ANNOTATION_ENDING_REASON)
        process = self._world.processes.get(metadata["uid"])
        if reason == "HeartbeatTimeout" and process is not None and event == "MODIFIED":
            self._see_silence(process)

    def _see_new_pod(self, obj: dict[str, Any]) -> None:
        name, owner = obj["metadata"]["name"], obj["metadata"]["ownerReferences"][0]
        if hook_names.is_hook_pod(name):
            return
        iteration, attempt = names.iteration_of(name), _attempt_of(name)
        known = self._iterations[owner["uid"], iteration].pods
        earlier = {other for other in known.values() if other != name}
        if attempt > len(earlier) + 1:
            self._break(f"{name} is created as attempt {attempt}, and {len(earlier)} were created before it")
        known[obj["metadata"]["uid"]] = name
        start = self._starts.get(owner["uid"])
        created = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
        if start is not None and (iteration, attempt) == (1, 1) and created < start:
            self._break(f"{name} is created {(start - created).total_seconds():g} s before the start of its run")

    def _see_silence(self, process: Process) -> None:
        if process.has_ended or process.me.heartbeat_timeout is None or process.node in self._world.nodes.ever_lost:
            return
        since = process.alive_at or process.started_at
        assert since is not None
        silent = (self._world.api.now - since).total_seconds()
        # The result of a live read may be used for a moment, in which a heartbeat may arrive.
        if self._world.settings.silence_good_for.total_seconds() < silent < process.me.heartbeat_timeout:
            self._break(f"{process.pod} was ended as silent {silent} s after its last heartbeat")

    def _see_record(self, event: str, obj: dict[str, Any]) -> None:
        response, process = obj.get("response"), self._world.processes.get(obj["podUID"])
        if event == "DELETED" or response is None or process is None:
            return
        answered = process.stored
        said = response["status"]
        if process.by_message and process.exit_code not in {0, None} and said in {"done", "continue"}:
            self._break(f"{process.pod} ended with code {process.exit_code}, its record says {said}")
        if answered is None:
            return
        if said != answered["status"] and not self._may_differ(process, said):
            self._break(f"{process.pod} answered {answered['status']}, its record says {said}")
        if _serial(response, "done") != _serial(answered, "done") and said == answered["status"]:
            self._break(f"{process.pod} answered with another output than its record has")
        if said in {"continue", "done", "aborted"}:
            self._iterations[process.run_uid, process.me.iteration].answer = {**response}

    def _may_differ(self, process: Process, said: str) -> bool:
        """Whether the answer of a container may be lost: its pod was deleted by force, or it came after an abort."""
        run_object = self._world.api.objects.get(("taskruns", process.run))
        if run_object is None or run_object["metadata"]["uid"] != process.run_uid:
            return True
        is_aborted = run_object["spec"].get("abort") is not None
        if said == "aborted" and is_aborted:
            return True
        if process.run_uid in self.lost_state:
            return True  # a user has deleted the record itself, or the state that the answer is based on
        return process.is_orphan or process.node in self._world.nodes.ever_lost

    # --- running code ----------------------------------------------------------------------------------------------

    def _see_what_runs(self) -> None:
        busy: dict[str, list[Process]] = defaultdict(list)
        for process in self._world.processes.values():
            if process.runs_code and not process.is_orphan:
                busy[process.run_uid].append(process)
        for uid, running in busy.items():
            if len(running) > 1:
                self._break(f"{' and '.join(process.pod for process in running)} run code at once")
            end = self._ends.get(uid)
            if end is not None and end["reason"] not in _WITHOUT_END and any(p.runs_user_code for p in running):
                self._break(f"{running[0].pod} runs user code, its run is {end['phase']} ({end['reason']})")
        if self.are_slots_certain:
            self._see_slots()

    def _see_slots(self) -> None:
        """Slots are held by the pods that may be running, regardless of the state of their runs."""
        working: dict[str, str] = {}
        there = {run["metadata"]["uid"] for run in self._world.runs()}
        for pod in self._world.pods():
            owner = pod["metadata"]["ownerReferences"][0]
            process = self._world.processes.get(pod["metadata"]["uid"])
            is_over = pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
            is_discarded = process is None and "deletionTimestamp" in pod["metadata"]
            has_ended = process is not None and (process.has_ended or process.is_orphan)
            # Created by a request that arrived after the deletion of its run: it notices that before user code.
            has_no_run = owner["uid"] not in there and (process is None or not process.has_begun)
            if not (is_over or is_discarded or has_ended or has_no_run):
                working[owner["uid"]] = owner["name"]
        if len(working) > min(self._limits["definition"], self._world.settings.max_running_pods or 1_000_000):
            self._break(f"{sorted(working.values())} have pods, the limits are {self._limits}")
        values = Counter(self._inputs.get(uid, {}).get("customer") for uid in working)
        if any(count > self._limits["value"] for count in values.values()):
            self._break(f"{sorted(working.values())} have pods, the limit of a value is {self._limits['value']}")

    def _of(self, uid: str) -> list[Process]:
        return [process for process in self._world.processes.values() if process.run_uid == uid]

    # --- reported by the world ------------------------------------------------------------------------------------

    def see_look(self, process: Process) -> None:
        """The runner of a pod has seen its run, and is going to run user code, or waits for its release."""
        run = self._world.api.objects.get(("taskruns", process.run))
        if not process.by_message and (run is None or run["metadata"]["uid"] != process.run_uid):
            self._break(f"{process.pod} continues although its run was deleted")

    def see_start(self, process: Process) -> None:
        """A pod begins to run user code."""
        self._catch_up()
        world, me = self._world, process.me
        start = Start(process.run, process.run_uid, me.iteration, me.attempt)
        if start in self.starts:
            self._break(f"{process.pod} runs its attempt a second time")
        self.starts.append(start)
        end = self._ends.get(process.run_uid)
        if end is not None and end["reason"] not in _WITHOUT_END and not process.is_orphan:
            self._break(f"{process.pod} runs user code after the end")
        for record in world.api.find("taskiterations"):
            answer = (record.get("response") or {}).get("status")
            if record["metadata"]["ownerReferences"][0]["uid"] != process.run_uid:
                continue
            if answer in {"continue", "done"} and record["iteration"] >= me.iteration and not _cannot_ask(process):
                self._break(f"{process.pod} runs although {record['podName']} answered {answer}")
        for other in self._of(process.run_uid):
            self._see_other(process, other)
        self._see_state(process)
        for child in world.children(process.run):
            if child["metadata"]["name"] in world.awaited[process.run_uid, me.iteration - 1]:
                self._break(f"{process.pod} runs although {child['metadata']['name']} has not ended")
        self._see_count(process)

    def _see_other(self, process: Process, other: Process) -> None:
        me = process.me
        if other is process or other.only_hooks:
            return
        said = (other.stored or {}).get("status")
        self._see_wait(process, other)
        is_answered = said in {"continue", "done", "aborted"} and other.me.iteration >= me.iteration
        if is_answered and not other.is_orphan and not _cannot_ask(process):
            self._break(f"{process.pod} runs although {other.pod} said {said}")
        is_certain = not other.is_orphan and other.node not in self._world.nodes.ever_lost
        is_done = other.me.iteration >= me.iteration and self._is_certainly_done(other)
        if is_certain and is_done and not _cannot_ask(process):
            self._break(f"{process.pod} runs although the program of {other.pod} has ended well")
        if is_certain and other.has_begun and other.leaves_threads and not other.has_ended:
            self._break(f"{process.pod} runs although the container of {other.pod} has not ended")
        is_earlier = (other.me.iteration, other.me.attempt) < (me.iteration, me.attempt)
        is_fatal = said == "error" and (other.stored or {}).get("retryable") is False
        if is_certain and is_fatal and is_earlier:
            self._break(f"{process.pod} runs although {other.pod} answered that there must be no other attempt")
        # With a valid token, it could still answer; after the operator has stored an answer, no other is accepted.
        is_over = other.uid in self._stopped and self._has_answer(other)
        can_answer = other.is_orphan and other.is_busy and not other.by_message and not is_over
        if can_answer and has_token(self._world.api, other):
            self._break(f"{process.pod} runs while {other.pod}, deleted by force, still has a token")

    def _see_wait(self, process: Process, other: Process) -> None:
        """The next iteration starts when the wait is over; the time in the record is that of the node's clock."""
        wait = (other.stored or {}).get("waitSeconds")
        if wait is None or other.is_orphan or other.me.iteration != process.me.iteration - 1 or self._world.nodes.skew:
            return
        assert other.answered_at is not None
        due = other.answered_at + timedelta(seconds=wait)
        if self._world.api.now < due:
            self._break(f"{process.pod} runs {(due - self._world.api.now).total_seconds():g} s too early")

    def _has_answer(self, process: Process) -> bool:
        record = self._world.api.objects.get(("taskiterations", process.pod))
        return record is not None and record["podUID"] == process.uid and record.get("response") is not None

    def _see_state(self, process: Process) -> None:
        me, uid = process.me, process.run_uid
        if uid in self.lost_state:
            return
        known = self._iterations[uid, me.iteration]
        if me.checkpoint:
            expected = known.checkpoints.get(me.checkpoint)
        elif me.iteration == 1:
            expected = self._inputs[uid]
        else:
            expected = (self._iterations[uid, me.iteration - 1].answer or {}).get("input")
        if expected is not None and process.input.get("serial") != expected.get("serial"):
            self._break(f"{process.pod} works on {process.input}, its state is {expected}")
        newer = [name for name in known.checkpoints if _attempt_of(me.checkpoint) < _attempt_of(name) < me.attempt]
        if me.checkpoint and newer and not self._has_lost_checkpoint(newer) and self._are_certain(uid, newer):
            self._break(f"{process.pod} starts from {me.checkpoint} although {newer} stored a checkpoint later")
        earlier = [name for name in known.checkpoints if name != process.pod]
        if earlier and not me.checkpoint and not self._has_lost_checkpoint(earlier):
            self._break(f"{process.pod} starts from the beginning although {earlier} stored a checkpoint")

    def _are_certain(self, run_uid: str, pods: list[str]) -> bool:
        """Whether none of these pods can have written after the operator believed it to be gone."""
        return not any(
            process.is_orphan or process.node in self._world.nodes.ever_lost
            for process in self._of(run_uid)
            if process.pod in pods
        )

    def _has_lost_checkpoint(self, records: list[str]) -> bool:
        """Whether none of these records exists with its checkpoint."""
        there = (self._world.api.objects.get(("taskiterations", name)) for name in records)
        return not any(record is not None and record.get("checkpoint") for record in there)

    def _see_count(self, process: Process) -> None:
        """Iterations run in order, and each is repeated only as often as retries and disruptions allow."""
        me, uid = process.me, process.run_uid
        mine = [start for start in self.starts if start.run_uid == uid]
        if [start.iteration for start in mine] != sorted(start.iteration for start in mine):
            self._break(f"{process.pod} runs after a later iteration")
        if me.iteration > self._max_iterations:
            self._break(f"{process.pod} runs, maxIterations is {self._max_iterations}")
        made = set(self._iterations[uid, me.iteration].pods.values())
        taken = {self._name_of(pod) for pod in self._iterations[uid, me.iteration].pods if self._was_taken(pod)}
        failed = {self._name_of(pod) for pod in self._iterations[uid, me.iteration].pods if self._has_failed(pod)}
        limit, disruptions = self._retries
        allowed = 1 + min(limit, len(failed)) + min(disruptions, len(taken))
        if len(made) > allowed:
            self._break(
                f"{process.pod} is attempt {len(made)}; {len(failed)} failed of {limit}, "
                f"{len(taken)} lost of {disruptions}"
            )

    def _name_of(self, pod_uid: str) -> str:
        for iteration in self._iterations.values():
            if pod_uid in iteration.pods:
                return iteration.pods[pod_uid]
        return pod_uid

    def _was_taken(self, pod_uid: str) -> bool:
        process = self._world.processes.get(pod_uid)
        if process is None:
            return pod_uid in self.taken or self._pods.was_given_back(pod_uid)
        # Its task cannot have ended a pod that was never released.
        was_held_back = bool(process.me.after) and process.has_ended and not process.has_begun
        return pod_uid in self.taken or was_held_back or process.node in self._world.nodes.ever_lost

    def _has_failed(self, pod_uid: str) -> bool:
        """Whether the pod may have failed by itself, or may have been ended because it took too long."""
        process = self._world.processes.get(pod_uid)
        if process is None or pod_uid in self._stopped:
            return True
        said = ((process.stored if process.by_message else process.answered) or {}).get("status")
        return said == "error" or (process.has_ended and said is None)

    def see_checkpoint(self, process: Process) -> None:
        """A pod has stored a checkpoint."""
        self._iterations[process.run_uid, process.me.iteration].checkpoints[process.pod] = process.input

    def see_hook_pod(self, process: Process) -> None:
        """A hook pod has claimed its record."""
        self._catch_up()
        last = (self._ends[process.run_uid].get("current") or {}).get("podUID")
        for other in self._of(process.run_uid):
            can_call = other.uid == last and other.waits_for_end and not (other.has_ended or other.is_orphan)
            if other is not process and can_call and not self._world.nodes.is_lost(other):
                self._break(f"{process.pod} was made although {other.pod} can call the hooks")

    def see_hook(self, process: Process, hook: str) -> None:
        """A pod begins to call a hook."""
        self._catch_up()
        end = self._ends.get(process.run_uid)
        if end is None:
            self._break(f"{process.pod} calls {hook} before the end")
            return
        if hook not in self._declared_at_end[process.run_uid]:
            self._break(f"{process.pod} calls {hook}, which was declared after the end")
        if hook not in hook_names.due_after(end["phase"], end["reason"]):
            self._break(f"{process.pod} calls {hook} after {end['phase']} ({end['reason']})")
        for other in self._of(process.run_uid):
            if other is not process and other.is_busy and not (other.is_orphan or process.is_orphan):
                self._break(f"{process.pod} calls {hook} while code runs in {other.pod}")
            is_known = other is not process and hook in other.hooks_called and not process.is_orphan
            if is_known and not other.is_orphan and other.node not in self._world.nodes.ever_lost:
                self._break(f"{process.pod} calls {hook} again, {other.pod} has called it")
        if not process.is_orphan:
            self.hook_calls.append((process.run, hook))

    # --- the end --------------------------------------------------------------------------------------------------

    def see_idle(self) -> None:
        """The operator has seen everything, and has done everything that is due."""
        self.look()
        self._pods.see_idle()

    def see_standstill(self) -> None:
        """Nothing can happen before more time passes: a run may only wait for a slot if none is free."""
        world = self._world
        self._see_waits()
        for item in world.runs() if self.sees_starts else ():
            start = _start_of(item)
            is_delayed = (item.get("status") or {}).get("reason") == "Delayed"
            if is_delayed and (start is None or start <= world.api.now):
                self._break(f"{item['metadata']['name']} is Delayed, although its start has come")
        if not self.are_slots_certain or ("taskdefinitions", "work") not in world.api.objects:
            return
        reasons = {(run.get("status") or {}).get("reason") for run in world.runs()}
        if POD_UNCERTAIN in reasons:
            return  # a run keeps its slot while another request may still create its pod
        queued = [run for run in world.runs() if (run.get("status") or {}).get("reason") == "Queued"]
        holders = {
            pod["metadata"]["ownerReferences"][0]["uid"]
            for pod in world.pods()
            if pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
        }
        limit = min(self._limits["definition"], world.settings.max_running_pods or 1_000_000)
        if self._limits["value"] < 1_000_000 and not holders <= {run["metadata"]["uid"] for run in world.runs()}:
            return  # an operator that has restarted since does not know the value of a deleted run: it may be any
        values = Counter(self._inputs.get(uid, {}).get("customer") for uid in holders)
        for run in queued:
            if run["metadata"].get("deletionTimestamp") or run["spec"].get("abort"):
                continue
            value = self._inputs[run["metadata"]["uid"]].get("customer")
            if len(holders) < limit and values[value] < self._limits["value"]:
                self._break(f"{run['metadata']['name']} waits for a slot although {len(holders)} of {limit} are taken")

    def _may_lag(self, uid: str) -> bool:
        """Return whether the status of a run may lag behind: it has a new pod that reports by message."""
        since = self._world.api.now - self._world.settings.status_delay
        pods = [pod["metadata"] for pod in self._world.pods() if pod["metadata"]["ownerReferences"][0]["uid"] == uid]
        # An operator counts from when it has first seen a pod.
        is_new = any(
            max(datetime.fromisoformat(about["creationTimestamp"]), self._world.started_at) > since for about in pods
        )
        return is_new and self._world.spec["reporting"] == names.REPORTING_TERMINATION_MESSAGE

    def _see_waits(self) -> None:
        """A run does not wait for a pod that has ended, nor for children that have finished.

        It may wait until no request can create another pod, which takes a minute (PodUncertain).
        """
        world = self._world
        for run in world.runs():
            status, about = run.get("status") or {}, run["metadata"]
            if status.get("phase") in FINISHED or "deletionTimestamp" in about or self._is_stalled(status):
                continue
            if status.get("reason") == "WaitingForChildren" and not world.children(about["name"]):
                self._break(f"{about['name']} waits for children, and has none that is unfinished")
            current = status.get("current") or {}
            pod = world.api.objects.get(("pods", current.get("podName", "")))
            is_there = pod is not None and pod["metadata"]["uid"] == current.get("podUID")
            is_over = not is_there or (pod or {}).get("status", {}).get("phase") in {"Succeeded", "Failed"}
            if current and is_over and status.get("reason") != POD_UNCERTAIN and not self._may_lag(about["uid"]):
                self._break(f"{about['name']} waits for {current['podName']}, which has ended")

    @staticmethod
    def _is_stalled(status: dict[str, Any]) -> bool:
        conditions = status.get("conditions") or ()
        return any(item["type"] == "Stalled" and item["status"] == "True" for item in conditions)

    def see_the_end(self, writes: int) -> None:
        """After the end, and some more time: nothing runs, no pods are left over, and nothing is written."""
        self.look()
        world = self._world
        # A pod on a lost node never reports its end; the steps to end it may take longer than this.
        nodes = world.nodes
        ends_slowly = any(nodes.is_lost(one) and nodes.pod_of(one) is not None for one in world.processes.values())
        if writes and not ends_slowly:
            self._break(f"{writes} writes although nothing happens")
        for process in world.processes.values():
            if not process.has_ended and not world.nodes.is_lost(process):
                self._break(f"{process.pod} still runs")
        there = {obj["metadata"]["uid"] for obj in world.api.find("taskruns")}
        for pod in world.pods():
            is_foreign = "example.com/hold" in (pod["metadata"].get("finalizers") or ())
            container = world.processes.get(pod["metadata"]["uid"])
            is_lost = container is not None and world.nodes.is_lost(container)
            if pod["metadata"]["ownerReferences"][0]["uid"] not in there and not is_foreign and not is_lost:
                self._break(f"{pod['metadata']['name']} is left although its run was deleted")
        deleted = {run["metadata"]["uid"] for run in world.runs() if "deletionTimestamp" in run["metadata"]}
        for uid, status in self._ends.items():
            if uid not in there - deleted:
                continue
            name = self._names[uid]
            due, outcomes = (
                status.get("hooksDue") or [],
                [hook["name"] for hook in world.status_of(name).get("hooks") or ()],
            )
            if [hook for hook in outcomes if hook != hook_names.ON_BEFORE_TRIGGER] != list(due):
                self._break(f"{name} ended with the hooks {due} due, but has the outcomes {outcomes}")
            self._see_hooks_due(uid, status)

    def see_all_pods_deleted(self) -> None:
        """After the end, all pods were deleted: the operator lets them go."""
        for pod in self._world.pods():
            container = self._world.processes.get(pod["metadata"]["uid"])
            is_lost = container is not None and self._world.nodes.is_lost(container)
            if names.ANSWER_FINALIZER in (pod["metadata"].get("finalizers") or ()) and not is_lost:
                self._break(f"{pod['metadata']['name']} was deleted, but Podrelay's finalizer keeps it")

    def _see_hooks_due(self, uid: str, status: dict[str, Any]) -> None:
        """If the definition has never changed, the due hooks are those that it declares."""
        if len(self._declared_at_end[uid]) and not self._world.has_changed_definition:
            due = [hook for hook in hook_names.due_after(status["phase"], status["reason"]) if hook in self._declared]
            if due != list(status.get("hooksDue") or ()):
                self._break(f"{self._names[uid]} has the hooks {status.get('hooksDue')} due, not {due}")


def _cannot_ask(process: Process) -> bool:
    """Return whether nothing can stop a container before it begins: its pod was deleted by force, and has no token."""
    return process.is_orphan and process.by_message


def _serial(response: dict[str, Any] | None, status: str) -> Any:
    """Return the number that identifies the output or input of this answer."""
    if response is None or response["status"] != status:
        return None
    return (response.get("output") or {}).get("serial")


def _start_of(run: dict[str, Any]) -> datetime | None:
    """Return when a run starts by its spec; None: at once."""
    spec = run["spec"]
    if spec.get("delaySeconds"):
        return datetime.fromisoformat(run["metadata"]["creationTimestamp"]) + timedelta(seconds=spec["delaySeconds"])
    return datetime.fromisoformat(spec["startAt"]) if spec.get("startAt") else None


def _attempt_of(name: str) -> int:
    tail = name.rpartition("-i")[2]
    return int(tail.partition("t")[2] or 1)
