"""examples/kustomizeconfig.yaml: the kustomize in kubectl finds every name in Podrelay's resources."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import task_definition, task_run

pytestmark = pytest.mark.integration

CONFIG = Path(__file__).parents[2] / "examples" / "kustomizeconfig.yaml"
KUSTOMIZATION = """
namePrefix: dev-
configurations: [kustomizeconfig.yaml]
resources: [resources.yaml]
secretGenerator:
  - name: shop
    literals: [password=x]
configMapGenerator:
  - name: rates
    literals: [euro=1]
images:
  - {name: registry.example/shop, newTag: "2"}
patches:
  - target: {kind: TaskDefinition, name: nightly-totals}
    patch: |-
      - {op: replace, path: /spec/id, value: devNightlyTotals}
"""
POD = {
    "serviceAccountName": "shop",
    "containers": [
        {
            "name": "task",
            "image": "registry.example/shop:1",
            "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "password"}}}],
            "envFrom": [{"configMapRef": {"name": "rates"}}, {"secretRef": {"name": "shop"}}],
        }
    ],
    "volumes": [{"name": "v", "secret": {"secretName": "shop"}}],
}


@pytest.fixture
def built(tmp_path: Path, shared: Kubectl) -> dict[str, Any]:
    """The output of kustomize for a definition, a run of it, and its child, by kind and name."""
    triggers = ["nightly-totals", "*"]
    resources = [
        task_definition("nightly-totals", id="nightlyTotals", triggers=triggers, template={"spec": POD}),
        task_run("first", "nightly-totals", secret="shop"),
        task_run("second", "nightly-totals", parent="first"),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "shop"}},
    ]
    shutil.copy(CONFIG, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(KUSTOMIZATION)
    (tmp_path / "resources.yaml").write_text(yaml.safe_dump_all(resources))
    made = subprocess.run(
        ["kubectl", "kustomize", tmp_path], env=shared.env, capture_output=True, text=True, check=True, timeout=60
    )
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in yaml.safe_load_all(made.stdout)}


def test_every_name_follows_its_object(built: dict[str, Any]) -> None:
    secret, config_map = (next(name for name in built if name.startswith(kind)) for kind in ("Secret", "ConfigMap"))
    secret_name, config_name = secret.partition("/")[2], config_map.partition("/")[2]
    definition = built["TaskDefinition/dev-nightly-totals"]["spec"]
    pod = definition["template"]["spec"]
    task = pod["containers"][0]

    assert secret_name.startswith("dev-shop-")
    assert built["TaskRun/dev-first"]["spec"] | {"input": None} == {
        "definition": "dev-nightly-totals",
        "secret": secret_name,
        "input": None,
    }
    assert built["TaskRun/dev-second"]["spec"]["parent"] == "dev-first"
    assert definition["triggers"] == ["dev-nightly-totals", "*"]
    assert task["image"] == "registry.example/shop:2"
    assert task["env"][0]["valueFrom"]["secretKeyRef"]["name"] == secret_name
    assert task["envFrom"] == [{"configMapRef": {"name": config_name}}, {"secretRef": {"name": secret_name}}]
    assert pod["volumes"][0]["secret"]["secretName"] == secret_name
    assert pod["serviceAccountName"] == "dev-shop"


def test_the_api_server_accepts_the_result(built: dict[str, Any], shared: Kubectl) -> None:
    ours = [item for name, item in built.items() if name.startswith("Task")]

    assert len(ours) == 3
    for item in ours:
        result = shared.create(item, flags=("--dry-run=server",))
        assert result, str(result)
