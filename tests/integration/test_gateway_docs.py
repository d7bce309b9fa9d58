"""Run every example of docs/graphql.md, in order, against a real gateway."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationDefinitionNode, OperationType, parse

from dev.harness.gateway import GatewayProcess, GraphQL
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, record, task_definition, task_run
from dev.harness.waiting import eventually
from podrelay.gateway import errors

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[2] / "docs" / "graphql.md"
EXAMPLE = re.compile(r"```graphql\n(.*?)```(?:\n\n```json\n(.*?)```)?", re.DOTALL)


def examples() -> list[tuple[str, dict[str, Any]]]:
    """Return the documents with their variables."""
    text = PAGE.read_text(encoding="utf-8")
    return [(match[1], json.loads(match[2]) if match[2] else {}) for match in EXAMPLE.finditer(text)]


def is_subscription(document: str) -> bool:
    (operation,) = parse(document).definitions
    return isinstance(operation, OperationDefinitionNode) and operation.operation is OperationType.SUBSCRIPTION


def prepared(kubectl: Kubectl) -> None:
    """Create the objects that the page mentions."""
    assert kubectl.apply(task_definition("count-words"), task_definition("import-products"))
    assert kubectl.create(task_run("words"))
    assert kubectl.create(record("words-i1", owner=kubectl.get(TASK_RUNS, "words")))


def exists(user: GraphQL) -> bool:
    found = user.inside('getTask(id: "words") { data { logs { id } } } listDefinitions { data { id } }')
    return bool(
        found["getTask"]["data"] and found["getTask"]["data"]["logs"] and len(found["listDefinitions"]["data"]) == 2
    )


async def test_every_example_works(kubectl: Kubectl, admin: Kubectl, tmp_path: Path) -> None:
    prepared(kubectl)
    done = 0
    with GatewayProcess(admin.kubeconfig, tmp_path / "gateway", ("--auth=none",)) as gateway:
        user = gateway.as_token(None, kubectl.namespace)
        eventually("all is seen", lambda: exists(user))
        # Subscriptions first, because the page deletes their task.
        for document, variables in sorted(examples(), key=lambda example: not is_subscription(example[0])):
            if is_subscription(document):
                async with user.subscribe(document, **variables) as subscription:
                    subscribed = subscription.received[0]
                    assert subscribed["type"] == "connection_ack"
                    await subscription.socket.send_json({"type": "ping"})
                    assert (await subscription.receive())["type"] == "pong", document
            else:
                answer = user.ask(document, **variables)
                for field, value in answer.data.items():
                    assert value.get("error") is None, (field, value)
            done += 1
    assert done >= 8


def test_every_code_is_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.GatewayError) and kind is not errors.GatewayError:
            assert f"`{kind.code}`" in text
