"""Checks that the admission policies that the operator relies on are in force.

A record decides how its run continues, and RBAC cannot restrict which pod may write which record; only the policies of
the chart can. Without them, any task pod could forge the answer of any run in its namespace without being noticed. So
this check runs at the start and once a minute; `problem` goes to readiness, the log and a metric. It never stops the
operator: runs that continue do no harm, and the policies may be about to be installed.
"""

import asyncio
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from podrelay.kube.client import Client
from podrelay.kube.errors import ApiError, NotFoundError, TransportError
from podrelay.kube.resources import Resource
from podrelay.operator.metrics import POLICY_PROBLEMS
from podrelay.operator.rbac import Permission

log = logging.getLogger(__name__)

NAMES: Final = (
    "podrelay-aborts",
    "podrelay-children",
    "podrelay-created-by",
    "podrelay-definitions",
    "podrelay-fence",
    "podrelay-operator",
    "podrelay-overrides",
    "podrelay-overrides-of-schedules",
    "podrelay-parents",
    "podrelay-payloads-of-definitions",
    "podrelay-payloads-of-records",
    "podrelay-payloads-of-runs",
    "podrelay-payloads-of-schedules",
    "podrelay-records",
    "podrelay-runs",
    "podrelay-scheduled-runs",
    "podrelay-schedules",
    "podrelay-secrets",
    "podrelay-secrets-of-schedules",
    "podrelay-signals",
)
"""The names of the ValidatingAdmissionPolicies of the chart, which are also the names of their bindings."""

_WITH_PARAMETERS: Final = frozenset({"podrelay-overrides", "podrelay-overrides-of-schedules"})
"""They apply once for each TaskDefinition of the namespace; the operator checks the same before each pod."""
_GROUP: Final = "admissionregistration.k8s.io"
_POLICIES: Final = Resource(_GROUP, "v1", "validatingadmissionpolicies")
_BINDINGS: Final = Resource(_GROUP, "v1", "validatingadmissionpolicybindings")
PERMISSIONS: Final = (Permission(_GROUP, (_POLICIES.plural, _BINDINGS.plural), ("get",), names=NAMES),)

_PAUSE_SECONDS: Final = 60.0
_PAUSE_AFTER_PROBLEM_SECONDS: Final = 5.0
_NARROWING: Final = ("namespaceSelector", "objectSelector", "excludeResourceRules")
_ADVICE: Final = (
    "install the chart again with the rights to create them, or start the operator with --without-policies if "
    "something else restricts task pods to their own records"
)


class PolicyCheck:
    """Whether the policies are in force.

    Args:
        client: the API server.
        names: the names of the policies and of their bindings.
        pause_seconds: time between two checks while all is well.
        pause_after_problem_seconds: the same after a problem, or while the API server does not answer.

    Attributes:
        problem: what is wrong and what to do; None if all is well, before the first check, and for an operator that
            may not read policies.
    """

    def __init__(
        self,
        client: Client,
        names: Sequence[str] = NAMES,
        *,
        pause_seconds: float = _PAUSE_SECONDS,
        pause_after_problem_seconds: float = _PAUSE_AFTER_PROBLEM_SECONDS,
    ) -> None:
        self._client = client
        self._names = names
        self._pause = pause_seconds
        self._pause_after_problem = pause_after_problem_seconds
        self._is_unknown = False
        self.problem: str | None = None

    async def run(self) -> None:
        """Check again and again until cancelled."""
        while True:
            try:
                await self.check()
            except (ApiError, TransportError, TimeoutError) as error:
                # The last result stays valid: the API server is not reachable, but the policies still exist.
                log.debug("could not check the admission policies: %s", str(error) or type(error).__name__)
                await asyncio.sleep(self._pause_after_problem)
            else:
                await asyncio.sleep(self._pause_after_problem if self.problem else self._pause)

    async def check(self) -> None:
        """Check once, and log a changed result.

        Raises:
            ApiError, TransportError, TimeoutError: the API server has failed; `problem` stays as it was.
        """
        found: list[str] = []
        try:
            for name in self._names:
                policy, binding = await self._get(_POLICIES, name), await self._get(_BINDINGS, name)
                found += [f"{name}: {defect}" for defect in (*of_policy(policy, name), *of_binding(binding, name))]
        except ApiError as error:
            if error.status != 403:
                raise
            self._report_unknown(error)
            return
        self._is_unknown = False
        POLICY_PROBLEMS.set(len(found))
        problem = f"admission policies are not in force ({'; '.join(found)}); {_ADVICE}" if found else None
        if problem != self.problem:
            if problem is not None:
                log.error("%s", problem)
            else:
                log.info("the admission policies are in force")
        self.problem = problem

    def _report_unknown(self, error: ApiError) -> None:
        POLICY_PROBLEMS.set(math.nan)
        self.problem = None
        if not self._is_unknown:
            self._is_unknown = True
            log.warning(
                "cannot check whether the chart's admission policies are in force, without which any task pod can "
                "write the record of any run: %s",
                error.message,
            )

    async def _get(self, resource: Resource, name: str) -> dict[str, Any] | None:
        try:
            body = await self._client.request("GET", resource.path(None, name))
        except NotFoundError:
            return None
        decoded: dict[str, Any] = msgspec.json.decode(body)
        return decoded


def of_policy(policy: dict[str, Any] | None, name: str) -> Iterator[str]:
    """Yield why a ValidatingAdmissionPolicy (None if it does not exist) would not refuse what it must refuse."""
    if policy is None:
        yield "the ValidatingAdmissionPolicy is missing"
        return
    spec = policy.get("spec") or {}
    if spec.get("failurePolicy", "Fail") != "Fail":
        yield f"failurePolicy is {spec['failurePolicy']}, not Fail"
    if not spec.get("validations"):
        yield "the policy has no validations"
    if spec.get("paramKind") and name not in _WITH_PARAMETERS:
        yield "the policy takes parameters"
    yield from _narrowed(spec.get("matchConstraints"), "matchConstraints of the policy")


def of_binding(binding: dict[str, Any] | None, policy: str) -> Iterator[str]:
    """Yield why a ValidatingAdmissionPolicyBinding (None if it does not exist) lets clients bypass the policy."""
    if binding is None:
        yield "the ValidatingAdmissionPolicyBinding is missing"
        return
    spec = binding.get("spec") or {}
    if spec.get("policyName") != policy:
        yield f"the binding is to {spec.get('policyName')}"
    if "Deny" not in (spec.get("validationActions") or ()):
        yield f"the binding has validationActions {spec.get('validationActions')}, without Deny"
    if spec.get("paramRef") and policy not in _WITH_PARAMETERS:
        yield "the binding has a paramRef"
    match = spec.get("matchResources")
    yield from _narrowed(match, "matchResources of the binding")
    if (match or {}).get("resourceRules"):
        yield "matchResources of the binding has resourceRules"


def _narrowed(match: dict[str, Any] | None, where: str) -> Iterator[str]:
    for field in _NARROWING:
        if (match or {}).get(field):
            yield f"{where} has {field}"
