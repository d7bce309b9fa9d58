"""Events, lists and responses in any order: an object never goes back, and what is deleted stays deleted."""

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from podrelay.kube.resources import Key
from podrelay.operator.cache.collection import Collection
from podrelay.operator.objects.runs import TaskRun
from tests.unit.operator.builders import KEY, task_run

NAMES: Final = ("a", "b")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *["write"] * 4,  # by anybody: creates or changes an object
                *["delete"] * 2,
                *["watch"] * 5,  # the next event
                *["event again"] * 2,
                *["response"] * 4,  # to a write or read of any time until now
                "list",
                "not found",  # a live read
            ]
        ),
        st.sampled_from(NAMES),
        st.integers(0, 30),
    ),
    max_size=60,
)


class World:
    """An API server with its whole past, and a cache of it."""

    def __init__(self) -> None:
        self.version = 1
        self.objects: dict[str, TaskRun] = {}
        self.past: list[TaskRun] = []
        """Each version of each object, in the order of the writes."""
        self.events: list[tuple[str, TaskRun]] = []
        self.seen = 0
        """How many events the watch has delivered."""
        self.gone: set[str] = set()
        """UIDs of objects whose deletion a watch, a list or a live read has shown to the cache."""
        self.restored = 0
        self.removed: list[str] = []
        self.cache: Collection[TaskRun] = Collection(
            lambda run: Key(KEY.namespace, run.metadata.name),
            changed=lambda _key: None,
            removed=lambda _key, run, _is_last_state: self.removed.append(run.metadata.uid),
            restored=self._restored,
        )

    def _restored(self) -> None:
        self.restored += 1

    def play(self, what: str, name: str, number: int) -> None:
        match what:
            case "write":
                self._write(name)
            case "delete" if name in self.objects:
                self.version += 1
                last = self.objects.pop(name)
                final = task_run(name=name, uid=last.metadata.uid, version=self.version)
                self.events.append(("DELETED", final))
            case "watch" if self.seen < len(self.events):
                self._deliver(self.events[self.seen])
                self.seen += 1
            case "event again" if self.seen:
                self._deliver(self.events[number % self.seen])
            case "response" if self.past:
                self.cache.apply(self.past[-1 - number % len(self.past)])
            case "list":
                self._list()
            case "not found" if name not in self.objects:
                for run in self.cache.of(Key(KEY.namespace, name)):
                    self.cache.forget(Key(KEY.namespace, name), name, run.metadata.uid)
                    self.gone.add(run.metadata.uid)

    def _write(self, name: str) -> None:
        self.version += 1
        known = self.objects.get(name)
        uid = known.metadata.uid if known is not None else f"uid-{self.version}"
        self.objects[name] = task_run(name=name, uid=uid, version=self.version)
        self.past.append(self.objects[name])
        self.events.append(("APPLIED", self.objects[name]))

    def _deliver(self, event: tuple[str, TaskRun]) -> None:
        if event[0] == "DELETED":
            self.cache.remove(event[1])
            self.gone.add(event[1].metadata.uid)
        else:
            self.cache.apply(event[1])

    def _list(self) -> None:
        present = list(self.objects.values())
        self.cache.replace(present, str(self.version))
        self.gone |= {run.metadata.uid for run in self.past} - {run.metadata.uid for run in present}
        self.seen = len(self.events)

    def cached(self) -> dict[str, TaskRun]:
        return {name: run for name in NAMES for run in self.cache.of(Key(KEY.namespace, name))}

    def catch_up(self) -> None:
        while self.seen < len(self.events):
            self.play("watch", NAMES[0], 0)


@settings(max_examples=600, deadline=None)
@given(STEPS)
def test_no_object_goes_back_and_none_comes_back(steps: list[tuple[str, str, int]]) -> None:
    world = World()
    for step in steps:
        before = world.cached()
        world.play(*step)
        for name, run in world.cached().items():
            assert run.metadata.uid not in world.gone
            known = before.get(name)
            assert known is None or int(known.metadata.resource_version) <= int(run.metadata.resource_version)

    world.catch_up()

    assert world.cached() == world.objects
    assert len(set(world.removed)) == len(world.removed), "each is reported as removed once"
    assert not world.restored, "the API server has never gone back in time"
