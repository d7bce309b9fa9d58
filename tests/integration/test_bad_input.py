"""Invalid input of every kind at every interface: each gets a message that says what to do, and no run hangs.

Fields of manifests that the API server itself rejects are in test_crd_rules.py, sizes in test_policies.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS, Manifest, task_definition, task_run
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.namespaces import temporary_namespace
from tests.support.payloads import payload_of
from tests.support.podfiles import PodFiles
from tests.support.pods import add_runner
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

KIB = 1024
DRY = "--dry-run=server"


def template_of(reference: str, container: Manifest | None = None, **pod: Any) -> Manifest:
    """Return a pod template whose container runs a task."""
    command = ["podrelay-runner", reference]
    return {"spec": {"containers": [{"name": "task", "image": "local", "command": command} | (container or {})]} | pod}


def module(relay: Relay, name: str, code: str) -> str:
    """Write a file with a task's code; return its reference for the runner."""
    path = relay.folder / f"{name}.py"
    path.write_text(code, encoding="utf-8")
    return str(path)


def condition(kubectl: Kubectl, resource: str, name: str, kind: str) -> Manifest:
    """Return a condition of an object; empty if it has none of this type."""
    conditions: list[Manifest] = kubectl.get(resource, name).get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), {})


def not_ready(relay: Relay, definition: str) -> Manifest:
    """Wait until the operator has rejected a definition, and return its condition Ready."""

    def verdict() -> Manifest | None:
        ready = condition(relay.kubectl, TASK_DEFINITIONS, definition, "Ready")
        return ready if ready.get("status") == "False" else None

    return eventually(f"{definition} is not ready", verdict) or {}


# --- manifests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_an_unknown_field_is_rejected_by_apply(shared: Kubectl, flags: tuple[str, ...]) -> None:
    for manifest in (task_run(delay=5), task_definition(retries=3)):
        applied = shared.apply(manifest, flags=(*flags, DRY))
        assert not applied
        assert "unknown" in applied.stderr or "not declared in schema" in applied.stderr
        assert "spec.retries" in applied.stderr or "spec.delay" in applied.stderr


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T10:00:00x5Z",
        "2026-01-01T10:00:00+99:99",
        "2026-01-01T10:00:00+24:00",
        "2026-01-01T10:00:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_a_time_that_programs_cannot_read_is_rejected(shared: Kubectl, time: str) -> None:
    refused = shared.create(task_run(startAt=time), flags=(DRY,))
    assert not refused
    assert "spec.startAt in body should" in refused.stderr or "must be of type date-time" in refused.stderr


def test_numbers_that_are_not_json_are_rejected_in_an_input(shared: Kubectl) -> None:
    for number in (".nan", ".inf"):
        yaml = "apiVersion: podrelay.dev/v1alpha1\nkind: TaskRun\nmetadata: {name: words}\nspec: {definition: words, "
        assert "unsupported value" in shared("create", DRY, "-f", "-", stdin=f"{yaml}input: {{x: {number}}}}}").stderr


def test_a_time_in_another_zone_is_shown_in_utc(relay: Relay) -> None:
    relay.define("Answer")
    relay.run("zoned", "answer", startAt="2126-01-01T10:00:00+02:00")

    assert relay.until("zoned", "it waits", reason="Delayed")["message"] == "next pod at 2126-01-01T08:00:00Z"


# --- answers of tasks -------------------------------------------------------------------------------------------------

ANSWERS = """
from typing import Any
from podrelay import Controller, TaskDefinition

KIB = 1024

class Answers(TaskDefinition):
    id = "answers"
    title = "Answers"

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        response, large = controller.response, {"text": "x" * (257 * KIB)}
        deep: dict[str, Any] = {}
        for _ in range(300):
            deep = {"deep": deep}
        match input["how"]:
            case "continue": return response.continue_(large)
            case "checkpoint": controller.state.update_input(large)
            case "output": controller.state.update_output(large)
            case "data": return response.error({"message": "no such file", "code": "NoFile", "data": large})
            case "list": return [1]
            case "wait": return response.continue_({}, seconds=1e15)
            case "log": controller.logger.info("bytes", {"bad": b"x"})
            case "progress": controller.progress(float("nan"), 3)
            case how: return response.done({"bad": {
                "bytes": b"x", "object": object(), "integer": 2**70, "nan": float("nan"), "infinity": float("inf"),
                "deep": deep, "surrogate": "\\ud800", "key": {1: 2}, "surrogate-key": {"\\ud800": 1},
            }[how]})
"""

