"""Who the caller is, what they may do, the queue of a definition, and the check of an input."""

from typing import Any

from podrelay.gateway.objects import Present
from tests.unit.gateway.builders import definition, run
from tests.unit.gateway.conftest import Gateway

ROOT = "/apis/podrelay.dev/v1alpha1/namespaces/shop"


async def inside(gateway: Gateway, fields: str, token: str = "alice", **headers: str) -> Any:
    """Return the answer for fields inside `backgroundTasks`."""
    response = await gateway.post({"query": f"{{ backgroundTasks {{ {fields} }} }}"}, token, **headers)
    answer = await response.json()
    assert "errors" not in answer, answer
    return answer["data"]["backgroundTasks"]


WHO = "whoAmI { data { identity { id type } namespace permissions { name allowed needs } namespaces } error { code } }"


async def test_a_caller_learns_what_they_may_do(gateway: Gateway) -> None:
    gateway.api.rights["carol"] = {"list taskruns", "patch taskruns", "get pods/log"}
    found = (await inside(gateway, WHO, "carol"))["whoAmI"]["data"]

    assert found["identity"] == {"id": "carol", "type": "user"}
    assert found["namespace"] == "shop"
    assert {one["name"] for one in found["permissions"] if one["allowed"]} == {
        "LIST_TASKS",
        "PATCH_TASKS",
        "GET_POD_LOGS",
    }
    assert {one["name"]: one["needs"] for one in found["permissions"]}["GET_POD_LOGS"] == "get pods/log"
    assert {one["name"]: one["needs"] for one in found["permissions"]}["RUN_DEFINITIONS"] == (
        "run taskdefinitions.podrelay.dev"
    )


async def test_permissions_are_cached_like_every_review(gateway: Gateway) -> None:
    await inside(gateway, WHO)
    before = gateway.api.asked("selfsubjectaccessreviews")
    await inside(gateway, WHO)

    assert gateway.api.asked("selfsubjectaccessreviews") == before


async def test_a_caller_learns_only_of_namespaces_in_which_they_may_list_tasks(gateway: Gateway) -> None:
    for namespace in ("shop", "bank", "attic"):
        gateway.cache.runs.apply(run("words", about={"namespace": namespace}))
    gateway.api.rights_in["carol", "bank"] = {"list taskruns"}
    gateway.api.rights["carol"] = set()

    assert (await inside(gateway, WHO, "carol"))["whoAmI"]["data"]["namespaces"] == ["bank"]
    assert (await inside(gateway, WHO, "bob"))["whoAmI"]["data"]["namespaces"] == []
    assert (await inside(gateway, WHO))["whoAmI"]["data"]["namespaces"] == ["attic", "bank", "shop"]


async def test_permissions_of_another_namespace_can_be_asked(gateway: Gateway) -> None:
    gateway.api.rights["carol"] = set()
    gateway.api.rights_in["carol", "bank"] = {"delete taskruns"}
    fields = 'whoAmI { data { permissions(namespace: "bank") { name allowed } } }'
    found = (await inside(gateway, fields, "carol"))["whoAmI"]["data"]["permissions"]

    assert [one["name"] for one in found if one["allowed"]] == ["DELETE_TASKS"]


async def test_an_invalid_namespace_is_refused(gateway: Gateway) -> None:
    answer = await gateway.ask('{ backgroundTasks { whoAmI { data { permissions(namespace: "No/Pe") { name } } } } }')

    assert answer["errors"][0]["extensions"]["code"] == "BackgroundTasks/ValidationError"


async def test_a_queue_shows_who_has_a_slot_and_who_waits(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition(max_concurrent_runs=1))
    gateway.cache.runs.apply(run("busy", about={"age": 500}, phase="Running", reason="IterationRunning", pod="busy-i1"))
    for number in range(5):
        gateway.cache.runs.apply(run(f"w{number}", about={"age": 100 - number}, phase="Pending", reason="Queued"))

    fields = """getQueue(definition: "countWords") { data { definitionId limits { maxConcurrentRuns } active waiting
        activeTasks { id } waitingTasks(limit: 2, offset: 3) { id } } error { code } }"""
    assert (await inside(gateway, fields))["getQueue"]["data"] == {
        "definitionId": "countWords",
        "limits": {"maxConcurrentRuns": 1},
        "active": 1,
        "waiting": 5,
        "activeTasks": [{"id": "busy"}],
        "waitingTasks": [{"id": "w3"}, {"id": "w4"}],
    }
    refused = (await inside(gateway, fields, "bob"))["getQueue"]
    assert (refused["data"], refused["error"]["code"]) == (None, "BackgroundTasks/NotAuthorized")


CHECK = """query($input: JSON, $definition: String = "countWords") { backgroundTasks {
    validateInput(definition: $definition, input: $input) { data { isValid invalidFields problem }
    error { code data } } } }"""


async def checked(gateway: Gateway, token: str = "alice", **variables: Any) -> Any:
    return (await gateway.ask(CHECK, token, **variables))["data"]["backgroundTasks"]["validateInput"]


async def test_an_input_is_checked_without_starting_a_task(gateway: Gateway) -> None:
    schema = {"type": "object", "properties": {"rows": {"type": "integer"}}, "required": ["rows"]}
    gateway.cache.definitions.apply(definition(input_schema=Present()))
    gateway.api.objects[f"{ROOT}/taskdefinitions/count-words"] = {"spec": {"inputSchema": schema}}

    assert (await checked(gateway, input={"rows": 3}))["data"] == {
        "isValid": True,
        "invalidFields": {},
        "problem": None,
    }
    wrong = (await checked(gateway, input={"rows": "x"}))["data"]
    assert (wrong["isValid"], [*wrong["invalidFields"]]) == (False, ["rows"])
    assert (await checked(gateway))["data"]["isValid"] is False
    assert not [path for method, path, _ in gateway.api.seen if method == "POST" and "taskruns" in path]


async def test_an_input_that_no_task_can_have_is_refused(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition())

    assert (await checked(gateway, input=[1]))["error"]["code"] == "BackgroundTasks/ValidationError"
    assert (await checked(gateway, input={}, definition="missing"))["error"]["code"] == "TASK_DEFINITION_ERROR"
    assert (await checked(gateway, "bob", input={}))["error"]["code"] == "BackgroundTasks/NotAuthorized"
