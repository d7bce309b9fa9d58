"""Mutants of signals, schedules and overrides."""

from typing import Final

from dev.tools.mutants.mutant import Mutant

EXTENSIONS: Final = (
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
    Mutant(
        "StartedBeforeItWasSuspendedNotCounted",
        "operator/schedule_planner/planner.py",
        "sum(not due_times.is_started(view, draft, time) for time in times.due)",
        "len(times.due)",
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
        "        self._bytes_left = left\n",
        "        pass\n",
    ),
)