REFUSED_ANSWERS = {
    "bytes": "output.bad: bytes is not a JSON type",
    "object": "output.bad: object is not a JSON type",
    "integer": "output.bad: the integer 1180591620717411303424 needs more than 64 bits; send it as a string",
    "nan": "output.bad: nan is not a JSON number; send null or a string",
    "infinity": "output.bad: inf is not a JSON number; send null or a string",
    "deep": "nested more than 200 levels deep",
    "surrogate": "output.bad: a string with a lone surrogate, which UTF-8 cannot hold",
    "surrogate-key": "output.bad: a key with a lone surrogate, which UTF-8 cannot hold",
    "key": "output.bad: the key 1 is int, JSON keys are strings",
    "continue": "the limit is 262144; keep large data in separate storage and pass a reference",
    "checkpoint": "the limit is 262144; keep large data in separate storage and pass a reference",
    "output": "the limit is 262144; keep large data in separate storage and pass a reference",
}
OTHER_ANSWERS = ("data", "list", "wait", "log", "progress", "unknown")


@pytest.fixture(scope="module")
def answers(relay: Relay) -> Relay:
    """A run for each invalid answer, all started together."""
    reference = module(relay, "answers", ANSWERS) + ":Answers"
    runs = [task_run(f"answer-{how}", "answers", input={"how": how}) for how in (*REFUSED_ANSWERS, *OTHER_ANSWERS)]
    created = relay.kubectl.create(task_definition("answers", template=template_of(reference)), *runs)
    assert created, str(created)
    return relay


@pytest.mark.parametrize("how", REFUSED_ANSWERS)
def test_an_answer_that_cannot_be_stored_fails_the_run_with_an_explanation(answers: Relay, how: str) -> None:
    status = answers.finished(f"answer-{how}", 60)

    assert (status["phase"], status["reason"], status["error"]["code"]) == ("Failed", "TaskFailed", "PayloadRefused")
    assert REFUSED_ANSWERS[how] in status["message"]
    assert condition(answers.kubectl, TASK_RUNS, f"answer-{how}", "Succeeded")["message"] == status["message"]


def test_error_data_that_cannot_be_stored_does_not_hide_the_error(answers: Relay) -> None:
    error = answers.finished("answer-data", 60)["error"]

    assert (error["message"], error["code"]) == ("no such file", "NoFile")
    assert "error.data has 263179 bytes as JSON, the limit is 262144" in error["data"]["refused"]


def test_a_value_that_is_not_an_answer_fails_the_run(answers: Relay) -> None:
    status = answers.finished("answer-list", 60)

    assert status["error"]["code"] == "InvalidAnswer"
    assert "run() returned list; return controller.response.done(...)" in status["message"]


def test_a_wait_beyond_the_limit_is_reduced_to_355_days(answers: Relay) -> None:
    status = answers.until("answer-wait", "it waits", reason="Waiting")

    assert status["nextIterationAt"] < "2100"
    answers.abort("answer-wait")


@pytest.mark.parametrize("how", ["log", "progress"])
def test_logs_and_progress_that_cannot_be_stored_do_not_fail_the_run(answers: Relay, how: str) -> None:
    assert answers.finished(f"answer-{how}", 60)["phase"] == "Succeeded"


# --- the task's module ------------------------------------------------------------------------------------------------

HEAD = "from podrelay import TaskDefinition\n"
CLASS = f"{HEAD}class Task(TaskDefinition):\n    id = 'task'\n    title = 'Task'\n"

