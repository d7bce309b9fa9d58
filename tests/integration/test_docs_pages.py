"""Code blocks of pages that need a cluster have the documented output, in the order of the page."""

from pathlib import Path

import pytest
import yaml

from dev.harness.operator import OperatorProcess
from tests.support import docpages
from tests.support.relay import Relay

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("page", ["code.md", "cli.md"])
def test_the_commands_of_a_page_have_the_documented_output(idle_relay: Relay, tmp_path: Path, page: str) -> None:
    relay, folder = idle_relay, tmp_path / "page"
    folder.mkdir()
    docpages.write_files("code.md", folder)
    relay.define("ImportProducts", "import-products", module=folder / "shop.py", title="Import products")
    settings = yaml.safe_load(relay.kubectl.kubeconfig.read_text())
    settings["contexts"][0]["context"]["namespace"] = relay.kubectl.namespace
    (folder / "kubeconfig").write_text(yaml.safe_dump(settings))

    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        for command in docpages.commands(page):
            docpages.check(command, folder, {"KUBECONFIG": str(folder / "kubeconfig")})


def test_every_program_on_the_page_is_run() -> None:
    run = " ".join(command.line for command in docpages.commands("code.md"))

    assert [name for name, _ in docpages.files("code.md") if name not in run] == ["shop.py"]
