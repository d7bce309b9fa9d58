"""The Helm chart by itself: lint, values, the rendered objects, and that an API server accepts all of them."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from dev.harness.chart import CHART, RELEASE_NAMESPACE, helm, render
from dev.harness.kubectl import Kubectl
from dev.images import push
from podrelay.api import crd
from podrelay.gateway import options
from podrelay.operator.policy_check import NAMES

pytestmark = pytest.mark.integration


def of_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of one kind, by name."""
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def test_lint_reports_nothing() -> None:
    linted = helm("lint", "--strict", str(CHART))
    assert linted.returncode == 0, linted.stdout
    assert "[WARNING]" not in linted.stdout


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"operator.replicas": 3, "operator.namespaces": ["default"], "rbac.aggregate": False, "taskNamespaces": []},
        {
            "gateway.deploy": True,
            "gateway.tls.secretName": "cert",
            "gateway.ingress": {"host": "tasks.example", "className": "nginx", "tlsSecretName": "cert"},
        },
        {
            "gateway.deploy": True,
            "gateway.behindTLSProxy": True,
            "gateway.audience": "podrelay",
            "gateway.impersonate": {"serviceAccountNamespaces": ["default"], "users": ["*"], "groups": ["shop"]},
        },
    ],
    ids=["defaults", "namespaced", "gateway", "audience"],
)
def test_an_api_server_accepts_everything_without_a_warning(admin: Kubectl, installed: None, values: Any) -> None:
    applied = admin.apply(*render(values), flags=("--server-side", "--force-conflicts", "--dry-run=server"))
    assert applied, str(applied)
    assert "Warning" not in applied.stderr


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"podrelay-viewer"}),
        ({"rbac.aggregateToView": False}, set()),
        ({"rbac.aggregate": False}, set()),
    ],
)
def test_view_includes_payloads_unless_disabled(values: Any, expected: set[str]) -> None:
    roles = of_kind(render(values), "ClusterRole")
    label = "rbac.authorization.k8s.io/aggregate-to-view"

    assert {name for name, role in roles.items() if label in role["metadata"]["labels"]} == expected
    assert "podrelay-viewer" in roles


def test_the_crds_are_those_of_the_models_and_are_kept_and_upgraded() -> None:
    crds = of_kind(render(), "CustomResourceDefinition")
    generated = crd.custom_resource_definitions()
    assert len(crds) == len(generated)
    for definition in generated.values():
        rendered = crds[definition["metadata"]["name"]]
        assert rendered["spec"] == definition["spec"]
        assert rendered["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert not (CHART / "crds").exists()
    assert of_kind(render({"crds.install": False}), "CustomResourceDefinition") == {}


def test_an_audience_requires_users_or_groups_to_impersonate() -> None:
    values = ("--set=gateway.deploy=true", "--set=gateway.behindTLSProxy=true", "--set=gateway.audience=podrelay")
    rendered = helm("template", str(CHART), *values)
    assert rendered.returncode != 0
    assert "users or groups that the gateway may impersonate" in rendered.stderr


def test_the_files_of_the_crds_are_current(tmp_path: Path) -> None:
    crd.write([tmp_path])
    for generated in tmp_path.iterdir():
        assert (CHART / "files" / "crds" / generated.name).read_text() == generated.read_text()


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("operator.replica=2", "additional properties 'replica' not allowed"),
        ("operators.replicas=2", "additional properties 'operators' not allowed"),
        ("operator.maxRunningPods=-1", "minimum: got -1, want 0"),
        ("operator.maxRunningPodsPerNamespace=-1", "minimum: got -1, want 0"),
        ("operator.maxDepth=0", "minimum: got 0, want 1"),
        ("operator.replicas=two", "got string, want integer"),
        ("image.digest=sha256:1234", "does not match pattern"),
        ("image.pullPolicy=Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
        ("taskNamespaces={Not_A_Name}", "does not match pattern"),
    ],
)
def test_an_invalid_value_is_rejected(flag: str, words: str) -> None:
    rendered = helm("template", str(CHART), "--set", flag)
    assert rendered.returncode != 0
    assert words in rendered.stderr


GATEWAY = {"gateway.deploy": True, "gateway.behindTLSProxy": True}


