"""Callers read their own writes, at the same gateway and at another replica, with a real API server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.harness.gateway import Answer, GatewayProcess, GraphQL
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import task_definition
from dev.harness.waiting import eventually
from tests.support.gatewayuser import gateway_user

pytestmark = [pytest.mark.integration, pytest.mark.also_on_dev]

ROUNDS = 50
"""Without this guarantee, 3 to 7 of 100 reads missed the write."""
TRIGGER = 'triggerTask(definition: "countWords") { data { id } error { code message } }'
GET = "getTask(id: %s) { data { suspended } error { code } }"
LIST = "listTasks { data { id } error { code } }"


@pytest.fixture
def replicas(place: str, kubectl: Kubectl, tmp_path: Path) -> Iterator[tuple[GraphQL, GraphQL]]:
    """Run two gateways of the same cluster; yield the same caller at each of them."""
    assert kubectl.apply(task_definition("count-words"))
    user = gateway_user(place, kubectl)
    with (
        GatewayProcess(kubectl.kubeconfig, tmp_path / "one", user.flags) as one,
        GatewayProcess(kubectl.kubeconfig, tmp_path / "other", user.flags) as other,
    ):
        callers = tuple(gateway.as_token(user.token, kubectl.namespace) for gateway in (one, other))
        for caller in callers:
            eventually("it knows the definition", lambda: caller.inside("listDefinitions { data { id } }"), 30)  # noqa: B023
        yield callers  # type: ignore[misc]


def mutate(caller: GraphQL, fields: str) -> Answer:
    answer = caller.ask(f"mutation {{ backgroundTasks {{ {fields} }} }}")
    assert not answer.refusals, answer.body
    return answer


def read(caller: GraphQL, field: str, after: str | None = None) -> object:
    body = json.dumps({"query": f"{{ backgroundTasks {{ {field} }} }}"}).encode()
    answer = caller.post(body, headers={"X-Podrelay-Read-After": after} if after else {})
    (found,) = answer.data.values()
    assert found["error"] is None, found
    data: object = found["data"]
    return data


def ids(caller: GraphQL, after: str | None = None) -> set[str]:
    data = read(caller, LIST, after)
    assert isinstance(data, list)
    return {task["id"] for task in data}


def test_each_write_is_visible_at_once_at_both(replicas: tuple[GraphQL, GraphQL]) -> None:
    one, other = replicas
    for _ in range(ROUNDS):
        triggered = mutate(one, TRIGGER)
        ident = triggered.data["triggerTask"]["data"]["id"]
        assert ident in ids(one)
        assert ident in ids(other, triggered.body["extensions"]["readAfter"])

        suspended = mutate(one, f'suspendTask(id: "{ident}") {{ error {{ code }} }}')
        assert read(one, GET % json.dumps(ident)) == {"suspended": True}
        after = suspended.body["extensions"]["readAfter"]
        assert read(other, GET % json.dumps(ident), after) == {"suspended": True}

        deleted = mutate(one, f'deleteTask(id: "{ident}") {{ error {{ code }} }}')
        assert ident not in ids(one)
        assert ident not in ids(other, deleted.body["extensions"]["readAfter"])
        assert read(one, GET % json.dumps(ident)) is None
