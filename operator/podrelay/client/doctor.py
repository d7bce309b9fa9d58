"""Finds out why runs of a namespace do not start or make no progress.

It checks CRDs, operator, service account, definitions and rights. It only reads, with the rights of the caller; a check
that these do not permit is reported as unknown, never as ok.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.client import operators
from podrelay.client.errors import NotFoundError, RequestRefusedError
from podrelay.client.packages import kubernetes
from podrelay.client.resources import Query, Resource, Resources

Verdict = Literal["ok", "problem", "unknown"]

LEASE: Final = "podrelay-operator"
RUNNER: Final = names.RUNNER_SERVICE_ACCOUNT
_PATIENCE: Final = timedelta(seconds=30)
"""How long an object may stay unseen: an operator that runs reconciles a new object within a second."""
_CLOCKS: Final = timedelta(seconds=30)
"""How far this computer's clock may differ from the operator's before a Lease counts as expired."""
_RIGHTS: Final = (
    ("create", names.TASK_RUNS, names.GROUP, "start runs"),
    ("list", names.TASK_RUNS, names.GROUP, "see runs"),
    ("list", names.TASK_ITERATIONS, names.GROUP, "see records and logs"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        verdict: ok, problem, or unknown if the caller's rights do not permit the check.
        what: what was checked, and the result.
        advice: what to do about it.
    """

    verdict: Verdict
    what: str
    advice: str = ""