MODULES: dict[str, tuple[str, str, str]] = {
    "import": ("import no_such_package", "TaskImportError", "No module named 'no_such_package'"),
    "syntax": ("def run(:", "TaskImportError", "SyntaxError: invalid syntax"),
    "exit": ("import sys; sys.exit(3)", "TaskImportError", "SystemExit: 3"),
    "die": ("import os; os._exit(3)", "ExitCode3", "container task ended with exit code 3 without an answer"),
    "class": (
        f"{HEAD}class Other(TaskDefinition):\n    id = 'other'\n    title = 'Other'",
        "TaskImportError",
        "has no task definition Task; there are: Other",
    ),
    "no-class": ("Task = 3", "TaskImportError", "has no task definition Task; there are: none"),
    "no-run": (CLASS, "DefinitionError", "it has no method run(self, input, controller)"),
    "signature": (f"{CLASS}    def run(self): ...", "DefinitionError", "run(self, input, controller)"),
    "not-callable": (
        f"{CLASS}    run = 3",
        "DefinitionError",
        "run(self, input, controller)",
    ),
    "no-title": (f"{HEAD}class Task(TaskDefinition):\n    id = 'task'", "DefinitionError", "title"),
    "endless": ("def f(): f()\nf()", "TaskImportError", "RecursionError: maximum recursion depth exceeded"),
}


@pytest.fixture(scope="module")
def modules(relay: Relay) -> Relay:
    """A definition and a run for each invalid module, all started together."""
    references = {name: module(relay, f"bad_{name}", code) for name, (code, _, _) in MODULES.items()}
    references["no-module"] = "there.is.no.such.module"
    for name, reference in references.items():
        definition = f"module-{name}"
        template = template_of(f"{reference}:Task")
        has_other_tries = name not in MODULES or MODULES[name][1] in {"TaskImportError", "DefinitionError"}
        more: Manifest = {"retry": {"limit": 3, "initialSeconds": 0}} if has_other_tries else {}
        made = task_definition(definition, template=template, podCleanup="Never", **more)
        created = relay.kubectl.create(made, task_run(definition, definition))
        assert created, str(created)
    return relay


@pytest.mark.parametrize("name", MODULES)
def test_an_invalid_module_fails_the_run_with_an_explanation(modules: Relay, name: str) -> None:
    _, code, words = MODULES[name]

    status = modules.finished(f"module-{name}", 60)

    assert (status["phase"], status["error"]["code"]) == ("Failed", code)
    assert words in status["message"]
    assert modules.pods(f"module-{name}") == [f"module-{name}-i1"], "another attempt would find the same module"


def test_a_missing_module_fails_the_run_and_names_the_searched_places(modules: Relay) -> None:
    status = modules.finished("module-no-module", 60)

    assert status["error"]["code"] == "TaskImportError"
    assert "MODULE must be importable from the current folder, or a path to a .py file" in status["message"]


# --- templates --------------------------------------------------------------------------------------------------------

SMALL = {"name": "task", "image": "local"}
HUGE = {"resources": {"requests": {"ephemeral-storage": "2Gi"}, "limits": {"ephemeral-storage": "2Gi"}}}
DEEP: Manifest = {}
for _ in range(300):
    DEEP = {"deep": DEEP}

