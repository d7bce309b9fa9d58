"""The status that kstatus computes for an object: the rules of sigs.k8s.io/cli-utils for kinds that it does not know.

Flux, kpt and `helm --wait` use them: https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus
"""

from dev.harness.kubectl import Manifest


def kstatus(obj: Manifest) -> str:
    """Return InProgress, Failed, Current or Terminating."""
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    status = obj.get("status", {})
    if status.get("observedGeneration", obj["metadata"]["generation"]) != obj["metadata"]["generation"]:
        return "InProgress"
    conditions = {item["type"]: item["status"] for item in status.get("conditions", ())}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"
