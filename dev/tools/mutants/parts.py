"""Mutants of the parts around the planner, as far as the model plays them."""

from typing import Final

from dev.tools.mutants.mutant import Mutant

PARTS: Final = (
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
    Mutant(
        "HooksOfAnotherPodsEnd",
        "runner/hooks.py",
        'return run if (status.get("current") or {}).get("podUID") == me.pod_uid else None',
        "return run",
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
)
