"""The mutants: small changes that break a promise, each of which a test must detect.

`old` occurs exactly once in its file. A unit test checks that, so a change of such a line must also change the mutant.
The mutants in CORE change the relay's own rules, which the property tests alone should detect. The others are in parts
that the model does not cover: requests to the API server, the permissions of the gateway, the pace of the queue.
"""

from typing import Final, NamedTuple


class Mutant(NamedTuple):
    """A change of one file."""

    name: str
    file: str
    """Path below operator/podrelay."""
    old: str
    new: str


CORE: Final = (
    # --- which pod is due next
    Mutant(
        "ForceDeletedReplacedAtOnce",
        "operator/planner/planner.py",
        "not_before = attempt.gone.at if safe else attempt.gone.at + view.settings.force_gone_grace",
        "not_before = attempt.gone.at",
    ),
    Mutant(
        "HeldByOthersReplacedAtOnce",
        "operator/planner/planner.py",
        "return max(deleted + view.settings.deleted_token_grace, view.now + view.settings.force_gone_grace)",
        "return view.now + view.settings.force_gone_grace",
    ),
    Mutant(
        "LostAfterItsNodeReplacedAtOnce",
        "operator/planner/planner.py",
        "_token_dies_at(view, pod) if may_still_run else view.now)",
        "view.now)",
    ),
    Mutant(
        "AttemptWithoutLiveRead", "operator/planner/due_pod.py", "return before if is_open else None", "return None"
    ),
    Mutant(
        "StatusOutweighsRecord",
        "operator/planner/due_pod.py",
        "    if record is not None:\n        # The record",
        "    if record is not None and current is None:\n        # The record",
    ),
    Mutant(
        "LateAnswerIgnored",
        "operator/planner/due_pod.py",
        'if record.response is not None and record.response.status != "error":',
        "if record.response is not None and record.response is None:",
    ),
    Mutant(
        "OldestCheckpoint",
        "operator/planner/due_pod.py",
        "newest = max(checkpoints, key=lambda record: record.try_, default=None)",
        "newest = min(checkpoints, key=lambda record: record.try_, default=None)",
    ),
    Mutant(
        "NoCheckpoint",
        "operator/planner/due_pod.py",
        "checkpoint=newest.metadata.name if newest else None,",
        "checkpoint=None,",
    ),
    Mutant(
        "ForeignRecord",
        "operator/view.py",
        "return owner is not None and owner.uid == self.run.metadata.uid",
        "return owner is not None",
    ),
    # --- the ends of pods
    Mutant(
        "NextBeforeTheEnd",
        "operator/planner/planner.py",
        "if attempt.has_ended or object_rules.hooks_follow(following.status) or _is_succeeded(view, attempt):",
        "if True:",
    ),
    Mutant(
        "VanishedTakenForGone",
        "operator/planner/planner.py",
        "    if pod is None and attempt.gone is None:\n        return Plan(actions=(ConfirmGone(attempt.target.name, attempt.uid),))\n"
        "    if pod is not None and coalescing",
        "    if pod is None and attempt.gone is None:\n        return _disrupted(view, attempt, 'gone', view.now)\n"
        "    if pod is not None and coalescing",
    ),
    Mutant(
        "NodeLostOnAnOldView",
        "operator/planner/ending.py",
        "if view.now >= deadline and view.still_there != (pod.metadata.uid, pod.metadata.resource_version):",
        "if False:",
    ),
    Mutant(
        "EndWithoutRead",
        "operator/planner/planner.py",
        "        if _may_exist(view, target):\n",
        "        if False:\n",
    ),
    Mutant(
        "AbortedWhileItRuns", "operator/planner/aborts.py", "if not attempt.has_ended and not calls_hook:", "if False:"
    ),
    Mutant(
        "AbortLosesToDone",
        "operator/planner/planner.py",
        "if view.run.spec.abort is not None and not _is_succeeded(view, attempt):",
        "if view.run.spec.abort is not None and (record is None or record.response is None):",
    ),
    Mutant(
        "AbortedWithAnUnseenPod",
        "operator/planner/planner.py",
        "    return (_unseen_successor(view, attempt) if is_end else None) or following\n",
        "    return following\n",
    ),
    Mutant(
        "AbortEndsAnEarlierPod",
        "operator/planner/planner.py",
        "if view.run.spec.abort is not None and not _is_succeeded(view, attempt):",
        "if view.run.spec.abort is not None:",
    ),
    Mutant(
        "DeletedRunIsLeftToRun",
        "operator/planner/planner.py",
        "    if actions or view.run.status.phase in FINISHED:\n        return Plan(actions, requeue_at=requeue)",
        "    if view.run.status.phase in FINISHED or actions:\n        return Plan(requeue_at=requeue)",
    ),
    Mutant(
        "NoTimeout",
        "operator/planner/planner.py",
        "if view.now >= deadline or pod.metadata.annotations.ending_since is not None:",
        "if pod.metadata.annotations.ending_since is not None:",
    ),
    Mutant(
        "ReleasedBeforeStored",
        "operator/planner/garbage_collection.py",
        "is_over = is_past or is_held_back or pod.metadata.name != due.name or _is_stored(view, pod)",
        "is_over = True",
    ),
    Mutant(
        "FinalizerStays",
        "operator/planner/garbage_collection.py",
        "return [ReleasePod(pod)] if is_over and pod.is_held else []",
        "return []",
    ),
    Mutant(
        "LatePodContinues",
        "operator/planner/garbage_collection.py",
        "_end(view, pod, actions, requeue)  # it was not seen when the run finished",
        "pass",
    ),
    Mutant(
        "PodsOfFormerRunsNotReleased",
        "operator/planner/planner.py",
        "return Plan(actions=garbage_collection.of_a_former_run(pods))",
        "return Plan()",
    ),
    Mutant(
        "DrainedPodOnALostNode",
        "operator/pods.py",
        "return self.is_terminal or self.task.terminated is not None or self._is_discarded",
        "return (self.is_terminal or self.task.terminated is not None or self._is_discarded) and ("
        "self.metadata.deletion_timestamp is None or not self.is_held)",
    ),
    Mutant(
        "VerdictFromLaterRead",
        "operator/planner/due_pod.py",
        "return is_there(view, names.pod_name(view.run.metadata.name, target.iteration, target.try_ + 1))",
        "return False",
    ),
    Mutant(
        "RetriedUntilTheDefinitionChanges",
        "operator/planner/due_pod.py",
        "return is_there(view, names.pod_name(view.run.metadata.name, *object_rules.due_try(status)))",
        "return False",
    ),
    Mutant(
        "LateDoneAfterADisruption",
        "operator/planner/planner.py",
        "return attempt.record is None and termination_message.succeeds_unless_stopped(pod)",
        "return False",
    ),
    Mutant(
        "SlotGivenAwayBeforeTheStatus",
        "operator/cache/seats.py",
        "(status.current is not None or self._has_due_pod(key, run))",
        "status.current is not None",
    ),
    Mutant(
        "RemovedCauseNotNoticed",
        "operator/cache/store.py",
        "            observed.refusal = msgspec.structs.replace(observed.refusal, retry_at=retry_at)\n",
        "",
    ),
    Mutant(
        "SilentByANodesClock",
        "operator/planner/heartbeat.py",
        "seen_at = last.seen_at if is_own and last is not None else start_seen",
        "seen_at = last.heartbeat_at if is_own and last is not None else start_seen",
    ),
    Mutant(
        "SilentWithoutRead",
        "operator/planner/planner.py",
        "    if silence is None or (silence.record, silence.heartbeat_at) != (attempt.target.name, last):\n"
        "        return Plan(actions=(ConfirmSilent(attempt.target.name, last),))\n"
        "    believed_at = silence.since + view.settings.silence_grace\n",
        "    believed_at = view.now\n",
    ),
    Mutant(
        "SilentByOldRead",
        "operator/planner/planner.py",
        "    if view.now > silence.confirmed_at + view.settings.silence_good_for:\n",
        "    if view.now < silence.confirmed_at:\n",
    ),
    # --- answers
    Mutant(
        "ContinueKeepsAttempts",
        "operator/planner/answers.py",
        "        last_record=record.metadata.name,\n        attempts=0,",
        "        last_record=record.metadata.name,",
    ),
    Mutant(
        "ContinueKeepsDisruptions",
        "operator/planner/answers.py",
        "        disruptions=0,\n        current=None,\n        next_iteration_at=due if due is not None",
        "        current=None,\n        next_iteration_at=due if due is not None",
    ),
    Mutant(
        "OneIterationTooMany",
        "operator/planner/answers.py",
        "record.iteration >= allowed and not",
        "record.iteration > allowed and not",
    ),
    Mutant(
        "OneRetryTooMany",
        "operator/planner/retry_policy.py",
        "or attempts >= policy.limit:",
        "or attempts > policy.limit:",
    ),
    Mutant(
        "OneRetryTooFew",
        "operator/planner/retry_policy.py",
        "or attempts >= policy.limit:",
        "or attempts + 1 >= policy.limit:",
    ),
    Mutant("FatalIsRetried", "operator/planner/retry_policy.py", "return response.retryable is False", "return False"),
    Mutant(
        "OneDisruptionTooMany",
        "operator/planner/planner.py",
        "if status.disruptions >= allowed and not is_replaced:",
        "if status.disruptions > allowed and not is_replaced:",
    ),
    Mutant(
        "OneDisruptionTooFew",
        "operator/planner/planner.py",
        "if status.disruptions >= allowed and not is_replaced:",
        "if (status.disruptions >= allowed or allowed == 1) and not is_replaced:",
    ),
    Mutant("StateDropped", "operator/planner/due_pod.py", "state=status.last_record,", "state=None,"),
    Mutant(
        "NeededStateDeleted",
        "operator/planner/garbage_collection.py",
        "if record.metadata.name in {status.last_record, status.output_from}:",
        "if False:",
    ),
    Mutant(
        "MessageOfAKilledContainer",
        "operator/planner/termination_message.py",
        "    if terminated.exit_code == 0:\n        if text:",
        "    if True:\n        if text:",
    ),
    Mutant(
        "DeletedIsDone",
        "operator/planner/termination_message.py",
        'return None if was_stopped else StorableResponse("done")',
        'return StorableResponse("done")',
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
    # --- the store
    Mutant(
        "OlderReplacesNewer",
        "operator/cache/collection.py",
        "if known is not None and _version(known) >= _version(obj):",
        "if False:",
    ),
    Mutant(
        "DeletedComesBack",
        "operator/cache/collection.py",
        "if key is None or obj.metadata.uid in self._deleted or self._is_missing_in_newer_list(key, obj):",
        "if key is None:",
    ),
    Mutant(
        "RunNotMarked",
        "operator/cache/store.py",
        "        self._seats.follow(key)\n        self._mark(key)\n\n    def _record_changed",
        "        self._seats.follow(key)\n\n    def _record_changed",
    ),
    # --- the executor
    Mutant(
        "DeleteAnyVersion",
        "operator/executor/pods.py",
        "PODS, key.namespace, action.name, uid=action.uid, resource_version=action.resource_version",
        "PODS, key.namespace, action.name, uid=action.uid, resource_version=None",
    ),
    Mutant(
        "StatusOnAnyVersion",
        "operator/executor/status_body.py",
        'about = {"name": run.metadata.name, "uid": run.metadata.uid, "resourceVersion": run.metadata.resource_version}',
        'about = {"name": run.metadata.name, "uid": run.metadata.uid}',
    ),
    Mutant(
        "GateOfAForeignPod",
        "operator/executor/pods.py",
        'patch = {"metadata": {"uid": uid}, "spec": {"schedulingGates": gates or None}}',
        'patch = {"spec": {"schedulingGates": gates or None}}',
    ),
    Mutant(
        "ForeignPodAdopted",
        "operator/executor/pods.py",
        "        owner = pod.metadata.owner_run()\n        if owner is not None and owner.uid == view.run.metadata.uid:\n"
        "            self._store.pods.restore(pod)\n            self._store.accepted(view.run)",
        "        if True:\n            self._store.pods.restore(pod)\n            self._store.accepted(view.run)",
    ),
    Mutant(
        "AnswerOverwritten",
        "operator/executor/records.py",
        "if not view.owns(record) or record.response is not None or record.pod_uid != action.pod_uid:",
        "if False:",
    ),
    Mutant(
        "ChildrenNotReadLive",
        "operator/planner/starting.py",
        "if view.children.known_since != record.metadata.name:",
        "if False:",
    ),
    Mutant(
        "GateWithoutClaim",
        "operator/planner/planner.py",
        "if pod.is_unclaimed and object_rules.is_named(view.run.status, pod):",
        "if pod.is_unclaimed:",
    ),
    # --- the runner
    Mutant(
        "HooksOfAFormerRun",
        "runner/hooks.py",
        'if run is None or run["metadata"]["uid"] != me.run_uid:\n            return None\n',
        "if run is None:\n            return None\n",
    ),
    Mutant("FenceAfterTheEnd", "runner/fence.py", 'if status.get("phase") in FINISHED:', "if False:"),
    Mutant(
        "FenceOfAFormerRun",
        "runner/fence.py",
        'if run is None or run["metadata"]["uid"] != me.run_uid:',
        "if run is None:",
    ),
    Mutant(
        "SecondClaimTaken",
        "runner/record.py",
        'if stored is not None or answer.get("reason") == "AlreadyExists":',
        "if stored is None:",
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
        "attempt.target.iteration > 1 or attempt.record is not None:",
        "attempt.record is not None:",
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
        "if gone is None and pod.is_released and admission.has_to_queue(view):",
        "if gone is None and pod.is_released and False:",
    ),
    Mutant(
        "EndedStandbyHeldWhileHooksRun",
        "operator/planner/garbage_collection.py",
        "(pod.is_terminal or pod.task.terminated is None or not object_rules.is_named(status, pod))",
        "(pod.is_terminal or pod.task.terminated is None)",
    ),
)

OTHERS: Final = (
    Mutant(
        "DeadlineAfterTheLease",
        "operator/leader_election.py",
        "self._duration * (1 - MARGIN_SHARE))",
        "self._duration * (2 - MARGIN_SHARE))",
    ),
    Mutant(
        "NoDeadline",
        "operator/executor/pods.py",
        "        has_deadline = self._set_deadline(view, manifest)\n",
        "        has_deadline = True\n",
    ),
    Mutant(
        "JumpsOfTheClockTrusted",
        "operator/server_clock.py",
        "            self._offsets.clear()\n",
        "",
    ),
    Mutant(
        "FinalizersAreLeft",
        "operator/planner/garbage_collection.py",
        "        if pod.metadata.deletion_timestamp is not None:\n            actions += _release_if_certain(view, pod, requeue)\n",
        "        if pod.metadata.deletion_timestamp is not None:\n            pass\n",
    ),
    Mutant(
        "ParentAbortedLast",
        "operator/planner/planner.py",
        "    if following.actions or (following.status is not None and following.status != view.run.status):\n"
        "        return following\n    descendants",
        "    descendants",
    ),
    Mutant("BackedUpRunsAgain", "operator/planner/restored_runs.py", "if known.ended in FINISHED:", "if False:"),
    Mutant(
        "NoBackoffOfReviews",
        "operator/controllers/definition_ready.py",
        "if last is not None and now < (due := last.at + (last.pause if is_same else _PAUSES[0])):",
        "if last is not None and now < (due := last.at):",
    ),
    Mutant(
        "NamespacesShareAQueue",
        "operator/controllers/task_runs.py",
        "return key.namespace, run.spec.definition",
        'return "", ""',
    ),
    Mutant(
        "SlowWorkCounts",
        "kube/request_semaphore.py",
        "call_later(self._patience, self._is_long, stay)",
        "call_later(1e9, self._is_long, stay)",
    ),
    Mutant("GrantsCachedForAnHour", "gateway/access.py", "YES_SECONDS: Final = 10.0", "YES_SECONDS: Final = 3600.0"),
    Mutant(
        "DenialIgnored",
        "gateway/access.py",
        "if not msgspec.json.decode(answer, type=_Review).status.allowed:",
        "if False:",
    ),
    Mutant(
        "AnswersOfOtherUsers",
        "gateway/access.py",
        "await self._answer((caller.ident, action), ask, str(action), fresh=fresh)",
        "await self._answer((action,), ask, str(action), fresh=fresh)",
    ),
    Mutant(
        "FreshAnswerFromCache",
        "gateway/access.py",
        "known = None if fresh else self._yes.get(key, YES_SECONDS) or self._no.get(key)",
        "known = self._yes.get(key, YES_SECONDS) or self._no.get(key)",
    ),
    Mutant(
        "OlderAnswerCounts",
        "gateway/access.py",
        "        other.drop(key)\n",
        "",
    ),
    Mutant(
        "OldTokensAccepted", "gateway/schema/guarding.py", "        await call.services.access.user(call.caller)\n", ""
    ),
    Mutant(
        "NoTimeLimit",
        "gateway/schema/guarding.py",
        "if operation is OperationType.SUBSCRIPTION:",
        "if operation is not None:",
    ),
    Mutant(
        "MutationsAtOnce",
        "gateway/schema/mutations.py",
        "async with self.payloads.call.mutating:",
        "async with asyncio.Lock():",
    ),
    Mutant(
        "WritesSeenLater",
        "gateway/writing.py",
        "    call.cache.runs.wrote(run)\n",
        "",
    ),
    Mutant(
        "ConnectionsWithoutLimit",
        "gateway/http/connections.py",
        "if len(self._open) > self._most:",
        "if False:",
    ),
    Mutant(
        "RecordOfAnOldViewCreatedAgain",
        "operator/executor/records.py",
        "run.metadata.uid != view.run.metadata.uid or run.status != view.run.status:",
        "run.metadata.uid != view.run.metadata.uid:",
    ),
    # --- signals and approvals
    Mutant(
        "SignalsNotMarkedBeforeTheNextPod",
        "operator/planner/signals.py",
        "if not consumed or record.metadata.name in view.consumed or view.inbox.consumed.issuperset(consumed):",
        "if True:",
    ),
    Mutant(
        "SignalsNotReadLive",
        "operator/executor/signals.py",
        "if body is None or signal is None or not signal.is_pending or signal.spec.task_run != key.name:",
        "if body is None or signal is None:",
    ),
    Mutant(
        "ErrorConsumesSignals",
        "operator/executor/records.py",
        'consumed = () if response.status == "error" else action.pod.signals',
        "consumed = action.pod.signals",
    ),
    Mutant("WaitWithoutEnd", "operator/planner/signals.py", "if not woken_by and view.now >= until:", "if False:"),
    Mutant(
        "SignalOfAFormerRunGiven",
        "operator/cache/signals.py",
        "return owner is not None and owner.uid == run.metadata.uid",
        "return owner is not None",
    ),
    Mutant(
        "AcceptedSignalMarksNoRun",
        "operator/cache/signals.py",
        "if known is not None and object_rules.waits_for_signal(known.status, signal.spec.signal):",
        "if False:",
    ),
    Mutant(
        "NewTermJudgesNothing",
        "operator/cache/signals.py",
        "        for run in list(self._pending):\n            self.run_is_new(run)\n",
        "",
    ),
    Mutant(
        "StandbyWithoutSignalsReleased",
        "operator/planner/starting.py",
        "if held is not None or pod is None or pod.metadata.annotations.signals is not None:",
        "if True:",
    ),
    Mutant(
        "SignalsOfTheImportJudgedEarly",
        "operator/signal_planner/planner.py",
        "    if run.is_incomplete:",
        "    if False:",
    ),
    Mutant(
        "ApprovalsCountSignals",
        "operator/planner/signals.py",
        "if len({signal.sender for signal in decisions if signal.decision == APPROVE}) >= required:",
        "if len([signal.sender for signal in decisions if signal.decision == APPROVE]) >= required:",
    ),
    Mutant(
        "RejectionIgnored",
        "operator/planner/signals.py",
        "if any(signal.decision == REJECT for signal in decisions):",
        "if False:",
    ),
    Mutant(
        "CreatorMayApprove",
        "operator/signal_planner/planner.py",
        "if approval.exclude_creator and view.created_by == sender:",
        "if False:",
    ),
    Mutant(
        "AnyGroupMayApprove",
        "operator/signal_planner/planner.py",
        "if approval.groups is not None and not set(approval.groups) & set(spec.groups):",
        "if False:",
    ),
    Mutant("SecondDecisionAccepted", "operator/signal_planner/planner.py", "if view.has_decided:", "if False:"),
    Mutant(
        "RestoredDecisionAlwaysCounts",
        "operator/signal_planner/planner.py",
        "if signal.metadata.annotations.restored_by is not None and view.run_is_original:",
        "if False:",
    ),
    # --- schedules
    Mutant(
        "ImportedScheduleDecidesEarly",
        "operator/schedule_planner/planner.py",
        "if view.schedule.metadata.annotations.imported == names.IMPORT_INCOMPLETE:",
        "if False:",
    ),
    Mutant(
        "NewRulesApplyToThePast",
        "operator/schedule_planner/planner.py",
        "draft.processed_until = max(draft.processed_until, view.now.replace(microsecond=0))",
        "pass",
    ),
    Mutant(
        "SuspendedTimesAreMissed",
        "operator/schedule_planner/planner.py",
        "    if _was_suspended(view.schedule.status):\n        is_partial =",
        "    if False:\n        is_partial =",
    ),
    Mutant(
        "MissingRunCountsAsGone",
        "operator/schedule_planner/planner.py",
        "if view.find(active.name) is None and active.name not in view.gone",
        "if False",
    ),
    Mutant(
        "ForeignRunCountsAsStarted",
        "operator/schedule_planner/due_times.py",
        "if name in view.taken or (run is not None and not is_for(view, run, time)):",
        "if name in view.taken:",
    ),
    Mutant(
        "MissedWithoutWindow",
        "operator/schedule_planner/due_times.py",
        "if age > timedelta(seconds=missed.window_seconds):",
        "if False:",
    ),
    Mutant(
        "OverlapIgnoresActiveRuns",
        "operator/schedule_planner/due_times.py",
        "return not draft.active() and not draft.buffered",
        "return not draft.buffered",
    ),
    # --- overrides
    Mutant(
        "OverridesAppliedUnchecked",
        "operator/overrides.py",
        "    if refusal(run, definition) is not None:",
        "    if False:",
    ),
    Mutant(
        "OverriddenVariablesExpand",
        "operator/overrides.py",
        'variable.value.replace("$", "$$")',
        "variable.value",
    ),
    Mutant(
        "ReservedVariablesOverridden",
        "operator/overrides.py",
        "if not variable.name.startswith(override_rules.RESERVED)",
        "if True",
    ),
    Mutant(
        "AnswerOfAnySize",
        "gateway/schema/executing.py",
        "            self.context_value.budget.take_answer(size)\n",
        "            pass\n",
    ),
)
