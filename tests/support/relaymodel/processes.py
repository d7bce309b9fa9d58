"""Containers of pods, with the real fence, record and hooks of the runner.

The container of a pod that answers by termination message runs user code at once, without any requests.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from podrelay.api import names
from podrelay.local import rest
from podrelay.runner import environment, fence, hooks
from podrelay.runner.environment import Environment
from podrelay.runner.record import Record
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError, SupersededError
from tests.support.modelapi import ModelApi

TOKEN_SECONDS: Final = 10
"""How long the token of a pod stays valid after the pod is gone: the API server caches token reviews."""
MOST_CONFLICTS: Final = 100
"""More conflicts than all writers of a history can cause."""
DELETED_TOKEN_SECONDS: Final = 60 + TOKEN_SECONDS
"""How long it stays valid after the deletion timestamp of a pod that a foreign finalizer keeps: a minute's leeway, see
pkg/serviceaccount/claims.go of Kubernetes 1.35."""


class _PodClient:
    """The connection of a pod to the API server; has the methods of `podrelay.runner.api_client.ApiClient`."""

    def __init__(self, api: ModelApi, is_cut_off: Callable[[], bool]) -> None:
        self._api = api
        self._is_cut_off = is_cut_off
        self.loses_next_answer = False
        """The next write takes effect, and is sent again because its response is lost."""
        self.has_paused = False
        self._conflicts = 0

    def read(
        self, _namespace: str, plural: str, name: str, _deadline: object, _patience: float = 0.0
    ) -> dict[str, Any] | None:
        self._reach()
        found = self._api.objects.get((plural, name))
        return json.loads(json.dumps(found)) if found is not None else None

    def request(
        self, method: str, url: str, body: dict[str, Any] | None, _deadline: object, _patience: float = 0.0
    ) -> tuple[int, dict[str, Any]]:
        self._reach()
        if self.loses_next_answer:
            self.loses_next_answer = False
            self._send(method, url, body)
        return self._send(method, url, body)

    def pause(self, _seconds: float, _deadline: object) -> bool:
        self.has_paused = True
        return False

    def wait_after_conflict(self, answer: dict[str, Any], _deadline: object) -> None:
        self._conflicts += 1
        if self._conflicts > MOST_CONFLICTS:
            raise RuntimeError(f"the runner repeats a request that is refused each time: {answer.get('message')}")

    def another(self) -> "_PodClient":
        return self

    def _reach(self) -> None:
        if self._is_cut_off():
            raise ApiUnreachableError("no answer")

    def _send(self, method: str, url: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        answer = rest.answer(self._api.server, method, url, body)
        return answer.status, json.loads(json.dumps(answer.body))


@dataclass
class Process:
    """The container of one pod.

    Attributes:
        has_begun: the runner has checked that it may run, and does.
        runs_user_code: the task's run() is being called.
        calls: the hook that is being called.
        answered: the answer of the task, None before; it may never have been stored.
        stored: the answer that is known to be stored, in its record or as its message.
        was_asked_to_end: its pod had been deleted, or had got a deadline, before the container ended.
        is_orphan: its pod was deleted by force: the only exception of "never two at once".
        stopping_since: when it was asked to end.
        leaves_threads: code of the task continues to run after its answer, until the container ends.
        is_stuck: the task never answers, and sends no heartbeat, until its container is killed.
        message: its termination message.
    """

    pod: str
    uid: str
    run: str
    run_uid: str
    node: str
    me: Environment
    by_message: bool
    record: Record
    client: _PodClient
    input: dict[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    alive_at: datetime | None = None
    has_looked: bool = False
    has_begun: bool = False
    runs_user_code: bool = False
    calls: str | None = None
    answered: dict[str, Any] | None = None
    answered_at: datetime | None = None
    stored: dict[str, Any] | None = None
    waits_for_end: bool = False
    has_ended: bool = False
    ended_at: datetime | None = None
    exit_code: int | None = None
    was_asked_to_end: bool = False
    is_orphan: bool = False
    stopping_since: datetime | None = None
    is_stuck: bool = False
    leaves_threads: bool = False
    message: str = ""
    signals: tuple[str, ...] = ()
    """Names of the TaskSignals that it was given, and could read."""
    hooks_called: list[str] = field(default_factory=list)

    @property
    def is_busy(self) -> bool:
        """Whether code of the task's author is running."""
        return self.runs_user_code or self.calls is not None

    @property
    def runs_code(self) -> bool:
        """Whether code of the task's author is running, or threads of it after its answer."""
        is_left = self.answered is not None and self.leaves_threads and not self.has_ended
        return self.is_busy or is_left

    @property
    def waits_for_release(self) -> bool:
        """Whether it was created ahead, and does not know that it may run the task."""
        return bool(self.me.after) and not self.has_looked and not self.has_ended

    @property
    def only_hooks(self) -> tuple[str, ...]:
        return self.me.only_hooks

    # --- the runner ---------------------------------------------------------------------------------------------------

    def look(self) -> bool:
        """Check whether this pod is the one that is due, as the runner does first; return whether it may still be.

        A pod that was created ahead looks again, until it is released.
        """
        if self.by_message:
            self.has_looked = True
            return True
        try:
            run_object = self.client.read(self.me.namespace, names.TASK_RUNS, self.me.run, None)
            self.input = ((run_object or {}).get("spec") or {}).get("input") or {}
            record = self.client.read(self.me.namespace, names.TASK_ITERATIONS, self.me.pod_name, None)
        except ApiUnreachableError:
            return False
        decide = hooks.superseded if self.only_hooks else fence.superseded
        if decide(run_object, record, self.me) is not None or run_object is None:
            return False
        self.has_looked = fence.is_released(run_object, self.me)
        if self.me.after and self.has_looked:
            self.me = self.me._replace(state=run_object["status"].get("lastRecord") or "")
        return True

    def begin(self, input: dict[str, Any]) -> bool:
        """Claim the record, load the state, and run user code; return whether that succeeded."""
        if not self.by_message:
            try:
                self.record.claim(lambda: 0.0)
            except (SupersededError, ApiRefusedError, ApiUnreachableError):
                return False
            self.signals = tuple(name for name in self.me.signals if self._can_read(name))
        self.has_begun = True
        self.input = input
        self.runs_user_code = not self.only_hooks
        return True

    def _can_read(self, signal: str) -> bool:
        try:
            return self.client.read(self.me.namespace, names.TASK_SIGNALS, signal, None) is not None
        except ApiUnreachableError:
            return False

    def load_state(self) -> dict[str, Any] | None:
        """Return the input in the state; None if the state does not exist."""
        name = self.me.checkpoint or self.me.state
        if not name:
            return None
        try:
            stored = self.client.read(self.me.namespace, names.TASK_ITERATIONS, name, None) or {}
        except ApiUnreachableError:
            return None
        state = stored.get("checkpoint" if self.me.checkpoint else "response") or {}
        return state.get("input")

    def beat(self, now: datetime) -> None:
        """Send a heartbeat."""
        if self.by_message or not self.runs_user_code:
            return
        self.record.heartbeat()
        try:
            self.record.flush(lambda: 0.0)
        except (SupersededError, ApiRefusedError, ApiUnreachableError):
            return
        self.alive_at = now

    def checkpoint(self, input: dict[str, Any]) -> bool:
        """Store a checkpoint; return whether it is stored."""
        self.input = input
        try:
            self.record.checkpoint({"input": input}, lambda: 0.0)
        except (SupersededError, ApiRefusedError, ApiUnreachableError):
            return False
        return True

    def answer(self, response: dict[str, Any]) -> None:
        """End user code with an answer, and store it if that is still possible."""
        self.runs_user_code = False
        self.answered = response
        if self.by_message:
            self.message = json.dumps(response)
            return
        if self.signals and response["status"] != "error":
            response = self.answered = {**response, "signals": list(self.signals)}
        self.record.is_quiet = not self.leaves_threads
        try:
            self.record.answer(dict(response), lambda: 0.0)
        except (SupersededError, ApiRefusedError):
            return
        except ApiUnreachableError:
            self.message = json.dumps({"response": response}, separators=(",", ":"))
            return
        self.stored = response
        self.waits_for_end = hooks.may_follow(response, self.me, is_aborted=self.stopping_since is not None)

    def hook_to_call(self) -> str | None:
        """Return the hook to call next; `waits_for_end` says whether one may follow later."""
        if self.only_hooks:
            left = [hook for hook in self.only_hooks if hook not in self.hooks_called]
            return left[0] if left and self.has_begun else None
        if not self.waits_for_end:
            return None
        self.client.has_paused = False
        try:
            ended = hooks.ended(self.client, self.me, lambda: 0.0)  # type: ignore[arg-type]
        except (ApiRefusedError, ApiUnreachableError):
            ended = None
        if ended is None:
            self.waits_for_end = self.client.has_paused
            return None
        due = hooks.due(ended, self.me.hooks, self.me.operator_protocol)
        left = [hook for hook in due if hook not in self.hooks_called]
        self.waits_for_end = bool(left)
        return left[0] if left else None

    def store_outcome(self, hook: str) -> bool:
        """Store the outcome of a hook; return whether that succeeded."""
        self.hooks_called.append(hook)
        try:
            self.record.add_hook({"name": hook, "outcome": "Succeeded"}, lambda: 0.0)
        except (SupersededError, ApiRefusedError, ApiUnreachableError):
            return False
        return True


