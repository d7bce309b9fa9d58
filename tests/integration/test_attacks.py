"""All actors attempt all attacks: each verb and resource or subresource, in their own and in a foreign namespace.

There are two tables. The first one has all permissions that the authorizer grants (SelfSubjectRulesReview), so no verb
or subresource is missing. The second one has the permitted requests with malicious bodies, as dry runs through real
admission: each attempt that is not listed for its actor must be rejected. The administrator makes all attempts first,
and succeeds, so none is rejected because it is misspelt.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from dev.harness.chart import RELEASE_NAMESPACE, render
from dev.harness.kubectl import Kubectl, Result
from dev.harness.manifests import (
    TASK_DEFINITIONS,
    TASK_ITERATIONS,
    TASK_RUNS,
    Manifest,
    owner_reference,
    record,
    task_definition,
    task_run,
)
from dev.harness.waiting import eventually
from tests.support.namespaces import temporary_namespace
from tests.support.pods import RUNNER, add_runner, task_pod
from tests.support.quick import QuickKubectl, collection

pytestmark = pytest.mark.integration

GATEWAY = {"gateway.deploy": True, "gateway.behindTLSProxy": True}
MERGE, JSON_PATCH, APPLY = "merge-patch+json", "json-patch+json", "apply-patch+yaml"
CREATED_BY, CHANGED_BY = "podrelay.dev/created-by", "podrelay.dev/changed-by"
HERE, ELSEWHERE, KUBE, HOME = "here", "elsewhere", "kube-system", RELEASE_NAMESPACE

# --- namespaces and actors --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A namespace with a running run (`victim`: run, pod, record), another run without a record, and a foreign pod."""

    admin: QuickKubectl
    victim: Manifest
    mine: Manifest
    victim_pod: Manifest
    mine_uid: str
    definition: Manifest
    record: Manifest

    @property
    def name(self) -> str:
        return self.admin.namespace


@dataclass(frozen=True)
class Stage:
    """Both namespaces and all actors."""

    here: Place
    elsewhere: Place
    actors: dict[str, QuickKubectl]

    def namespace(self, place: str) -> str:
        return {HERE: self.here.name, ELSEWHERE: self.elsewhere.name}.get(place, place)


def done(result: Result) -> None:
    assert result, str(result)


def account(admin: Kubectl, name: str, *roles: str) -> QuickKubectl:
    """Return a service account with ClusterRoles, with a token that is not bound to a pod."""
    admin.do("create", "serviceaccount", name)
    for role in roles:
        user = f"--serviceaccount={admin.namespace}:{name}"
        admin.do("create", "rolebinding", f"{name}-{role}", f"--clusterrole={role}", user)
    return QuickKubectl.instead_of(admin.as_service_account(name))


