"""The view of kubectl, and of tools that read the same data, on runs with real pods.

Tables, selectors and `explain` of static objects are in test_crd_rules.py; permissions are in test_roles.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS, Manifest, task_definition, task_run
from dev.harness.waiting import eventually
from tests.support.argocd import health
from tests.support.kstatus import kstatus
from tests.support.relay import TASKS_FILE, Relay

pytestmark = [pytest.mark.integration, pytest.mark.also_on_dev]

SERVER_SIDE = ("--server-side",)
WAYS = pytest.mark.parametrize("flags", [(), SERVER_SIDE], ids=["client-side", "server-side"])


def definition(name: str, task: str, **spec: Any) -> Manifest:
    """Return the manifest of a definition, as in a user's file."""
    container = {"name": "task", "image": "local", "command": ["podrelay-runner", f"{TASKS_FILE}:{task}"]}
    return task_definition(name, id=task.lower(), **{"template": {"spec": {"containers": [container]}}, **spec})


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


@pytest.fixture(scope="module")
def ended(relay: Relay) -> Iterator[Relay]:
    """Runs in every lasting state, for tests of kubectl itself."""
    quick = relay.kubectl
    relay = replace(relay, kubectl=Kubectl(quick.kubeconfig, quick.env, quick.namespace, quick.identity))
    relay.define("Answer")
    relay.define("Sleep", abortGracePeriodSeconds=1)
    relay.define("Chain")
    relay.run("done", "answer", input={"how": "done"})
    relay.run("failed", "answer", input={"how": "error"})
    relay.run("aborted", "answer", input={"how": "aborted"})
    relay.run("waiting", "chain", input={"seconds": 600})
    relay.run("working", "sleep")
    relay.run("suspended", "answer", suspend=True)
    relay.run("lost", "there-is-none")
    relay.run("delayed", "answer", delaySeconds=600)
    assert relay.kubectl.apply(task_definition("broken", template={"spec": {}}))
    for name in ("done", "failed", "aborted"):
        relay.finished(name)
    reasons = {"waiting": "Waiting", "suspended": "Suspended", "lost": "DefinitionNotFound", "delayed": "Delayed"}
    for name, reason in reasons.items():
        relay.until(name, f"it is {reason}", reason=reason)
    eventually("it works", lambda: relay.calls("working"))
    relay.until("working", "it is shown", reason="IterationRunning")
    for name, ready in (("answer", "True"), ("broken", "False")):
        relay.kubectl.do("wait", f"--for=condition=Ready={ready}", f"{TASK_DEFINITIONS}/{name}", "--timeout=20s")
    yield relay
    relay.abort("working")
    relay.finished("working")


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "row"),
    [
        ("done", ["answer", "Succeeded", "Done", "1"]),
        ("failed", ["answer", "Failed", "TaskFailed", "1"]),
        ("aborted", ["answer", "Aborted", "AbortedByTask", "1"]),
        ("waiting", ["chain", "Running", "Waiting", "1"]),
        ("working", ["sleep", "Running", "IterationRunning", "1"]),
        ("suspended", ["answer", "Pending", "Suspended"]),
        ("lost", ["there-is-none", "Pending", "DefinitionNotFound"]),
        ("delayed", ["answer", "Pending", "Delayed"]),
    ],
)
def test_a_row_shows_the_phase_of_a_run(ended: Relay, run: str, row: list[str]) -> None:
    assert cells(ended.kubectl.do("get", "trun", run, "--no-headers"))[:-1] == [run, *row]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("failed", "no such file"),
        ("suspended", "set spec.suspend to false to continue"),
        ("lost", 'there is no TaskDefinition "there-is-none" in this namespace; create it'),
        ("delayed", "next pod at 20"),
        ("working", "iteration 1 of at most 50 in pod working-i1"),
    ],
)
def test_a_wide_row_and_describe_show_the_reason_and_the_action(ended: Relay, run: str, words: str) -> None:
    assert words in ended.kubectl.do("get", "trun", run, "--output", "wide")
    described = ended.kubectl.do("describe", "trun", run)
    assert words in described
    assert ended.status(run)["reason"] in described


def test_definitions_and_records_have_their_rows(ended: Relay) -> None:
    kubectl = ended.kubectl
    assert cells(kubectl.do("get", "tdef", "answer", "--no-headers"))[:-1] == ["answer", "Count words", "True", "50"]
    wide = kubectl.do("get", "tdef", "broken", "--output", "wide").splitlines()
    assert ("MESSAGE" in wide[0].split(), "InvalidTemplate" in cells(wide[1])) == (True, True)
    assert kubectl.get(TASK_DEFINITIONS, "broken")["status"]["conditions"][0]["message"] in wide[1]
    assert "spec.template.spec.containers is empty" in kubectl.do("describe", "tdef", "broken")
    assert cells(kubectl.do("get", "titer", "done-i1", "--no-headers"))[:-1] == ["done-i1", "done", "1", "1", "done"]
    assert cells(kubectl.do("get", "titer", "failed-i1", "--no-headers"))[4] == "error"


