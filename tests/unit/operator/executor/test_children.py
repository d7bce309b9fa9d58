"""Actions of the executor on runs other than the planned one, against the model of the API server."""

from typing import Any

import pytest

from podrelay.kube.errors import ApiError, InvalidError, TransportError
from podrelay.kube.resources import Key, Resource
from podrelay.operator.plan import AbortChild, AdoptRun, ConfirmChildren
from podrelay.operator.view import RunRef
from tests.unit.operator.builders import KEY, NOW
from tests.unit.operator.executor.test_executor import World


class ChildIndex(World):
    """A run with children; patches may be refused."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_refusals: list[Exception] = []
        self.patches = 0
        patch = self.api.patch

        async def patch_or_refuse(resource: Resource, namespace: str, name: str, body: Any, **options: Any) -> bytes:
            self.patches += 1
            if self.patch_refusals:
                raise self.patch_refusals.pop()
            return await patch(resource, namespace, name, body, **options)

        self.api.patch = patch_or_refuse  # type: ignore[method-assign]

    def add_child(self, name: str, *, definition: str = "count-words", owned: bool = True) -> RunRef:
        about = {"name": name} | ({"ownerReferences": [self.owner]} if owned else {})
        child = self.put("taskruns", about, spec={"definition": definition, "parent": KEY.name})
        return RunRef(name, child["metadata"]["uid"])

    def spec(self, name: str) -> dict[str, Any]:
        spec: dict[str, Any] = self.api.read("taskruns", name)["spec"]
        return spec

    def finish(self, name: str) -> None:
        self.api.change("taskruns", name, {"status": {"phase": "Succeeded", "finishedAt": NOW.isoformat()}})

    def to_abort(self) -> list[RunRef]:
        return list(self.view.children.to_abort)

    def abort_child(self, child: RunRef) -> None:
        self.do(AbortChild(child, "enough"))


@pytest.fixture
def world() -> ChildIndex:
    return ChildIndex()


# --- all children are listed ------------------------------------------------------------------------------------------


def test_children_that_were_not_known_are_added(world: ChildIndex) -> None:
    for number in range(1201):
        world.add_child(f"child-{number}", definition="chain" if number else "count-words")
    world.put("taskruns", {"name": "foreign"}, spec={"definition": "chain", "parent": "another"})
    assert world.view.children.unfinished == {}

    world.do(ConfirmChildren("words-i1"))

    assert world.view.children.unfinished == {"chain": 1200, "count-words": 1}
    assert world.view.children.known_since == "words-i1"


def test_a_child_that_cannot_be_decoded_does_not_block_the_run(world: ChildIndex) -> None:
    world.add_child("good")
    world.api.change("taskruns", world.add_child("bad").name, {"spec": {"suspend": "perhaps"}})

    world.do(ConfirmChildren("words-i1"))

    assert world.view.children.unfinished == {"count-words": 1}


def test_a_list_that_fails_confirms_nothing(world: ChildIndex) -> None:
    async def fail(*_: Any, **__: Any) -> bytes:
        raise TransportError("connection refused")

    world.api.request = fail  # type: ignore[method-assign]

    with pytest.raises(TransportError):
        world.do(ConfirmChildren("words-i1"))
    assert world.view.children.known_since is None


# --- children are aborted ---------------------------------------------------------------------------------------------


def test_a_child_is_aborted_with_its_own_children(world: ChildIndex) -> None:
    child = world.add_child("child")
    world.see()

    world.abort_child(child)

    assert world.spec("child")["abort"] == {"message": "enough", "cascade": True}
    assert world.to_abort() == []
    assert world.view.children.unfinished == {"count-words": 1}


def test_a_child_that_has_finished_meanwhile_is_not_aborted(world: ChildIndex) -> None:
    child = world.add_child("child")
    world.see()
    world.finish("child")

    world.abort_child(child)

    assert "abort" not in world.spec("child")
    assert world.view.children.unfinished == {}


def test_a_child_that_was_deleted_meanwhile_is_forgotten(world: ChildIndex) -> None:
    child = world.add_child("child")
    world.see()
    world.api.remove("taskruns", "child")

    world.abort_child(child)

    assert world.to_abort() == []


def test_the_abort_of_a_child_names_the_user(world: ChildIndex) -> None:
    child = world.add_child("child")
    world.see()

    world.do(AbortChild(child, "enough", "alice"))

    assert world.spec("child")["abort"] == {"message": "enough", "cascade": True, "by": "alice"}


def test_another_run_with_the_name_of_the_child_is_not_aborted_instead(world: ChildIndex) -> None:
    child = world.add_child("child")
    world.see()
    world.api.remove("taskruns", "child")
    successor = world.add_child("child")

    world.abort_child(child)

    assert "abort" not in world.spec("child")
    assert world.to_abort() == [successor], "it is aborted next"


@pytest.mark.parametrize(
    "refusal",
    [
        InvalidError(422, "Invalid", "a policy refuses it"),
        ApiError(403, "Forbidden", "a policy refuses it"),
        ApiError(500, "InternalError", "a webhook does not respond"),
    ],
)
def test_a_child_that_cannot_be_aborted_does_not_prevent_the_abort_of_the_run(
    world: ChildIndex, refusal: ApiError, caplog: pytest.LogCaptureFixture
) -> None:
    child = world.add_child("child")
    world.see()
    world.patch_refusals = [refusal]

    world.abort_child(child)

    assert world.to_abort() == []
    assert refusal.message in caplog.text
    world.api.change("taskruns", "child", {"metadata": {"labels": {"fixed": "yes"}}})
    world.see()
    assert world.to_abort() == [child]


@pytest.mark.parametrize(
    "error", [ApiError(429, "TooManyRequests", "busy"), TimeoutError(), TransportError("connection refused")]
)
def test_a_transient_error_is_retried(world: ChildIndex, error: Exception) -> None:
    child = world.add_child("child")
    world.see()
    world.patch_refusals = [error]

    with pytest.raises(type(error)):
        world.abort_child(child)
    assert world.to_abort() == [child]


def test_an_abort_with_cascade_ends_the_run_and_all_its_children(world: ChildIndex) -> None:
    for number in range(120):
        world.add_child(f"child-{number}")
    world.api.change("taskruns", KEY.name, {"spec": {"abort": {"cascade": True}}})
    world.see()

    steps = 0
    while world.status.get("phase") != "Aborted" or world.to_abort():
        world.step()
        steps += 1

    assert steps == 5
    assert all("abort" in world.spec(f"child-{number}") for number in range(120))


# --- adoption ---------------------------------------------------------------------------------------------------------


def adopt(world: ChildIndex, name: str) -> None:
    from podrelay.local.memory_client import run

    key = Key(KEY.namespace, name)
    view = world.store.view(key)
    assert view is not None
    run(world.executor.carry_out(key, view, AdoptRun(RunRef(KEY.name, world.owner["uid"]))))


@pytest.mark.parametrize("others", [[], [{"kind": "ConfigMap", "name": "batch", "uid": "uid-batch"}]])
def test_a_child_gets_its_parent_in_addition_to_its_owners(world: ChildIndex, others: list[dict[str, str]]) -> None:
    world.add_child("child", owned=False)
    if others:
        world.api.change("taskruns", "child", {"metadata": {"ownerReferences": others}})
    world.see()
    assert world.view.children.unadopted == 1

    adopt(world, "child")

    assert world.api.read("taskruns", "child")["metadata"]["ownerReferences"] == [
        *others,
        {"apiVersion": "podrelay.dev/v1alpha1", **world.owner},
    ]
    assert world.view.children.unadopted == 0


def test_a_child_that_has_changed_meanwhile_is_not_adopted(world: ChildIndex) -> None:
    world.add_child("child", owned=False)
    world.see()
    world.finish("child")

    adopt(world, "child")

    assert world.view.children.unfinished == {}
    assert world.view.children.unadopted == 1, "it is planned again"


def test_an_adoption_that_is_refused_permanently_is_reported(world: ChildIndex) -> None:
    world.add_child("child", owned=False)
    world.see()
    world.patch_refusals = [InvalidError(422, "Invalid", "a policy refuses it")]

    with pytest.raises(InvalidError, match="a policy refuses it"):
        adopt(world, "child")