TEMPLATES: dict[str, tuple[Manifest, str, str, str]] = {
    "empty": ({}, "InvalidTemplate", "InvalidTemplate", "spec.template.spec is missing; it must be the spec of a pod"),
    "containerless": (
        {"spec": {"containers": []}},
        "InvalidTemplate",
        "InvalidTemplate",
        "spec.template.spec.containers is empty; add the container that does the work",
    ),
    "two": (
        {"spec": {"containers": [SMALL | {"name": "a"}, SMALL | {"name": "b"}]}},
        "InvalidTemplate",
        "InvalidTemplate",
        "none of the 2 containers of spec.template is named task",
    ),
    "env-text": (
        template_of("x", {"env": "A=1"}),
        "InvalidTemplate",
        "InvalidTemplate",
        "env of container task is not a list of objects with name and value",
    ),
    "env-number": (
        template_of("x", {"env": [{"name": "A", "value": 1}]}),
        "PodRejected",
        "PodInvalid",
        "cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
    ),
    "unknown-field": (
        template_of("x", {"comand": ["x"]}),
        "PodRejected",
        "PodInvalid",
        'unknown field "spec.containers[0].comand"',
    ),
    "deep": (DEEP | SMALL, "InvalidTemplate", "InvalidTemplate", "nested more than 200 levels deep"),
    "account": (
        template_of("x", serviceAccountName="missing"),
        "PodRejected",
        "PodForbidden",
        'serviceaccount "missing" not found',
    ),
    "priority": (
        template_of("x", priorityClassName="nothing"),
        "PodRejected",
        "PodForbidden",
        "no PriorityClass with name nothing was found",
    ),
    "limit-range": (
        template_of("x", HUGE),
        "PodRejected",
        "PodForbidden",
        "maximum ephemeral-storage usage per Container is 1Gi, but limit is 2Gi",
    ),
    "policy": (
        template_of("x", nodeName="forbidden-node"),
        "PodRejected",
        "PodInvalid",
        "denied request: no pod may run on forbidden-node; leave out nodeName",
    ),
}

LIMIT_RANGE = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "small"},
    "spec": {"limits": [{"type": "Container", "max": {"ephemeral-storage": "1Gi"}, "default": {}}]},
}


def policy(namespace: str, name: str, resource: str, group: str, expression: str, message: str) -> list[Manifest]:
    """Return an admission policy of another project that rejects some objects in one namespace."""
    full = f"{namespace}-{name}"
    rule = {"apiGroups": [group], "apiVersions": ["*"], "resources": [resource], "operations": ["CREATE", "UPDATE"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": full}}
    return [
        head
        | {
            "kind": "ValidatingAdmissionPolicy",
            "spec": {
                "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
                "validations": [{"expression": expression, "message": message}],
            },
        },
        head
        | {
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": full, "validationActions": ["Deny"]},
        },
    ]


@pytest.fixture(scope="module")
def policies(relay: Relay) -> Iterator[None]:
    """Policies of another project: one for pods, one for the records of one run."""
    namespace = relay.kubectl.namespace
    about_pods = policy(
        namespace,
        "pods",
        "pods",
        "",
        "object.spec.?nodeName.orValue('') != 'forbidden-node'",
        "no pod may run on forbidden-node; leave out nodeName",
    )
    about_records = policy(
        namespace,
        "records",
        "taskiterations",
        "podrelay.dev",
        "object.runName != 'guarded' || object.?response.?status.orValue('') != 'done'",
        "this run must not be done; ask the committee",
    )
    manifests = [*about_pods, *about_records]
    created = relay.kubectl.create(*manifests)
    assert created, str(created)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "probe-"}}
    pod |= {"spec": {"nodeName": "forbidden-node", "containers": [SMALL]}}
    eventually("the policies are in force", lambda: not relay.kubectl.create(pod, flags=(DRY,)))
    yield
    relay.kubectl("delete", "--wait=false", "-f", "-", stdin=manifests)


@pytest.fixture(scope="module")
def templates(relay: Relay, policies: None) -> Relay:
    """A definition and a run for each invalid template, all started together."""
    created = relay.kubectl.create(LIMIT_RANGE)
    assert created, str(created)
    for name, (template, _, _, _) in TEMPLATES.items():
        definition = task_definition(f"template-{name}", template=template, pendingTimeoutSeconds=2)
        created = relay.kubectl.create(definition, task_run(f"template-{name}", f"template-{name}"))
        assert created, str(created)
    return relay


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_invalid_template_is_not_ready_and_fails_its_runs(templates: Relay, name: str) -> None:
    _, verdict, reason, words = TEMPLATES[name]

    ready = not_ready(templates, f"template-{name}")
    status = templates.finished(f"template-{name}", 60)

    assert ready["reason"] == verdict
    assert words in ready["message"]
    assert (status["phase"], status["reason"], status["iterations"]) == ("Failed", reason, 0)
    assert status["message"].startswith("no pod could be started within 2 s: ")
    assert words in status["message"]
    assert templates.pods(f"template-{name}") == []


