"""Signals in the model: who sends them, what waits for them, and the promise that each is consumed exactly once."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from podrelay.api import names
from podrelay.kube.errors import AlreadyExistsError
from podrelay.kube.resources import TASK_SIGNALS
from podrelay.local.memory_client import run
from tests.support.modelapi import FINISHED
from tests.support.relaymodel import moves
from tests.support.relaymodel.moves import Bytes, History, Move
from tests.support.relaymodel.processes import Process
from tests.support.relaymodel.promises import Promises
from tests.support.relaymodel.search import Played
from tests.support.relaymodel.world import NAMESPACE, World

WAITS: Final[tuple[dict[str, Any], ...]] = (
    {"waitForSignal": {"names": ["go"]}, "waitSeconds": 400},
    {"waitForSignal": {"names": ["go"]}, "waitSeconds": 90},
    {"waitForSignal": {"names": ["go"], "count": 2}, "waitSeconds": 150},
    {"waitForSignal": {"names": ["go", "stop"]}, "waitSeconds": 400},
    {"waitForSignal": {"names": ["go"]}, "waitSeconds": 400, "waitForChildren": {}},
)
ANSWERS: Final = (*({"status": "continue", **wait} for wait in WAITS), *moves.ANSWERS[:4])
KINDS: Final[list[dict[str, Any]]] = [
    {"name": "go", "payloadSchema": {"type": "object", "properties": {"bad": {"const": False}}}},
    {"name": "stop"},
]


class SignalPromises(Promises):
    """Each signal is consumed by exactly one recorded answer, and none is lost."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._looked = 0
        self._uids: dict[str, str] = {}
        """The UID of each TaskSignal by name; of the newest one with that name."""
        self._bad: set[str] = set()
        """UIDs of signals that must be rejected."""
        self.consumers: defaultdict[str, set[str]] = defaultdict(set)
        """The records whose answers name a signal, by UID of the signal."""
        self.delivered = 0

    def look(self) -> None:
        super().look()
        events = self._world.api.events
        for plural, event, obj, _ in events[self._looked :]:
            if plural == names.TASK_SIGNALS:
                self._see_signal(event, obj)
            elif plural == names.TASK_ITERATIONS and event != "DELETED":
                self._see_consumption(obj)
        self._looked = len(events)

    def _see_signal(self, event: str, obj: dict[str, Any]) -> None:
        about, status = obj["metadata"], obj.get("status") or {}
        if event == "ADDED":
            self._uids[about["name"]] = about["uid"]
            if (obj["spec"].get("payload") or {}).get("bad"):
                self._bad.add(about["uid"])
        if status.get("phase") == "Consumed":
            named = self.consumers[about["uid"]]
            if not any(record.rpartition("/")[2] == status["record"] for record in named):
                self._break(
                    f"signal {about['name']} is marked as consumed by {status['record']}, which does not name it"
                )

    def _see_consumption(self, record: dict[str, Any]) -> None:
        for name in (record.get("response") or {}).get("signals", ()):
            uid = self._uids[name]
            consumers = self.consumers[uid]
            consumers.add(f"{record['metadata']['uid']}/{record['metadata']['name']}")
            self.delivered += 1
            if len(consumers) > 1:
                self._break(f"signal {name} was consumed by {sorted(consumers)}")
            if uid in self._bad:
                self._break(f"signal {name} breaks the schema, and was given to {record['metadata']['name']}")

    def _see_wait(self, process: Process, other: Process) -> None:
        """A wait for signals may end early, if there are enough of them, or all children have finished.

        For an iteration that is repeated it has ended, even if a user has deleted the signals since.
        """
        answer, me = other.stored or {}, process.me
        if any((start.run_uid, start.iteration) == (process.run_uid, me.iteration) for start in self.starts[:-1]):
            return
        wanted = answer.get("waitForSignal")
        has_enough = wanted is not None and len(process.me.signals or process.signals) >= wanted.get("count", 1)
        if not has_enough and "waitForChildren" not in answer:
            super()._see_wait(process, other)

    def see_standstill(self) -> None:
        super().see_standstill()
        for waiting in self._world.runs():
            status = waiting.get("status") or {}
            if status.get("reason") != "WaitingForSignal" or waiting["spec"].get("abort") is not None:
                continue
            wanted = status.get("waitingFor")
            if wanted is None:
                continue
            there = [signal for signal in self._pending(waiting) if signal["spec"]["signal"] in wanted["signals"]]
            if len(there) >= wanted["count"]:
                self._break(
                    f"{waiting['metadata']['name']} waits although {[s['metadata']['name'] for s in there]} wait"
                )

    def see_the_end(self, writes: int) -> None:
        super().see_the_end(writes)
        for ended in self._world.runs():
            if (ended.get("status") or {}).get("phase") in FINISHED and "deletionTimestamp" not in ended["metadata"]:
                for signal in self._pending(ended):
                    self._break(f"signal {signal['metadata']['name']} is still pending, although its run has finished")

    def _pending(self, owner: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the valid pending signals of a run."""
        return [
            signal
            for signal in self._world.api.find(names.TASK_SIGNALS)
            if signal["spec"]["taskRun"] == owner["metadata"]["name"]
            and signal["status"]["phase"] == "Pending"
            and all(reference["uid"] == owner["metadata"]["uid"] for reference in _owners(signal))
            and signal["metadata"]["uid"] not in self._bad
        ]


def _owners(signal: dict[str, Any]) -> list[dict[str, Any]]:
    owners: list[dict[str, Any]] = signal["metadata"].get("ownerReferences") or []
    return owners


class SignalHistory(History):
    """A history in which runs wait for signals."""

    def _quiet(self) -> Iterator[Move]:
        yield from super()._quiet()
        yield 10, self._send
        yield 4, self._judge
        if "withdrawals" in self.troubles:
            yield 2, self._withdraw

    def _of_trouble(self, trouble: str) -> Iterator[Move]:
        if trouble != "withdrawals":
            yield from super()._of_trouble(trouble)

    def _send(self, how: int) -> None:
        """Send a signal to a run, which may not exist; of few names, so that some are sent twice."""
        send(self.world, self._run(how), f"s{how // 2 % 16}", "stop" if how % 8 == 7 else "go", bad=how % 16 == 5)

    def _judge(self, how: int) -> None:
        self._operator(how).judge()

    def _withdraw(self, how: int) -> None:
        found = self.world.api.find(names.TASK_SIGNALS)
        if found:
            self.world.api.remove(names.TASK_SIGNALS, found[how % len(found)]["metadata"]["name"])

    def _lag(self, how: int) -> None:
        self.lagging = [None, "pods", "taskiterations", "taskruns", "tasksignals", "tasksignals"][how % 6]

    def _answer(self, how: int) -> None:
        process = self.one(how // 32, lambda p: p.runs_user_code and not p.is_stuck)
        if process is not None:
            process.leaves_threads = how % 64 >= 32
            self.world.answer(process.uid, ANSWERS[how % 16 % len(ANSWERS)], loses_reply=how % 32 >= 24)


def send(world: World, task_run: str, name: str, signal: str = "go", *, bad: bool = False) -> None:
    """Send a signal; without effect if there is one of this name."""
    spec = {"taskRun": task_run, "signal": signal, "payload": {"bad": bad}}
    try:
        run(world.api.create(TASK_SIGNALS, NAMESPACE, {"metadata": {"name": name}, "spec": spec}))
    except AlreadyExistsError:
        return


def begin(choices: Bytes) -> SignalHistory:
    """Create a world with signals."""
    withdraws, has_schema, many = (choices.next() % 4 == 0, choices.next() % 2 == 0, 5 + choices.next() % 4)
    history = moves.begin(choices)
    world = history.world
    # A run of these histories continues more often than it fails.
    world.change_definition(maxIterations=many, **({"signals": KINDS} if has_schema else {}))
    for operator in world.operators:
        operator.see_all()
    world.has_changed_definition = False
    world.promises = SignalPromises(world)
    troubles = history.troubles | ({"withdrawals"} if withdraws else set())
    return SignalHistory(world, troubles, history.theme)


def play(data: bytes) -> tuple[Played, int]:
    """Play a history to its end, or until a promise is broken; also return how many signals were consumed."""
    choices = Bytes(data)
    history = begin(choices)
    world = history.world
    if not isinstance(world.promises, SignalPromises):
        raise TypeError
    if "signals" not in world.spec:
        world.promises._bad = _Nothing()
    while choices and not world.violations:
        history.play(choices)
    if not world.violations:
        world.settle({"status": "done"})
    statuses = [item.get("status", {}) for item in world.runs()]
    ends = [f"{status.get('phase')} {status.get('reason')}" for status in statuses]
    return Played(history.log, world.violations, ends), world.promises.delivered


class _Nothing(set[str]):
    """Without schemas, no signal is bad."""

    def add(self, _item: str) -> None:
        pass
