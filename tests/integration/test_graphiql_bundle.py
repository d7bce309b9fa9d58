"""GraphiQL, built from npm packages and served by a real gateway."""

import re
import urllib.request
from pathlib import Path

import pytest

from dev.cluster.paths import which
from dev.harness.gateway import GatewayProcess
from dev.harness.kubectl import Kubectl
from dev.pages import build

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not which("npm"), reason="npm is not installed, which GraphiQL needs"),
]


def test_the_page_its_script_its_workers_and_their_licences_are_served(
    admin: Kubectl, installed: None, tmp_path: Path
) -> None:
    build.ensure(build.GRAPHIQL)
    with GatewayProcess(admin.kubeconfig, tmp_path / "gateway", ("--auth=none", "--graphiql")) as gateway:

        def get(path: str) -> str:
            with urllib.request.urlopen(f"http://{gateway.address}/{path}") as response:
                assert response.status == 200
                text: str = response.read().decode()
                return text

        (folder,) = set(re.findall(r"graphiql/[0-9a-f]{16}", get("graphiql")))
        main = get(f"{folder}/main.js")
        styles = get(f"{folder}/main.css")
        for name in build.GRAPHIQL.entries.keys() - {"main"}:
            assert len(get(f"{folder}/{name}.js")) > 10_000
        licences = get(f"{folder}/{build.LICENCES}")

    assert ".worker.js" in main
    assert "import.meta.url" in main
    for name in re.findall(r"url\(\"?\./([^\")]+)", styles):
        assert (build.GRAPHIQL.place / Path(folder).name / name).exists()
    assert {"graphiql", "react", "monaco-editor", "graphql-ws"} <= {
        line.split()[0] for line in licences.splitlines() if re.fullmatch(r"\S+ \d+\.\d+\.\d+", line)
    }
