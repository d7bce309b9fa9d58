"""Mutants of the rules about starts: when a pod may be created, and when it may run the task."""

from typing import Final

from dev.tools.mutants.mutant import Mutant

STARTS: Final = (
    # --- reasons not to start a run
    Mutant("InvalidInputRuns", "operator/planner/starting.py", "if not view.input.invalid_fields:", "if True:"),
    Mutant(
        "InputOfAFormerRun",
        "operator/cache/store.py",
        "        key = _own_key(run)\n        if not self._is_open(key, run.metadata.uid):\n            return None",
        "        key = _own_key(run)\n        run = self.run(key) or run\n        if not self._is_open(key):\n            return None",
    ),
    Mutant(
        "RefusedKeepsItsSlot",
        "operator/planner/admission.py",
        "return not has_working_pod(view)",
        "return False",
    ),
    # --- the start
    Mutant(
        "RescheduleIgnored",
        "operator/planner/starting.py",
        "if status.current is not None or status.last_record is not None or status.started_at is not None:",
        "if status.current is not None or status.last_record is not None or status.next_iteration_at is not None:",
    ),
    Mutant(
        "AbortDoesNotWaitForAnUnansweredCreation",
        "operator/cache/store.py",
        "        self.creations.unanswered(run)\n        if (observed := self._observations_of(run)) is not None:\n"
        "            observed.seen_alive = None\n",
        "        self.creations.unanswered(run)\n",
    ),
    Mutant(
        "WaitOfAnUnseenAnswerIgnored",
        "operator/planner/due_pod.py",
        "return target.state if is_unseen else None",
        "return None",
    ),
    Mutant(
        "RefusedHookPodGivesBackTheSlotOfAStandby",
        "operator/planner/hooks.py",
        "is_idle = view.slot is not None and not admission.has_working_pod(view)",
        "is_idle = view.slot is not None",
    ),
    Mutant(
        "ExitCodeNeedsNoRecord",
        "operator/planner/answers.py",
        "if ended is None or termination_message.is_silent(pod):",
        "if ended is None:",
    ),
    Mutant(
        "EarlierOutputLost",
        "operator/planner/answers.py",
        "if attempt.target.iteration > 1 or attempt.target.checkpoint is not None:",
        "if False:",
    ),
    Mutant(
        "EndedStandbyKeepsItsSlot",
        "operator/planner/starting.py",
        "keeps_slot=not pod.is_released",
        "keeps_slot=True",
    ),
    Mutant(
        "EndedStandbyReplacedWithoutASlot",
        "operator/planner/starting.py",
        "if waiting is None and pod.is_released and admission.has_to_queue(view):",
        "if waiting is None and pod.is_released and False:",
    ),
    Mutant(
        "EndedStandbyHeldWhileHooksRun",
        "operator/planner/garbage_collection.py",
        "(pod.is_terminal or pod.task.terminated is None or not object_rules.is_named(status, pod))",
        "(pod.is_terminal or pod.task.terminated is None)",
    ),
    # --- slots
    Mutant(
        "SlotFreeWithTheStatus",
        "operator/cache/seats.py",
        "if owner is not None and not pod.is_released:\n                found",
        "if False:\n                found",
    ),
    Mutant(
        "OneSlotTooMany",
        "operator/cache/slots.py",
        "return limits.runs is None or self._held[definition] < limits.runs",
        "return limits.runs is None or self._held[definition] <= limits.runs",
    ),
    Mutant(
        "ValueWithoutLimit",
        "operator/cache/slots.py",
        "return self._held_by_value[definition, value] < limit",
        "return True",
    ),
    Mutant(
        "UnknownValueIsFree",
        "operator/cache/slots.py",
        "if value is None or self._held_by_unknown[definition]:",
        "if value is None:",
    ),
    Mutant(
        "FreeSlotNotGranted",
        "operator/cache/slots.py",
        "            self._grant_others(holder.definition)\n",
        "            pass\n",
    ),
    Mutant(
        "TotalIgnored",
        "operator/cache/slots.py",
        "while self._is_open and (self._total is None or len(self._holders) < self._total):",
        "while self._is_open:",
    ),
    # --- pods that are created ahead
    Mutant(
        "AheadWithoutWaiting",
        "runner/fence.py",
        'return not me.after or current.get("podUID") == me.pod_uid',
        "return True",
    ),
    Mutant(
        "HeldBackIsAnAttempt",
        "operator/planner/due_pod.py",
        "elif pod is not None and pod.metadata.annotations.after is None:",
        "elif pod is not None:",
    ),
    Mutant(
        "QuietWithThreads",
        "runner/record.py",
        'if self.is_quiet and response["status"] == "continue":',
        'if response["status"] == "continue":',
    ),
    Mutant(
        "ReleasedWhileThreadsRun",
        "operator/planner/ahead.py",
        "if not record.quiet or status is None",
        "if status is None",
    ),
    Mutant(
        "SlotGivenBackWithAStandby",
        "operator/planner/admission.py",
        "return not has_working_pod(view)",
        "return True",
    ),
    Mutant(
        "DeletedStandbyKept",
        "operator/planner/garbage_collection.py",
        "is_over = is_past or is_held_back or pod.metadata.name",
        "is_over = is_past or pod.metadata.name",
    ),
    Mutant(
        "StandbyBeyondMaxIterations",
        "operator/planner/ahead.py",
        "        and iteration <= definition.spec.max_iterations\n",
        "",
    ),
    Mutant(
        "TimeoutsFromTheStart",
        "operator/view.py",
        "return max(started, self._released_at(pod) or started)",
        "return started",
    ),
    Mutant(
        "StandbyKeptAfterTheEnd",
        "operator/planner/garbage_collection.py",
        "    if spare:\n",
        "    if False:\n",
    ),
    # --- pods that start unclaimed
    Mutant(
        "AloneFromTheBeginning",
        "operator/cache/creations.py",
        "        if self._term is None or self._seconds_left(run) > 0:\n            return False\n"
        "        return self._is_younger(run) or run.metadata.uid in self._proven\n",
        "        return self._term is not None\n",
    ),
    Mutant(
        "AloneWithoutProof",
        "operator/cache/creations.py",
        "        return self._is_younger(run) or run.metadata.uid in self._proven\n",
        "        return True\n",
    ),
    Mutant(
        "UnansweredForgotten",
        "operator/executor/pods.py",
        "                self._store.creation_unanswered(view.run)\n",
        "                pass\n",
    ),
    Mutant(
        "NamesBecomeFreeAtOnce",
        "operator/planner/late_creations.py",
        "return _future(view) if pod.reports_by_message else None",
        "return None",
    ),
    Mutant(
        "EndsBeforeItsLatePod",
        "operator/planner/late_creations.py",
        "return _future(view) if by_message else None",
        "return None",
    ),
    Mutant(
        "NeverClaimed",
        "operator/planner/coalescing.py",
        "    if not _may_be_unnamed(pod) or object_rules.is_named(view.run.status, pod):\n        return False\n",
        "    return False\n",
    ),
    # --- hooks
    Mutant(
        "HooksOfALaterDefinition",
        "operator/object_rules.py",
        "return tuple(hook for hook in status.hooks_due if hook not in known)",
        "from podrelay.api import hooks\n    return tuple(h for h in hooks.due_after(status.phase, status.reason) if h not in known)",
    ),
    Mutant("HookPodWithoutRead", "operator/planner/hooks.py", "if current.pod_name not in view.settled:", "if False:"),
    Mutant(
        "HookPodDuringThePod",
        "operator/planner/hooks.py",
        "if pod is not None and not _has_ended(view, pod):",
        "if False:",
    ),
    Mutant(
        "HookPodWithoutASlot",
        "operator/planner/hooks.py",
        "    if admission.has_to_queue(view):\n        return _queue(view)",
        "    if False:\n        return _queue(view)",
    ),
    Mutant(
        "HooksNotDue",
        "operator/planner/statuses.py",
        "hooks_due=hooks.due_at_end(phase, camel(reason), view.definition),",
        "hooks_due=(),",
    ),
)