def test_a_wide_row_of_a_record_shows_why_its_attempt_failed(ended: Relay) -> None:
    header, row = ended.kubectl.do("get", "titer", "failed-i1", "--output", "wide").splitlines()

    place = header.index("ERROR")
    assert row[place:].startswith("no such file"), row


def properties(schema: Manifest, path: str) -> Iterator[tuple[str, Manifest]]:
    """Yield every field below a schema, by its path."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from properties(child, f"{path}.{name}")
        yield from properties(child.get("items", {}), f"{path}.{name}[]")


@pytest.mark.only_in_cluster("CRDs as objects")
@pytest.mark.parametrize("resource", [TASK_DEFINITIONS, TASK_RUNS, TASK_ITERATIONS])
def test_every_field_has_a_description_for_explain(admin: Kubectl, installed: None, resource: str) -> None:
    (version,) = admin.get("crd", resource)["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    assert schema["description"]
    served_by_kubernetes = {".apiVersion", ".kind", ".metadata"}
    silent = {path for path, field in properties(schema, "") if not field.get("description")}
    assert silent == served_by_kubernetes


def test_explain_shows_what_abort_does(admin: Kubectl, installed: None) -> None:
    text = " ".join(admin.do("explain", "trun.spec.abort", "--recursive").split())
    assert "Set this to stop the run: its pod gets SIGTERM and time to clean up, then the run is Aborted." in text
    assert "message <string>" in text
    assert "Reason in plain text; shown as the run's message." in " ".join(
        admin.do("explain", "trun.spec.abort").split()
    )


def test_wait_accepts_a_condition_or_a_phase(ended: Relay) -> None:
    waits = {
        "awaited-done": ("done", "condition=Succeeded"),
        "awaited-failed": ("error", "jsonpath={.status.phase}=Failed"),
    }
    for name, (how, condition) in waits.items():
        ended.run(name, "answer", input={"how": how})
        ended.kubectl.do("wait", f"--for={condition}", f"trun/{name}", "--timeout=30s")
    assert not ended.kubectl("wait", "--for=condition=Succeeded", "trun/failed", "--timeout=1s")


def test_field_selectors_find_real_runs(ended: Relay) -> None:
    assert "failed" in ended.kubectl.names(TASK_RUNS, "--field-selector=status.phase=Failed,spec.definition=answer")
    assert ended.kubectl.names(TASK_RUNS, "--field-selector=status.phase=Running,spec.definition=sleep") == ["working"]


# --- applying again ---------------------------------------------------------------------------------------------------


def versions(relay: Relay, *objects: tuple[str, str]) -> list[Manifest]:
    """Return the fields that a client may have changed; for a definition without its status, which counts its runs."""
    found = [relay.kubectl.get(resource, name) for resource, name in objects]
    return [
        {key: value for key, value in obj["metadata"].items() if key != "managedFields" and not counts(obj, key)}
        for obj in found
    ]


def counts(obj: Manifest, key: str) -> bool:
    return obj["kind"] == "TaskDefinition" and key == "resourceVersion"


@WAYS
def test_applying_the_same_manifest_again_changes_nothing_during_and_after_the_run(
    ended: Relay, flags: tuple[str, ...]
) -> None:
    name = f"again{len(flags)}"
    manifests = [
        definition("sleep", "Sleep", abortGracePeriodSeconds=1, retry={"limit": 1}),
        task_run(name, "sleep", input={"trace": str(ended.trace(name)), "nested": {"list": [1, 2.5, {}]}}),
    ]

    def apply_again() -> None:
        before = versions(ended, (TASK_DEFINITIONS, "sleep"), (TASK_RUNS, name))
        again = ended.kubectl.apply(*manifests, flags=flags)
        assert again, str(again)
        assert "conflict" not in again.stderr
        if not flags:
            assert [line.rsplit(" ", 1)[1] for line in again.stdout.splitlines()] == ["unchanged", "unchanged"]
        assert versions(ended, (TASK_DEFINITIONS, "sleep"), (TASK_RUNS, name)) == before
        assert ended.kubectl("diff", *flags, "-f", "-", stdin=manifests).stdout == ""

    # The definition exists already, by client-side apply.
    assert ended.kubectl.apply(*manifests, flags=(*flags, "--force-conflicts") if flags else ())
    eventually("it works", lambda: ended.calls(name))
    ended.until(name, "it is shown", reason="IterationRunning")
    eventually("it is reviewed", lambda: kstatus(ended.kubectl.get(TASK_DEFINITIONS, "sleep")) == "Current")

    apply_again()
    ended.abort(name)
    ended.finished(name)
    apply_again()


def managers(obj: Manifest) -> set[tuple[str, str]]:
    return {(entry["manager"], entry.get("subresource", "")) for entry in obj["metadata"]["managedFields"]}


@pytest.mark.only_in_cluster("managedFields")
def test_the_operator_owns_the_status_and_nothing_else(ended: Relay) -> None:
    for resource, name in ((TASK_RUNS, "done"), (TASK_DEFINITIONS, "answer")):
        kubectl, status = {"kubectl-create", "kubectl-client-side-apply", "kubectl"}, ("podrelay-operator", "status")
        found = managers(ended.kubectl.get(resource, name, "--show-managed-fields"))
        assert status in found
        assert {manager for manager, subresource in found - {status} if not subresource} <= kubectl
    record = managers(ended.kubectl.get(TASK_ITERATIONS, "done-i1", "--show-managed-fields"))
    assert record == {("podrelay-runner", "")}
    pod = managers(ended.kubectl.get("pod", "failed-i1", "--show-managed-fields"))
    assert ("podrelay-operator", "") in pod


@pytest.mark.parametrize("cascade", ["foreground", "background"])
def test_delete_also_deletes_pods_and_records(ended: Relay, cascade: str) -> None:
    name = f"deleted-{cascade}"
    ended.run(name, "answer", input={"how": "error"})
    ended.finished(name)
    assert (len(ended.pods(name)), len(ended.records(name))) == (1, 1)

    ended.kubectl.do("delete", "trun", name, f"--cascade={cascade}", "--timeout=30s")

    eventually("pods and records are gone", lambda: not ended.pods(name) and not ended.records(name))


# --- tools that read the status ---------------------------------------------------------------------------------------

STATES = [
    ("done", "Current", "Healthy"),
    ("failed", "Failed", "Degraded"),
    ("aborted", "Failed", "Degraded"),
    ("waiting", "InProgress", "Progressing"),
    ("working", "InProgress", "Progressing"),
    ("suspended", "InProgress", "Suspended"),
    ("lost", "Failed", "Progressing"),
    ("delayed", "InProgress", "Progressing"),
]


@pytest.mark.parametrize(("run", "expected", "argocd"), STATES)
def test_a_run_has_the_state_that_kstatus_and_argo_cd_expect(
    ended: Relay, run: str, expected: str, argocd: str
) -> None:
    obj = ended.get(run)

    assert kstatus(obj) == expected
    assert health(obj) == (argocd, obj["status"]["message"])


@pytest.mark.parametrize(
    ("name", "expected", "argocd"), [("answer", "Current", "Healthy"), ("broken", "Failed", "Degraded")]
)
def test_a_definition_has_the_state_that_kstatus_and_argo_cd_expect(
    ended: Relay, name: str, expected: str, argocd: str
) -> None:
    obj = ended.kubectl.get(TASK_DEFINITIONS, name)

    assert kstatus(obj) == expected
    assert health(obj) == (argocd, obj["status"]["conditions"][0]["message"])


def test_objects_that_no_operator_has_seen_are_in_progress(kubectl: Kubectl) -> None:
    assert kubectl.create(task_run("new"), task_definition("new"))
    for resource in (TASK_RUNS, TASK_DEFINITIONS):
        obj = kubectl.get(resource, "new")
        assert kstatus(obj) == "InProgress"
        assert health(obj)[0] == "Progressing"


def test_a_change_of_a_finished_run_is_observed(ended: Relay) -> None:
    ended.run("kept", "answer", input={"how": "done"})
    ended.finished("kept")

    assert ended.kubectl.patch(TASK_RUNS, "kept", {"spec": {"ttlSecondsAfterFinished": 3600}})

    eventually("the operator has seen it", lambda: kstatus(ended.get("kept")) == "Current")


def test_a_run_whose_pod_cannot_be_created_is_degraded(ended: Relay) -> None:
    ended.run("unmakeable", "broken")
    ended.until("unmakeable", "it says why", reason="InvalidTemplate")

    obj = ended.get("unmakeable")
    assert kstatus(obj) == "Failed"
    assert health(obj)[0] == "Degraded"


def test_a_run_that_is_being_deleted_is_progressing(ended: Relay) -> None:
    obj = ended.get("done")
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    assert (kstatus(obj), health(obj)[0]) == ("Terminating", "Progressing")