def start(
    api: ModelApi, pod: dict[str, Any], node: str, node_clock: Callable[[], datetime], is_cut_off: Any
) -> Process:
    """Return the container of `pod`, started on `node`."""
    metadata, spec = pod["metadata"], pod["spec"]
    uid = metadata["uid"]
    variables = {item["name"]: item.get("value", "") for item in spec["containers"][0]["env"]}
    variables |= {names.ENV_POD_UID: uid, names.ENV_NODE_NAME: node}
    by_message = names.ENV_INPUT in variables
    given = json.loads(variables.pop(names.ENV_SIGNALS, "[]").replace("$$", "$")) if by_message else []
    me = environment.read(variables)
    process: list[Process] = []
    client = _PodClient(api, lambda: is_cut_off(process[0]))

    def now() -> str:
        return node_clock().isoformat()

    owner = metadata["ownerReferences"][0]
    process.append(
        Process(
            pod=metadata["name"],
            uid=uid,
            run=owner["name"],
            run_uid=owner["uid"],
            node=node,
            me=me,
            by_message=by_message,
            record=Record(client, me, now),  # type: ignore[arg-type]
            client=client,
            input=json.loads(variables[names.ENV_INPUT].replace("$$", "$")) if by_message else {},
            started_at=api.now,
            signals=tuple(signal["name"] for signal in given),
        )
    )
    return process[0]


def has_token(api: ModelApi, process: Process) -> bool:
    """Whether the API server still accepts the token of the pod."""
    removed_at = api.removed_at.get(process.uid)
    if removed_at is not None:
        deleted_at = api.deleted_at.get(process.uid, removed_at)
        return api.now <= min(
            removed_at + timedelta(seconds=TOKEN_SECONDS), deleted_at + timedelta(seconds=DELETED_TOKEN_SECONDS)
        )
    metadata = api.read("pods", process.pod)["metadata"]
    if "deletionTimestamp" not in metadata:
        return True
    deleted = datetime.fromisoformat(metadata["deletionTimestamp"])
    return api.now <= deleted + timedelta(seconds=DELETED_TOKEN_SECONDS)