def test_a_definition_is_reviewed_until_pods_can_be_created_from_it(relay: Relay) -> None:
    template = template_of("x", serviceAccountName="comes-later")
    assert relay.kubectl.create(task_definition("patient", template=template))
    not_ready(relay, "patient")

    relay.kubectl.do("create", "serviceaccount", "comes-later")

    relay.kubectl.do("wait", "--for=condition=Ready=True", f"{TASK_DEFINITIONS}/patient", "--timeout=30s")


def test_a_full_quota_is_waited_for(relay: Relay) -> None:
    scope = {"scopeName": "PriorityClass", "operator": "In", "values": ["system-cluster-critical"]}
    spec = {"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": [scope]}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": spec}
    assert relay.kubectl.create(quota)
    eventually("the quota is active", lambda: relay.kubectl.get("resourcequota", "full").get("status", {}).get("hard"))
    relay.define("Answer")
    reference = relay.kubectl.get(TASK_DEFINITIONS, "answer")["spec"]["template"]["spec"]["containers"][0]["command"][1]
    template = template_of(reference, priorityClassName="system-cluster-critical")
    assert relay.kubectl.create(task_definition("critical", template=template))
    relay.run("critical", "critical", input={"how": "done"})

    stalled = relay.until("critical", "it is refused", reason="QuotaExceeded")
    relay.kubectl.do("wait", "--for=condition=Ready=True", f"{TASK_DEFINITIONS}/critical", "--timeout=15s")
    assert relay.kubectl.patch("resourcequota", "full", {"spec": {"hard": {"pods": "5"}}})

    assert "exceeded quota: full, requested: pods=1, used: pods=0, limited: pods=0" in stalled["message"]
    assert relay.finished("critical", 60)["phase"] == "Succeeded"