def test_the_gateway_is_deployed_only_with_tls_somewhere() -> None:
    assert "podrelay-gateway" not in of_kind(render(), "Deployment")
    refused = helm("template", str(CHART), "--set", "gateway.deploy=true")
    assert refused.returncode != 0
    assert "gateway.tls.secretName" in refused.stderr
    (container,) = pod_of("podrelay-gateway", GATEWAY)["containers"]
    assert "--behind-tls-proxy" in container["args"]
    (container,) = pod_of("podrelay-gateway", {"gateway.deploy": True, "gateway.tls.secretName": "c"})["containers"]
    assert "--tls-cert=/tls/tls.crt" in container["args"]
    assert container["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"


def test_the_gateway_itself_may_only_read_the_objects_in_its_caches() -> None:
    manifests = render(GATEWAY)
    (rule,) = of_kind(manifests, "ClusterRole")["podrelay-gateway"]["rules"]
    assert rule["apiGroups"] == ["podrelay.dev"]
    assert set(rule["verbs"]) == {"get", "list", "watch"}
    assert "podrelay-gateway" in of_kind(manifests, "ClusterRoleBinding")
    namespaced = render(GATEWAY | {"operator.namespaces": ["shop"]})
    assert "podrelay-gateway" not in of_kind(namespaced, "ClusterRoleBinding")
    assert of_kind(namespaced, "RoleBinding")["podrelay-gateway"]["metadata"]["namespace"] == "shop"


def test_the_service_of_the_gateway_may_be_a_load_balancer() -> None:
    annotations = {"cloud.example/internal": "true"}
    values = GATEWAY | {"gateway.service": {"type": "LoadBalancer", "annotations": annotations}}

    service = of_kind(render(values), "Service")["podrelay-gateway"]
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"]["annotations"] == annotations
    assert of_kind(render(GATEWAY), "Service")["podrelay-gateway"]["spec"]["type"] == "ClusterIP"


def test_the_flags_of_the_chart_are_flags_of_the_gateway() -> None:
    values = GATEWAY | {
        "operator.namespaces": ["shop"],
        "operator.defaultTTLDays": 30,
        "gateway.allowOrigins": ["https://a.example"],
        "gateway.graphiql": True,
        "gateway.ingress.host": "tasks.example",
    }
    (container,) = pod_of("podrelay-gateway", values)["containers"]
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)

    arguments = parser.parse_args(container["args"])
    assert (arguments.namespace, arguments.allow_origin, arguments.graphiql) == (["shop"], ["https://a.example"], True)
    assert arguments.default_ttl_days == 30, "the gateway shows the operator's value"
    assert int(arguments.metrics_listen.removeprefix(":")) in [port["containerPort"] for port in container["ports"]]
    assert arguments.dashboard, "it is on by default"
    assert paths(values) == ["/"]
    without = values | {"gateway.dashboard": False}
    assert paths(without) == ["/graphql", "/graphiql"]
    assert paths(without | {"gateway.graphiql": False}) == ["/graphql"]


def paths(values: Any) -> list[str]:
    """Return the paths of the Ingress."""
    (rule,) = of_kind(render(values), "Ingress")["podrelay-gateway"]["spec"]["rules"]
    return [path["path"] for path in rule["http"]["paths"]]


def pod_of(deployment: str, values: Any) -> dict[str, Any]:
    """Return the pod of a Deployment."""
    pod: dict[str, Any] = of_kind(render(values), "Deployment")[deployment]["spec"]["template"]["spec"]
    return pod