class Doctor:
    """Checks a namespace.

    Args:
        client: an ApiClient of the kubernetes package.
        resources: the custom resources of the same API server.
        namespace: the namespace to check.
        version: the version of this package.
        clock: returns the current time, aware, UTC.
    """

    def __init__(
        self,
        client: Any,
        resources: Resources,
        namespace: str,
        version: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._resources = resources
        self._namespace = namespace
        self._version = version
        self._clock = clock
        self._core = kubernetes.client.CoreV1Api(client)
        self._roles = kubernetes.client.RbacAuthorizationV1Api(client)
        self._leases = kubernetes.client.CoordinationV1Api(client)
        self._versions = kubernetes.client.VersionApi(client)

    def findings(self) -> Iterator[Finding]:
        """Yield the result of each check, the most basic ones first; stop if the remaining checks are impossible.

        Raises:
            ApiUnavailableError: the API server cannot be reached.
        """
        yield self._api_server()
        installed = self._crds()
        yield installed
        if installed.verdict == "problem":
            return
        yield from self._operator()
        yield from self._runner()
        yield from self._definitions()
        yield from self._runs()
        yield from self._rights()

    # --- the cluster ------------------------------------------------------------------------------------------------

    def _api_server(self) -> Finding:
        found = self._resources.ask(self._versions.get_code)
        user = self._resources.user()
        return Finding("ok", f"API server {found.get('gitVersion', '')}" + (f", as {user}" if user else ""))

    def _crds(self) -> Finding:
        try:
            for _ in self._resources.pages(Query(names.TASK_DEFINITIONS, self._namespace)):
                break
        except NotFoundError:
            advice = "install the chart: helm install podrelay charts/podrelay -n podrelay-system --create-namespace"
            return Finding("problem", "the custom resources of Podrelay are not installed", advice)
        except RequestRefusedError as refused:
            words = f"definitions of namespace {self._namespace} cannot be read: {refused}"
            advice = "ask for a RoleBinding to the ClusterRole podrelay-viewer or podrelay-user in that namespace"
            return Finding("problem", words, advice)
        return Finding("ok", "the custom resources of Podrelay are installed")

    def _operator(self) -> Iterator[Finding]:
        found = self._ask(self._leases.list_lease_for_all_namespaces, field_selector=f"metadata.name={LEASE}")
        if found is None:
            yield Finding("unknown", "whether an operator is running: you may not read Leases", "ask an administrator")
            return
        leaders = [self._leader(lease) for lease in found.get("items", ())]
        if not leaders:
            pods = "kubectl get pods -A -l app.kubernetes.io/name=podrelay"
            advice = f"install the chart, or find out why its pods do not start: {pods}"
            yield Finding("problem", f"no operator has ever run in this cluster: there is no Lease {LEASE}", advice)
            return
        # An operator for certain namespaces has its own Lease. The runs below show whether one of them serves this one.
        leading = [finding for finding in leaders if finding.verdict == "ok"]
        yield from leading or leaders
        yield from self._deployments()

    def _leader(self, lease: Resource) -> Finding:
        spec, place = lease.get("spec", {}), lease["metadata"]["namespace"]
        holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
        if holder and renewed:
            age = self._clock() - datetime.fromisoformat(renewed)
            if age < timedelta(seconds=spec.get("leaseDurationSeconds", 15)) + _CLOCKS:
                return Finding("ok", f"operator {holder} leads (Lease {place}/{LEASE})")
        seen = f", last renewed at {renewed}" if renewed else ""
        advice = f"check its pods and their logs: kubectl -n {place} get pods -l app.kubernetes.io/component=operator"
        return Finding("problem", f"no operator leads: no replica holds the Lease {place}/{LEASE}{seen}", advice)

    def _deployments(self) -> Iterator[Finding]:
        for operator in operators.deployed(self._client, self._resources) or ():
            name = f"{operator.namespace}/{operator.name}"
            if not operator.watches(self._namespace):
                advice = f"add {self._namespace} to the chart's operator.namespaces"
                yield Finding("problem", f"operator {name} watches only {', '.join(operator.watched)}", advice)
            if operator.version and operator.version != self._version:
                words = f"operator {name} has version {operator.version}, this command has {self._version}"
                yield Finding("ok", words, "docs/compatibility.md says which versions work together")

    # --- the namespace ----------------------------------------------------------------------------------------------

    def _runner(self) -> Iterator[Finding]:
        account = self._ask(self._core.read_namespaced_service_account, name=RUNNER, namespace=self._namespace)
        bindings = self._ask(self._roles.list_namespaced_role_binding, namespace=self._namespace)
        advice = f"podrelay namespace prepare {self._namespace}"
        if account is None:
            what = f"whether namespace {self._namespace} has a service account {RUNNER}: you may not read it"
            yield Finding("unknown", what, advice)
        elif not account:
            yield Finding("problem", f"namespace {self._namespace} has no service account {RUNNER}", advice)
        else:
            yield Finding("ok", f"namespace {self._namespace} has the service account {RUNNER}")
        if bindings is None:
            yield Finding("unknown", f"whether {RUNNER} has its rights: you may not read RoleBindings", advice)
        elif not any(map(_binds_runner, bindings.get("items", ()))):
            yield Finding(
                "problem", f"no RoleBinding gives {RUNNER} the ClusterRole {RUNNER} in {self._namespace}", advice
            )
        else:
            yield Finding("ok", f"{RUNNER} has its rights")

    def _definitions(self) -> Iterator[Finding]:
        found = self._resources.items(Query(names.TASK_DEFINITIONS, self._namespace))
        if not found:
            advice = "podrelay manifests MODULE --image IMAGE | kubectl apply -f -"
            yield Finding("problem", f"namespace {self._namespace} has no TaskDefinition", advice)
        for definition in found:
            name = definition["metadata"]["name"]
            ready = next((c for c in definition.get("status", {}).get("conditions", []) if c["type"] == "Ready"), None)
            if ready is None:
                if self._is_old(definition):
                    yield Finding("problem", f"no operator has seen TaskDefinition {name}", _UNSEEN)
            elif ready["status"] == "False":
                words = f"TaskDefinition {name} is not ready, {ready['reason']}: {ready['message']}"
                yield Finding("problem", words, "docs/troubleshooting.md explains the reasons of definitions")
            else:
                yield Finding("ok", f"TaskDefinition {name} is ready")

    def _runs(self) -> Iterator[Finding]:
        unseen, stalled, count = [], [], 0
        for run in self._resources.items(Query(names.TASK_RUNS, self._namespace)):
            status, count = run.get("status", {}), count + 1
            if status.get("observedGeneration", -1) < 0 and self._is_old(run):
                unseen.append(run["metadata"]["name"])
            elif _is_stalled(status):
                stalled.append(f"{run['metadata']['name']} ({status.get('reason')}: {status.get('message')})")
        if unseen:
            yield Finding("problem", f"no operator has seen {_some(unseen)}", _UNSEEN)
        if stalled:
            yield Finding(
                "problem", f"no pod can start for {_some(stalled)}", "docs/troubleshooting.md explains the reasons"
            )
        if count and not unseen and not stalled:
            yield Finding("ok", f"none of the {count} runs is stalled")

    def _rights(self) -> Iterator[Finding]:
        for verb, resource, group, what in _RIGHTS:
            if not self._resources.may(verb, resource, self._namespace, group):
                role = "--clusterrole=podrelay-user --user=YOU"
                advice = f"kubectl create rolebinding podrelay-user -n {self._namespace} {role}"
                yield Finding("problem", f"you may not {what} in {self._namespace} ({verb} {resource})", advice)

    def _is_old(self, resource: Resource) -> bool:
        return self._clock() - datetime.fromisoformat(resource["metadata"]["creationTimestamp"]) > _PATIENCE

    def _ask(self, request: Callable[..., Any], **arguments: Any) -> Resource | None:
        """Return the answer, None if the request is forbidden, or an empty object if there is no such object."""
        try:
            return self._resources.ask(request, **arguments)
        except RequestRefusedError as refused:
            return {} if isinstance(refused, NotFoundError) else None


_UNSEEN: Final = "check above whether an operator leads and watches this namespace; its log has the details"


def _binds_runner(binding: Resource) -> bool:
    subjects = binding.get("subjects") or ()
    has_account = any(subject.get("kind") == "ServiceAccount" and subject.get("name") == RUNNER for subject in subjects)
    return has_account and binding["roleRef"]["name"] == RUNNER


def _is_stalled(status: dict[str, Any]) -> bool:
    if status.get("phase") in FINISHED:
        return False
    return any(item["type"] == "Stalled" and item["status"] == "True" for item in status.get("conditions", []))


def _some(words: list[str], most: int = 3) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