def test_pod_security_explains_what_to_change(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl.do("label", "namespace", kubectl.namespace, "pod-security.kubernetes.io/enforce=restricted")
    relay = Relay(kubectl, tmp_path)
    add_runner(kubectl)
    with OperatorProcess(kubectl, tmp_path / "operator"):
        relay.define("Answer", pendingTimeoutSeconds=2)
        relay.run("careless", "answer")

        assert 'violates PodSecurity "restricted:latest"' in not_ready(relay, "answer")["message"]
        status = relay.finished("careless")
    assert (status["phase"], status["reason"]) == ("Failed", "PodForbidden")
    assert "set securityContext.allowPrivilegeEscalation=false" in status["message"]


def test_an_account_without_the_role_of_the_runner_is_named(relay: Relay) -> None:
    relay.kubectl.do("create", "serviceaccount", "without-rights")
    template = template_of("x", serviceAccountName="without-rights")
    assert relay.kubectl.create(task_definition("rightless", template=template))
    relay.run("rightless", "rightless")

    status = relay.finished("rightless", 100)  # the runner waits a minute for a missing permission

    assert (status["phase"], status["reason"]) == ("Failed", "ExitCode1")
    assert "The service account of this pod needs the ClusterRole podrelay-runner" in status["message"]


def test_a_run_is_deleted_with_its_namespace(admin: Kubectl, pod_logs: PodFiles, tmp_path: Path) -> None:
    with temporary_namespace(admin) as kubectl:
        add_runner(kubectl)
        relay = Relay(kubectl, tmp_path)
        with OperatorProcess(kubectl, tmp_path / "operator", flags=("--lease-namespace=default",)) as operator:
            relay.define("Sleep", abortGracePeriodSeconds=1)
            relay.run("works", "sleep")
            relay.run("waits", "missing")
            eventually("it works", lambda: relay.calls("works"))

            admin.do("delete", "namespace", kubectl.namespace, "--timeout=60s")

            assert not operator.has_ended
            assert "Traceback" not in operator.text
            assert "reconcile failed" not in operator.text


# --- definitions that are created, deleted and changed ----------------------------------------------------------------


def held_after_its_first_iteration(relay: Relay, name: str) -> None:
    """Start a chain of two, and suspend it before its second pod is created."""
    relay.run(name, "chain", input={"length": 2, "seconds": 3})
    eventually("it has begun", lambda: relay.calls(name))
    assert relay.kubectl.patch(TASK_RUNS, name, {"spec": {"suspend": True}})
    relay.until(name, "it is suspended", reason="Suspended")


def resume(relay: Relay, name: str) -> None:
    assert relay.kubectl.patch(TASK_RUNS, name, {"spec": {"suspend": False}})


def test_a_run_waits_for_a_definition_that_was_deleted_meanwhile(relay: Relay) -> None:
    relay.define("Chain")
    held_after_its_first_iteration(relay, "orphan")

    relay.kubectl.do("delete", TASK_DEFINITIONS, "chain")
    resume(relay, "orphan")
    stalled = relay.until("orphan", "it says what is missing", reason="DefinitionNotFound")
    relay.define("Chain")

    assert 'there is no TaskDefinition "chain" in this namespace; create it' in stalled["message"]
    assert stalled["phase"] == "Running"
    assert relay.finished("orphan")["output"]["done"] == 2


def test_the_next_iteration_uses_the_current_definition(relay: Relay) -> None:
    relay.define("Chain", podCleanup="Never")
    held_after_its_first_iteration(relay, "changing")

    template = relay.kubectl.get(TASK_DEFINITIONS, "chain")["spec"]["template"]
    relay.define("Chain", podCleanup="Never", template=template | {"metadata": {"labels": {"version": "2"}}})
    resume(relay, "changing")

    assert relay.finished("changing")["output"]["done"] == 2
    assert relay.kubectl.names("pods", "--selector=podrelay.dev/run=changing,version=2") == ["changing-i2"]
    relay.define("Chain")


# --- manual changes of pods and records -------------------------------------------------------------------------------

NUMBERS = ("iteration-timeout-seconds", "pending-timeout-seconds", "node-lost-timeout-seconds", "ending-since")


@pytest.mark.parametrize("value", ["soon", "-5", "9" * 30, "NaN", ""])
def test_invalid_annotations_of_a_pod_do_not_stop_the_run(relay: Relay, value: str) -> None:
    name = f"edited-{len(value)}{value[:1].strip('-9N').lower()}"
    relay.define("Sleep", abortGracePeriodSeconds=1)
    relay.run(name, "sleep")
    eventually("it works", lambda: relay.calls(name))

    nonsense = [f"podrelay.dev/{number}={value}" for number in NUMBERS]
    relay.kubectl.do("annotate", "pod", f"{name}-i1", "--overwrite", *nonsense, "podrelay.dev/pod-cleanup=Perhaps")
    relay.abort(name, "wrong file")

    status = relay.finished(name)
    assert (status["phase"], status["message"]) == ("Aborted", "wrong file")


def test_a_pod_without_its_owner_is_adopted_by_its_run(relay: Relay) -> None:
    relay.define("Sleep", abortGracePeriodSeconds=1)
    relay.run("robbed", "sleep")
    eventually("it works", lambda: relay.calls("robbed"))
    uid = relay.get("robbed")["metadata"]["uid"]

    def owners() -> list[str]:
        return [owner["uid"] for owner in relay.kubectl.get("pod", "robbed-i1")["metadata"].get("ownerReferences", ())]

    assert relay.kubectl.patch("pod", "robbed-i1", {"metadata": {"ownerReferences": None}})
    eventually("the pod belongs to its run again", lambda: owners() == [uid])
    relay.abort("robbed", "wrong file")

    status = relay.finished("robbed")
    assert (status["phase"], status["output"]) == ("Aborted", {"cleaned": True})


def test_a_record_without_its_owner_still_counts(relay: Relay) -> None:
    relay.define("Sleep", abortGracePeriodSeconds=5)
    relay.run("disowned", "sleep")
    eventually("it works", lambda: relay.calls("disowned"))

    assert relay.kubectl.patch(TASK_ITERATIONS, "disowned-i1", {"metadata": {"ownerReferences": None}})
    relay.abort("disowned")

    assert relay.finished("disowned")["output"] == {"cleaned": True}
    assert relay.record("disowned-i1")["metadata"]["ownerReferences"][0]["name"] == "disowned"


def test_a_run_reports_a_foreign_pod_with_its_name_and_waits_for_its_end(relay: Relay) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "taken-i1", "labels": {"podrelay.dev/run": "taken"}}}
    pod |= {"spec": {"nodeName": "nowhere", "containers": [SMALL]}}
    assert relay.kubectl.create(pod)
    relay.define("Answer")
    relay.run("taken", "answer", input={"how": "done"})

    stalled = relay.until("taken", "it names the pod in the way", reason="NameTaken")
    relay.kubectl.do("delete", "pod", "taken-i1", "--force")

    assert stalled["phase"] == "Pending"
    assert "taken-i1" in stalled["message"]
    assert stalled["message"].endswith("does not belong to this run; delete it")
    assert relay.finished("taken", 60)["phase"] == "Succeeded"


