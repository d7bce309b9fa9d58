"""Mutants of the rules about attempts: which pod is due, how it ends, and what follows from its answer."""

from typing import Final

from dev.tools.mutants.mutant import Mutant

ATTEMPTS: Final = (
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
        "AttemptWithoutLiveRead",
        "operator/planner/due_pod.py",
        "for try_ in range(target.try_ - 1, 0, -1):",
        "for try_ in range(0):",
    ),
    Mutant(
        "OnlyTheLastAttemptIsReadLive",
        "operator/planner/due_pod.py",
        "for try_ in range(target.try_ - 1, 0, -1):",
        "for try_ in range(target.try_ - 1, max(0, target.try_ - 2), -1):",
    ),
    Mutant(
        "PodCreatedAgainStays",
        "operator/planner/garbage_collection.py",
        "(pod.reports_by_message or due_pod.is_superseded(view, pod))",
        "pod.reports_by_message",
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
)
