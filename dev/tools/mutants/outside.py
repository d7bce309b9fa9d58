"""Mutants of what the model does not play: requests to the API server, and the gateway."""

from typing import Final

from dev.tools.mutants.mutant import Mutant

OUTSIDE: Final = (
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
)