# --- answers that the API server rejects ------------------------------------------------------------------------------


def test_an_answer_that_another_policy_rejects_becomes_an_error_with_its_message(relay: Relay, policies: None) -> None:
    relay.define("Checkpoint", retry={"limit": 1, "initialSeconds": 0})
    relay.run("guarded", "checkpoint")

    status = relay.finished("guarded")

    assert (status["phase"], status["reason"], status["error"]["code"]) == ("Failed", "TaskFailed", "AnswerRefused")
    assert "the answer done could not be stored: the API server answered 422" in status["message"]
    assert "this run must not be done; ask the committee" in status["message"]
    assert relay.record("guarded-i1t2")["response"]["status"] == "error"


# --- nesting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [1100, 9000])
def test_an_input_that_is_nested_too_deep_fails_only_its_own_run(relay: Relay, levels: int) -> None:
    relay.define("Answer")
    text = '{"apiVersion": "podrelay.dev/v1alpha1", "kind": "TaskRun", "metadata": {"name": "NAME"}, "spec": SPEC}'
    spec = '{"definition": "answer", "input": ' + '{"a": ' * levels + "1" + "}" * levels + "}"
    deep = text.replace("NAME", f"deep-{levels}").replace("SPEC", spec)
    relay.kubectl.do("create", "--validate=false", "-f", "-", stdin=deep)
    relay.run(f"flat-{levels}", "answer", input={"how": "done"})

    assert relay.finished(f"flat-{levels}")["phase"] == "Succeeded"
    status = ("--output", "jsonpath={.status.phase} {.status.message}")  # Python could not decode the whole object
    ended = lambda: relay.kubectl.do("get", TASK_RUNS, f"deep-{levels}", *status).startswith("Failed")  # noqa: E731
    eventually("it has failed", ended)
    assert "nested too deep" in relay.kubectl.do("get", TASK_RUNS, f"deep-{levels}", *status)


def test_an_integer_beyond_64_bits_in_an_input_arrives_as_the_api_server_stores_it(relay: Relay) -> None:
    relay.define("Chain")
    relay.run("rounded", "chain", input={"length": 1, "number": 2**70})

    assert relay.finished("rounded")["output"]["input"]["number"] == pytest.approx(2.0**70)


def test_an_input_that_is_too_large_never_becomes_a_run(shared: Kubectl) -> None:
    refused = shared.create(task_run("large", input=payload_of(257 * KIB)), flags=(DRY,))

    assert not refused
    assert (
        "spec.input has 263168 bytes as JSON, the limit is 262144 (256 KiB); keep large data in separate storage"
        in refused.stderr
    )