def pod_of(run: Manifest, name: str, **spec: Any) -> Manifest:
    """Return a pod as the operator creates it, which fits no node."""
    labels = {"podrelay.dev/run": run["metadata"]["name"]}
    metadata = {"name": name, "labels": labels, "ownerReferences": [owner_reference(run, controller=True)]}
    container = {"name": "task", "image": "registry.example/words:1"}
    gated = {"containers": [container], "schedulingGates": [{"name": "example.com/never"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": gated | spec}


def foreign_pod(name: str, **spec: Any) -> Manifest:
    """Return a pod that does not belong to a task."""
    pod = pod_of({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "uid": "x"}}, name, **spec)
    return pod | {"metadata": {"name": name}}


@pytest.fixture(scope="module")
def stage(shared: Kubectl, admin: Kubectl, node: str) -> Iterator[Stage]:
    with temporary_namespace(admin) as other:
        places, pods = {}, {}
        for kubectl in (QuickKubectl.instead_of(shared), QuickKubectl.instead_of(other)):
            add_runner(kubectl)
            done(kubectl.create(task_definition("count-words")))
            for name in ("victim", "mine"):
                done(kubectl.create(task_run(name)))
            victim, mine = (kubectl.get(TASK_RUNS, name) for name in ("victim", "mine"))
            done(kubectl.create(pod_of(victim, "victim-i1")))
            done(kubectl.create(foreign_pod("foreign")))
            pods[kubectl.namespace] = pod = task_pod(kubectl, "mine-i1", node)
            victim_pod = kubectl.get("pods", "victim-i1")
            done(kubectl.create(record("victim-i1", pod_uid=victim_pod["metadata"]["uid"], owner=victim)))
            stored = kubectl.get(TASK_ITERATIONS, "victim-i1")
            definition = kubectl.get(TASK_DEFINITIONS, "count-words")
            places[kubectl.namespace] = Place(kubectl, victim, mine, victim_pod, pod.uid, definition, stored)
        here, elsewhere = places[shared.namespace], places[other.namespace]
        # The neighbour's service account of task pods is bound here as well, by a careless administrator.
        neighbour = f"--serviceaccount={elsewhere.name}:{RUNNER}"
        here.admin.do("create", "rolebinding", "neighbour", f"--clusterrole={RUNNER}", neighbour)
        # As in the chart.
        accounts = [m for m in render(GATEWAY) if m["metadata"]["name"] == "podrelay-gateway" and is_right(m)]
        done(admin.apply(*accounts, flags=("--server-side", "--force-conflicts")))
        home = admin.in_namespace(RELEASE_NAMESPACE)
        actors = {
            "a pod": QuickKubectl.instead_of(pods[here.name].kubectl),
            "a pod of the neighbour": QuickKubectl.instead_of(pods[elsewhere.name].kubectl),
            "an unbound token of task pods": QuickKubectl.instead_of(here.admin.as_service_account(RUNNER)),
            "a user": account(here.admin, "user", "podrelay-user"),
            "an author": account(here.admin, "author", "podrelay-author"),
            "an author of pods": account(here.admin, "podauthor", "podrelay-author"),
            "a viewer": account(here.admin, "viewer", "podrelay-viewer"),
            "who restores": account(here.admin, "restorer", "podrelay-restore"),
            "who decides on settings": account(here.admin, "settings", "podrelay-settings"),
            "anybody": QuickKubectl.instead_of(here.admin.as_service_account("default")),
            "the operator": QuickKubectl.instead_of(home.as_service_account("podrelay-operator")),
            "the gateway": QuickKubectl.instead_of(home.as_service_account("podrelay-gateway")),
        }
        here.admin.do("create", "role", "makes-pods", "--verb=create", "--resource=pods")
        here.admin.do(
            "create", "rolebinding", "makes-pods", "--role=makes-pods", f"--serviceaccount={here.name}:podauthor"
        )
        yield Stage(here, elsewhere, actors)


def is_right(manifest: Manifest) -> bool:
    """Return whether it is a service account or grants permissions to one."""
    return manifest["kind"] in {"ServiceAccount", "ClusterRole", "ClusterRoleBinding"}


# --- the first table: permissions that the authorizer grants ----------------------------------------------------------

READ, WATCHED = "get list watch", "get list watch"
WRITE = "create update patch delete deletecollection"
SETTINGS = "configmaps[podrelay-settings]"
POLICIES = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
RUNS, DEFINITIONS, RECORDS, SCHEDULES = "taskruns", "taskdefinitions", "taskiterations", "taskschedules"
SIGNALS = "tasksignals"

Rights = dict[str, str]

_VIEW: Rights = {RUNS: READ, DEFINITIONS: READ, RECORDS: READ, SCHEDULES: READ, SIGNALS: READ, SETTINGS: READ}
_RUNNER: Rights = {RUNS: "get list watch create", RECORDS: "get create update", SIGNALS: "get list"}
_OPERATOR: Rights = {
    RUNS: "get list watch create patch delete trigger",
    f"{RUNS}/status": "update patch",
    DEFINITIONS: f"{READ} run",
    SCHEDULES: "get list watch patch",
    f"{SCHEDULES}/status": "update",
    SIGNALS: "get list watch patch delete",
    f"{SIGNALS}/status": "patch",
    f"{DEFINITIONS}/status": "patch",
    RECORDS: "get list watch create patch delete manage",
    "pods": "get list watch create patch delete",
    "pods/log": "get",
    "events": "create",
    SETTINGS: "list watch",
    "serviceaccounts": "list watch",
    "resourcequotas": "list watch",
    **dict.fromkeys(POLICIES, "get"),
}
_GATEWAY: Rights = {RUNS: READ, DEFINITIONS: READ, RECORDS: READ, SCHEDULES: READ, SIGNALS: READ}

GRANTED: dict[str, dict[str, Rights]] = {
    "a pod": {HERE: _RUNNER},
    "a pod of the neighbour": {HERE: _RUNNER, ELSEWHERE: _RUNNER},
    "an unbound token of task pods": {HERE: _RUNNER},
    "a user": {
        HERE: {
            **_VIEW,
            RUNS: f"{READ} {WRITE} trigger",
            DEFINITIONS: f"{READ} run",
            SCHEDULES: f"{READ} {WRITE}",
            SIGNALS: f"{READ} create delete deletecollection",
        }
    },
    "an author": {HERE: {DEFINITIONS: f"{READ} {WRITE}"}},
    "an author of pods": {HERE: {DEFINITIONS: f"{READ} {WRITE}", "pods": "create"}},
    "a viewer": {HERE: _VIEW},
    "who restores": {
        HERE: {
            RUNS: "get list create patch trigger manage",
            f"{RUNS}/status": "patch",
            DEFINITIONS: "get list create run",
            RECORDS: "get list create manage",
            SIGNALS: "get list create manage",
            f"{SIGNALS}/status": "patch",
            SCHEDULES: "get list create patch",
            f"{SCHEDULES}/status": "patch",
        }
    },
    "who decides on settings": {HERE: {SETTINGS: f"{READ} create update patch delete"}},
    "anybody": {},
    "the operator": {
        **dict.fromkeys((HERE, ELSEWHERE, KUBE), _OPERATOR),
        HOME: _OPERATOR | {"leases": "get create update"},
    },
    "the gateway": dict.fromkeys((HERE, ELSEWHERE, KUBE, HOME), _GATEWAY),
}
EVERYBODY = {"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}
"""Requests about themselves that Kubernetes permits to all users."""


def granted(actor: QuickKubectl, namespace: str) -> dict[str, set[str]]:
    """Return all permissions in a namespace, including subresources, names and Podrelay's own verbs."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = actor.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)
    done(answer)
    status = json.loads(answer.stdout)["status"]
    assert not status["incomplete"], status
    found: dict[str, set[str]] = {}
    for rule in status["resourceRules"]:
        names = rule.get("resourceNames") or [""]
        shown = "" if names == [""] or rule["resources"] == list(POLICIES) else f"[{' '.join(names)}]"
        for resource in rule["resources"]:
            if resource not in EVERYBODY:
                key = resource if resource in POLICIES else f"{resource}{shown}"
                found.setdefault(key, set()).update(rule["verbs"])
    return found


def _has(actor: QuickKubectl, namespace: str, expected: dict[str, set[str]]) -> bool:
    return granted(actor, namespace) == expected


@pytest.mark.parametrize("actor", GRANTED)
def test_the_authorizer_grants_exactly_these_permissions(stage: Stage, actor: str) -> None:
    for place in (HERE, ELSEWHERE, KUBE, HOME):
        expected = {resource: set(verbs.split()) for resource, verbs in GRANTED[actor].get(place, {}).items()}
        namespace = stage.namespace(place)
        # A new role binding takes a moment to become effective.
        eventually(f"rights of {actor} in {place}", partial(_has, stage.actors[actor], namespace, expected), 10)
        assert granted(stage.actors[actor], namespace) == expected, f"{actor} in {place}"


# --- the second table: attempts that admission allows -----------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    """A request that would be harmful by the wrong actor."""

    method: str
    path: str
    body: Manifest | list[Manifest] | None = None
    kind: str = "json"


def attempts(place: Place) -> dict[str, Attempt]:
    """Return all attempts in one namespace, by description."""
    return (
        _attempts_on_runs(place)
        | _attempts_on_records(place)
        | _attempts_on_definitions(place)
        | _attempts_on_pods(place)
    )


def _attempts_on_runs(place: Place) -> dict[str, Attempt]:
    path, victim = collection(TASK_RUNS, place.name), place.victim
    one, owned = f"{path}/victim", {"ownerReferences": [owner_reference(victim)]}
    of_mine = {"ownerReferences": [owner_reference(place.mine)]}
    alice = {"annotations": {CREATED_BY: "alice"}}
    whole = {key: victim[key] for key in ("apiVersion", "kind", "spec")} | {
        "metadata": {"name": "victim", "resourceVersion": victim["metadata"]["resourceVersion"]}
    }
    applied = task_run("victim", suspend=True)
    status = {"phase": "Succeeded", "observedGeneration": 1}
    return {
        "create taskruns": Attempt("POST", path, task_run("new")),
        "create taskruns with a name of the server": Attempt(
            "POST", path, task_run(metadata={"name": None, "generateName": "any-"})
        ),
        "create taskruns that are aborted": Attempt("POST", path, task_run("new", abort={"message": "x"})),
        "create taskruns in another's name": Attempt("POST", path, task_run("new", metadata=alice)),
        "create taskruns with a Secret": Attempt("POST", path, task_run("new", secret="of-the-site")),
        "create taskruns below another": Attempt("POST", path, task_run("new", parent="victim", metadata=owned)),
        "create taskruns below another, unowned": Attempt("POST", path, task_run("new", parent="victim")),
        "create taskruns below the own": Attempt("POST", path, task_run("new", parent="mine", metadata=of_mine)),
        "create taskruns with a finalizer": Attempt(
            "POST", path, task_run("new", parent="mine", metadata=of_mine | {"finalizers": ["example.com/stay"]})
        ),
        "apply taskruns": Attempt("PATCH", f"{path}/new?fieldManager=x", task_run("new"), APPLY),
        "apply taskruns of others": Attempt("PATCH", f"{one}?fieldManager=x&force=true", applied, APPLY),
        "update taskruns": Attempt("PUT", one, whole | {"spec": victim["spec"] | {"suspend": True}}),
        "patch taskruns": Attempt("PATCH", one, {"spec": {"suspend": True}}, MERGE),
        "patch taskruns by steps": Attempt(
            "PATCH", one, [{"op": "add", "path": "/spec/suspend", "value": True}], JSON_PATCH
        ),
        "abort taskruns": Attempt("PATCH", one, {"spec": {"abort": {}}}, MERGE),
        "abort taskruns in another's name": Attempt("PATCH", one, {"spec": {"abort": {"by": "alice"}}}, MERGE),
        "create taskruns aborted in another's name": Attempt("POST", path, task_run("new", abort={"by": "alice"})),
        "patch taskruns' created-by": Attempt("PATCH", one, {"metadata": alice}, MERGE),
        "apply taskruns' created-by": Attempt(
            "PATCH", f"{one}?fieldManager=x&force=true", task_run("victim", metadata=alice), APPLY
        ),
        "patch taskruns' finalizers": Attempt("PATCH", one, {"metadata": {"finalizers": ["example.com/x"]}}, MERGE),
        "delete taskruns": Attempt("DELETE", one),
        "deletecollection taskruns": Attempt("DELETE", path),
        "patch taskruns/status": Attempt("PATCH", f"{one}/status", {"status": status}, MERGE),
        "patch taskruns/status by steps": Attempt(
            "PATCH", f"{one}/status", [{"op": "replace", "path": "/status", "value": status}], JSON_PATCH
        ),
        "apply taskruns/status": Attempt(
            "PATCH", f"{one}/status?fieldManager=x&force=true", task_run("victim") | {"status": status}, APPLY
        ),
        "update taskruns/status": Attempt("PUT", f"{one}/status", whole | {"status": status}),
    }


def _attempts_on_records(place: Place) -> dict[str, Attempt]:
    path, uid = collection(TASK_ITERATIONS, place.name), place.victim_pod["metadata"]["uid"]
    one, won = f"{path}/victim-i1", {"status": "done", "output": {"forged": True}}
    answered = record("victim-i1", pod_uid=uid, owner=place.victim, response=won)
    version = {"resourceVersion": place.record["metadata"]["resourceVersion"]}
    return {
        "create taskiterations": Attempt(
            "POST", path, record("victim-i2", pod_uid=uid, owner=place.victim, response=won)
        ),
        "create taskiterations of the own pod": Attempt(
            "POST", path, record("mine-i1", pod_uid=place.mine_uid, owner=place.mine, response=won)
        ),
        "create taskiterations of the own pod for another run": Attempt(
            "POST", path, record("mine-i1", pod_uid=place.mine_uid, owner=place.victim, response=won)
        ),
        "create taskiterations of the own pod by another's UID": Attempt(
            "POST", path, record("mine-i1", pod_uid=uid, owner=place.mine, response=won)
        ),
        "apply taskiterations": Attempt(
            "PATCH",
            f"{path}/mine-i1?fieldManager=x",
            record("mine-i1", pod_uid=place.mine_uid, owner=place.mine, response=won),
            APPLY,
        ),
        "apply taskiterations of others": Attempt("PATCH", f"{one}?fieldManager=x&force=true", answered, APPLY),
        "update taskiterations": Attempt("PUT", one, answered | {"metadata": answered["metadata"] | version}),
        "patch taskiterations": Attempt("PATCH", one, {"response": won}, MERGE),
        "patch taskiterations by steps": Attempt(
            "PATCH", one, [{"op": "add", "path": "/response", "value": won}], JSON_PATCH
        ),
        "delete taskiterations": Attempt("DELETE", one),
        "deletecollection taskiterations": Attempt("DELETE", path),
    }


def _attempts_on_definitions(place: Place) -> dict[str, Attempt]:
    path, stored = collection(TASK_DEFINITIONS, place.name), place.definition
    one, status = f"{path}/count-words", {"activeRuns": 7, "observedGeneration": 1}
    spec = {"template": {"spec": {"containers": [{"name": "task", "image": "evil:1"}], "hostPID": True}}}
    alice = {"annotations": {CREATED_BY: "alice"}}
    forged = task_definition("new", metadata=alice)
    whole = {key: stored[key] for key in ("apiVersion", "kind", "spec")} | {
        "metadata": {"name": "count-words", "resourceVersion": stored["metadata"]["resourceVersion"]}
    }
    return {
        "create taskdefinitions": Attempt("POST", path, task_definition("new")),
        "create taskdefinitions in another's name": Attempt("POST", path, forged),
        "apply taskdefinitions": Attempt("PATCH", f"{path}/new?fieldManager=x", task_definition("new"), APPLY),
        "update taskdefinitions": Attempt("PUT", one, whole | {"spec": stored["spec"] | spec}),
        "patch taskdefinitions": Attempt("PATCH", one, {"spec": spec}, MERGE),
        "patch taskdefinitions by steps": Attempt(
            "PATCH", one, [{"op": "add", "path": "/spec/template", "value": spec["template"]}], JSON_PATCH
        ),
        "patch taskdefinitions' labels": Attempt("PATCH", one, {"metadata": {"labels": {"x": "y"}}}, MERGE),
        "patch taskdefinitions' changed-by": Attempt(
            "PATCH", one, {"metadata": {"annotations": {CHANGED_BY: "alice"}}}, MERGE
        ),
        "delete taskdefinitions": Attempt("DELETE", one),
        "deletecollection taskdefinitions": Attempt("DELETE", path),
        "patch taskdefinitions/status": Attempt("PATCH", f"{one}/status", {"status": status}, MERGE),
        "update taskdefinitions/status": Attempt("PUT", f"{one}/status", whole | {"status": status}),
    }


def _attempts_on_pods(place: Place) -> dict[str, Attempt]:
    path = collection("pods", place.name)
    root = {"containers": [{"name": "task", "image": "evil:1", "securityContext": {"privileged": True}}]}
    made_up = place.victim | {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}}
    deadline = {"spec": {"activeDeadlineSeconds": 1}}
    named = {"metadata": {"name": "victim-i1"}}
    account_path = f"/api/v1/namespaces/{place.name}/serviceaccounts/{RUNNER}/token"
    return {
        "create pods": Attempt("POST", path, foreign_pod("root", **root)),
        "create pods of a run": Attempt("POST", path, pod_of(place.victim, "victim-i2")),
        "create pods of a made-up run": Attempt("POST", path, pod_of(made_up, "ghost-i1")),
        "patch pods": Attempt("PATCH", f"{path}/foreign", deadline, MERGE),
        "patch pods into pods of a run": Attempt(
            "PATCH", f"{path}/foreign", {"metadata": {"labels": {"podrelay.dev/run": "victim"}}}, MERGE
        ),
        "patch pods of a run": Attempt("PATCH", f"{path}/victim-i1", deadline, MERGE),
        "update pods": Attempt("PUT", f"{path}/victim-i1", place.victim_pod),
        "delete pods": Attempt("DELETE", f"{path}/foreign"),
        "delete pods of a run": Attempt("DELETE", f"{path}/victim-i1"),
        "deletecollection pods": Attempt("DELETE", path),
        "patch pods/status": Attempt("PATCH", f"{path}/victim-i1/status", {"status": {"phase": "Failed"}}, MERGE),
        "create pods/eviction": Attempt("POST", f"{path}/victim-i1/eviction", named),
        "create serviceaccounts/token": Attempt("POST", account_path, {"spec": {"audiences": []}}),
        "create secrets": Attempt("POST", f"/api/v1/namespaces/{place.name}/secrets", {"metadata": {"name": "x"}}),
        "create configmaps": Attempt(
            "POST", f"/api/v1/namespaces/{place.name}/configmaps", {"metadata": {"name": "x"}}
        ),
        "delete the policies": Attempt(
            "DELETE",
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/podrelay-records",
        ),
        "delete the namespace": Attempt("DELETE", f"/api/v1/namespaces/{place.name}"),
    }


_OF_ANY_USER = {
    "create taskruns",
    "create taskruns with a name of the server",
    "create taskruns that are aborted",
    "apply taskruns",
    "apply taskruns of others",
    "update taskruns",
    "patch taskruns",
    "patch taskruns by steps",
    "abort taskruns",
    "patch taskruns' finalizers",
    "delete taskruns",
    "deletecollection taskruns",
}
_OF_ANY_POD = {"create taskruns below the own", "create taskiterations of the own pod"}
_TIDYING = {"delete taskdefinitions", "deletecollection taskdefinitions", "patch taskdefinitions' labels"}
_OF_THE_OPERATOR = {
    "apply taskruns of others",
    "patch taskruns",
    "patch taskruns by steps",
    "abort taskruns",
    "abort taskruns in another's name",
    "patch taskruns' finalizers",
    "delete taskruns",
    "patch taskruns/status",
    "patch taskruns/status by steps",
    "apply taskruns/status",
    "update taskruns/status",
    "create taskiterations",
    "create taskiterations of the own pod",
    "create taskiterations of the own pod for another run",
    "create taskiterations of the own pod by another's UID",
    "apply taskiterations",
    "apply taskiterations of others",
    "patch taskiterations",
    "patch taskiterations by steps",
    "delete taskiterations",
    "patch taskdefinitions/status",
    "create pods of a run",
    # RBAC and admission cannot check whether the owner exists; garbage collection removes the pod.
    "create pods of a made-up run",
    "patch pods of a run",
    "delete pods of a run",
}

_OF_WHO_RESTORES = {
    "create taskruns",
    "create taskruns with a name of the server",
    "create taskruns that are aborted",
    "create taskruns in another's name",
    "create taskruns aborted in another's name",
    "create taskruns below another",
    "create taskruns below another, unowned",
    "create taskruns below the own",
    "create taskruns with a finalizer",
    "apply taskruns",
    "apply taskruns of others",
    "patch taskruns",
    "patch taskruns by steps",
    "abort taskruns",
    "abort taskruns in another's name",
    "patch taskruns' created-by",
    "apply taskruns' created-by",
    "patch taskruns' finalizers",
    "patch taskruns/status",
    "patch taskruns/status by steps",
    "apply taskruns/status",
    "create taskiterations",
    "create taskiterations of the own pod",
    "create taskiterations of the own pod for another run",
    "create taskiterations of the own pod by another's UID",
}
"""A restore of a backup writes objects of others; definitions need permission to create pods, which is missing here."""

LET_THROUGH: dict[str, dict[str, set[str]]] = {
    "a pod": {HERE: _OF_ANY_POD},
    "a pod of the neighbour": {ELSEWHERE: _OF_ANY_POD},
    "an unbound token of task pods": {},
    "a user": {HERE: _OF_ANY_USER},
    "an author": {HERE: _TIDYING},
    "an author of pods": {
        HERE: {
            *_TIDYING,
            "create taskdefinitions",
            "apply taskdefinitions",
            "update taskdefinitions",
            "patch taskdefinitions",
            "patch taskdefinitions by steps",
            "create pods",
            "create pods of a run",
            "create pods of a made-up run",
        }
    },
    "a viewer": {},
    "who restores": {HERE: _OF_WHO_RESTORES},
    "who decides on settings": {},
    "anybody": {},
    "the operator": {HERE: _OF_THE_OPERATOR, ELSEWHERE: _OF_THE_OPERATOR},
    "the gateway": {},
}


def send(actor: QuickKubectl, attempt: Attempt) -> Result:
    """Send the request as a dry run."""
    path = f"{attempt.path}{'&' if '?' in attempt.path else '?'}dryRun=All"
    return actor.ask(attempt.method, path, attempt.body, attempt.kind)


def test_the_administrator_may_do_everything(stage: Stage) -> None:
    for place in (stage.here, stage.elsewhere):
        results = {what: send(place.admin, attempt) for what, attempt in attempts(place).items()}
        wrong = {what: result.stderr for what, result in results.items() if not result}
        assert wrong == {}, "the attempts themselves are wrong"


def test_the_table_names_existing_attempts(stage: Stage) -> None:
    known = set(attempts(stage.here))
    assert LET_THROUGH.keys() == GRANTED.keys() == stage.actors.keys()
    for places in LET_THROUGH.values():
        for named in places.values():
            assert named <= known, named - known


@pytest.mark.parametrize("actor", LET_THROUGH)
@pytest.mark.parametrize("where", [HERE, ELSEWHERE])
def test_admission_allows_exactly_these_attempts(stage: Stage, where: str, actor: str) -> None:
    target = stage.here if where == HERE else stage.elsewhere
    results = {what: send(stage.actors[actor], attempt) for what, attempt in attempts(target).items()}

    assert {what for what, result in results.items() if result} == LET_THROUGH[actor].get(where, set())
    for what, result in results.items():
        # Rejected because of the actor, not the content: with a message of RBAC or of one of Podrelay's policies.
        message = result.stderr
        is_forbidden = "(Forbidden)" in message and (
            " cannot " in message or re.search(r"Policy 'podrelay-[a-z-]+'", message)
        )
        assert result or is_forbidden, f"{what}: {result}"


def test_the_operator_creates_no_pod_in_namespaces_of_kubernetes_or_its_own(stage: Stage) -> None:
    operator, victim = stage.actors["the operator"], stage.here.victim
    for namespace in (KUBE, "kube-public", "kube-node-lease", RELEASE_NAMESPACE):
        for pod in (foreign_pod("root"), pod_of(victim, "victim-i2"), pod_of(victim, "x", hostPID=True)):
            attempt = send(operator, Attempt("POST", collection("pods", namespace), pod))
            assert not attempt, f"{namespace}: {attempt}"
            assert "ValidatingAdmissionPolicy 'podrelay-operator'" in attempt.stderr, str(attempt)


def test_no_actor_may_impersonate_others(stage: Stage) -> None:
    for name, actor in stage.actors.items():
        for kind, value in (
            ("users", "system:admin"),
            ("groups", "system:masters"),
            ("serviceaccounts", "podrelay-operator"),
        ):
            attributes = {"verb": "impersonate", "resource": kind, "name": value, "namespace": RELEASE_NAMESPACE}
            review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
            answer = actor.ask(
                "POST",
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                review | {"spec": {"resourceAttributes": attributes}},
            )
            assert json.loads(answer.stdout)["status"]["allowed"] is False, f"{name}: {kind} {value}"