def test_the_operator_runs_with_no_privileges() -> None:
    pod = of_kind(render(), "Deployment")["podrelay-operator"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["command"] == ["podrelay", "operator"]
    assert container["args"] == [
        "--listen=:8080",
        "--lease-namespace=$(POD_NAMESPACE)",
        "--default-ttl-days=90",
        "--max-running-pods-per-namespace=500",
        "--max-schedule-starts-per-second=20",
        "--max-depth=10",
    ]
    assert container["image"] == "podrelay:0.1.0"


def test_values_reach_the_operator() -> None:
    values = {
        "image": {"repository": "registry.example/podrelay", "tag": "1.2.3", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "operator.namespaces": ["shop", "blog"],
        "operator.defaultTTLDays": 0,
        "operator.maxRunningPodsPerNamespace": 0,
        "operator.maxScheduleStartsPerSecond": 5,
        "operator.maxDepth": 3,
        "operator.extraArgs": ["--log-level=debug"],
        "operator.extraEnv": [{"name": "A", "value": "b"}],
        "operator.priorityClassName": "system-cluster-critical",
        "operator.nodeSelector": {"kubernetes.io/os": "linux"},
        "operator.tolerations": [{"operator": "Exists"}],
        "operator.affinity": {"nodeAffinity": {}},
        "operator.podLabels": {"team": "words"},
        "operator.podAnnotations": {"prometheus.io/scrape": "true"},
        "operator.resources": {"limits": {"memory": "1Gi"}},
    }
    template = of_kind(render(values), "Deployment")["podrelay-operator"]["spec"]["template"]
    pod, (container,) = template["spec"], template["spec"]["containers"]
    assert container["image"] == "registry.example/podrelay:1.2.3"
    assert container["imagePullPolicy"] == "Always"
    assert container["args"][2:] == [
        "--default-ttl-days=0",
        "--namespace=shop",
        "--namespace=blog",
        "--max-running-pods-per-namespace=0",
        "--max-schedule-starts-per-second=5",
        "--max-depth=3",
        "--log-level=debug",
    ]
    assert container["env"][1:] == [{"name": "A", "value": "b"}]
    assert container["resources"] == {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "1Gi"}}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["tolerations"][0] == {"operator": "Exists"}
    assert pod["affinity"] == {"nodeAffinity": {}}
    assert template["metadata"]["labels"]["team"] == "words"
    assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "true"


def test_a_budget_protects_standbys_and_does_not_block_a_single_operator() -> None:
    assert of_kind(render(), "PodDisruptionBudget") == {}
    assert list(of_kind(render({"operator.replicas": 2}), "PodDisruptionBudget")) == ["podrelay-operator"]


def test_an_operator_leaves_a_lost_node_soon_regardless_of_other_tolerations() -> None:
    for values in ({}, {"operator.tolerations": [{"key": "infra"}]}):
        pod = of_kind(render(values), "Deployment")["podrelay-operator"]["spec"]["template"]["spec"]
        seconds = {item["key"]: item.get("tolerationSeconds") for item in pod["tolerations"]}
        assert seconds["node.kubernetes.io/not-ready"] == seconds["node.kubernetes.io/unreachable"] == 30


def test_standbys_are_spread_across_nodes_during_upgrades_too() -> None:
    deployment = of_kind(render({"operator.replicas": 2}), "Deployment")["podrelay-operator"]["spec"]
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"] == deployment["selector"]
    assert spread["matchLabelKeys"] == ["pod-template-hash"]


def test_an_operator_of_some_namespaces_has_permissions_only_in_these() -> None:
    manifests = render({"operator.namespaces": ["shop", "blog"]})
    assert "podrelay-operator" not in of_kind(manifests, "ClusterRoleBinding")
    bindings = [m for m in manifests if m["kind"] == "RoleBinding" and m["metadata"]["name"] == "podrelay-operator"]
    assert [binding["metadata"]["namespace"] for binding in bindings] == ["shop", "blog"]
    assert {binding["subjects"][0]["namespace"] for binding in bindings} == {RELEASE_NAMESPACE}


def test_an_operator_of_some_namespaces_may_check_the_policies() -> None:
    manifests = render({"operator.namespaces": ["shop"]})
    binding = of_kind(manifests, "ClusterRoleBinding")["podrelay-operator-cluster"]
    (rule, *others) = of_kind(manifests, "ClusterRole")[binding["roleRef"]["name"]]["rules"]
    for item in (rule, *others):
        assert item["apiGroups"] == ["admissionregistration.k8s.io"]
        assert item["verbs"] == ["get"]
        assert item["resourceNames"] == list(NAMES)


def test_an_image_may_be_named_by_its_digest() -> None:
    digest = f"sha256:{'0a' * 32}"
    values = GATEWAY | {"image": {"repository": "registry.example/podrelay", "tag": "1.2.3", "digest": digest}}
    for deployment in ("podrelay-operator", "podrelay-gateway"):
        (container,) = pod_of(deployment, values)["containers"]
        assert container["image"] == f"registry.example/podrelay@{digest}"


def test_task_pods_may_list_runs_unless_disabled() -> None:
    def verbs(values: Any) -> tuple[list[str], list[str]]:
        runs, _, signals = of_kind(render(values), "ClusterRole")["podrelay-runner"]["rules"]
        assert (runs["resources"], signals["resources"]) == (["taskruns"], ["tasksignals"])
        return list(runs["verbs"]), list(signals["verbs"])

    assert verbs({}) == (["get", "list", "watch", "create"], ["get", "list"])
    assert verbs({"runner.listRuns": False}) == (["get", "create"], ["get"])


def test_an_operator_elsewhere_gets_its_identity_but_no_deployment() -> None:
    manifests = render({"operator.deploy": False})
    assert of_kind(manifests, "Deployment") == {}
    assert "podrelay-operator" in of_kind(manifests, "ServiceAccount")


def test_every_task_namespace_gets_a_runner() -> None:
    manifests = render({"taskNamespaces": ["shop", "blog"]})
    runners = [m for m in manifests if m["metadata"]["name"] == "podrelay-runner" and m["kind"] == "RoleBinding"]
    assert [runner["metadata"]["namespace"] for runner in runners] == ["shop", "blog"]
    assert [runner["subjects"][0]["namespace"] for runner in runners] == ["shop", "blog"]


def test_the_flags_printed_by_a_push_install_the_pushed_image() -> None:
    operator = push.Pushed("registry.example:5000/team/podrelay", "1.0", "")
    task = push.Pushed("registry.example:5000/team/podrelay-task", "1.0", "")

    rendered = helm("template", str(CHART), *push.helm_flags([task, operator]).split())
    assert rendered.returncode == 0, rendered.stderr
    assert 'image: "registry.example:5000/team/podrelay:1.0"' in rendered.stdout
    assert push.helm_flags([task]) == ""
