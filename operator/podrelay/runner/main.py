"""`podrelay-runner MODULE:CLASS`: runs one iteration of a task in this pod and ends with its exit code.

Exit codes: 0 after done, continue and aborted; 1 after an error, or when the answer could not be stored; 75 when this
pod is not the one that is due; 76 when its operator is of a version that this runner does not work with.
"""

import contextlib
import copy
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from podrelay.api import limits, names, protocol
from podrelay.api.errors import PodrelayError
from podrelay.api.hooks import ON_BEFORE_TRIGGER
from podrelay.runner import environment, fence, hooks, threads
from podrelay.runner.answering import answer_of, answer_of_exception, response_of
from podrelay.runner.api_client import ApiClient
from podrelay.runner.console import Console
from podrelay.runner.environment import Environment, NotInAPodError, UnsupportedOperatorError
from podrelay.runner.record import Record, ResponseLostError, now
from podrelay.runner.session import PodSession
from podrelay.runner.signals import QUESTION_SECONDS, Interruption
from podrelay.sdk import loading, validation
from podrelay.sdk.answers import Answer, Failed
from podrelay.sdk.calling import call
from podrelay.sdk.controller import Controller
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError, InputError, SupersededError
from podrelay.sdk.task import TriggerData

_ADVICE: Final = {
    401: "The API server does not accept this pod's token; it ends when the pod is deleted",
    403: "The service account of this pod needs the ClusterRole podrelay-runner in namespace {namespace}; "
    "podrelay namespace prepare {namespace}, or the chart's taskNamespaces, binds it",
}

Reference = str | type[TaskDefinition]
"""Which task: MODULE:CLASS, or the class itself."""

ENV_TERMINATION_MESSAGE_PATH: Final = "PODRELAY_TERMINATION_MESSAGE_PATH"


class StateLostError(PodrelayError):
    """The record that carries the state is gone."""

    reason = "StateLost"


def main(run_in_pod: Callable[[str, float], int] | None = None) -> None:
    """Run the iteration that the environment describes, then end the process.

    Args:
        run_in_pod: takes MODULE:CLASS and the time when the process began, returns the exit code; default: `run`.
    """
    # The CPU time used so far is the least that has passed since the process began.
    started_at = time.monotonic() - time.process_time()
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: podrelay-runner MODULE:CLASS   (inside a pod of a TaskRun)", file=sys.stderr)
        sys.exit(2)
    run_in_pod = run_in_pod or (lambda reference, began: run(reference, os.environ, began, after_task=tell_of_threads))
    code = 1
    try:
        code = run_in_pod(sys.argv[1], started_at)
    except BaseException as error:  # noqa: BLE001 - a fault of our own must end the pod, too
        _explain(os.environ, f"internal error: {answer_of_exception(error).message}")
    finally:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Threads of the task, or a library's exit handlers, must not hold a pod whose answer is stored.
        os._exit(code)


def tell_of_threads() -> None:
    """Say which threads of the task this process is going to end: nobody else would."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        for thread in threads.at_work():
            print(
                f"podrelay-runner: run() has ended, but thread {thread} still works, and is ended with this pod; let "
                "run() wait for it, by join() or by shutdown() of its executor",
                file=sys.stderr,
            )


def run(
    reference: Reference,
    variables: Mapping[str, str],
    started_at: float,
    clock: Callable[[], float] = time.monotonic,
    client: ApiClient | None = None,
    *,
    now: Callable[[], str] = now,
    listen: Callable[[Interruption], None] = Interruption.install,
    session_type: Callable[..., PodSession] = PodSession,
    after_task: Callable[[], None] = lambda: None,
) -> int:
    """Run one iteration of a task and return the exit code.

    Args:
        reference: which task.
        variables: the environment of the pod.
        started_at: when the process began, by `clock`.
        clock: seconds, never going back.
        client: the API server; default: the one that the kubelet tells of.
        now: the time that is written into the record.
        listen: makes the interruption hear of SIGTERM; default: by a signal handler of this process.
        session_type: makes what stands behind the controller; takes what PodSession takes.
        after_task: called when run() has returned, before its answer is stored.
    """
    try:
        me = environment.read(variables)
    except NotInAPodError as error:
        print(f"podrelay-runner: {error}", file=sys.stderr)
        return 2
    except UnsupportedOperatorError as error:
        _explain(variables, protocol.farewell(str(error)))
        return protocol.EXIT_UNSUPPORTED
    client = client or ApiClient.from_environment(variables)
    console = Console() if me.record_logs else None
    record = Record(client, me, now, console)
    interruption = _interruption(client.another(), me, clock)
    listen(interruption)
    try:
        # All that comes before user code has the time of an iteration; the operator's pending timeout is over by now.
        session = _begin(client, record, me, interruption, started_at, clock, session_type)
    except SupersededError as error:
        print(f"podrelay-runner: not running: {error}", file=sys.stderr)
        return names.EXIT_SUPERSEDED
    except (ApiRefusedError, ApiUnreachableError) as error:
        _explain(variables, _advice(error, me))
        return 1
    with console.listening() if console is not None else contextlib.nullcontext():
        if me.only_hooks:
            return _call_only_hooks(reference, client, me, session)
        return _run_task(reference, variables, client, me, session, after_task)


def _run_task(
    reference: Reference,
    variables: Mapping[str, str],
    client: ApiClient,
    me: Environment,
    session: PodSession,
    after_task: Callable[[], None],
) -> int:
    definition, answer = _work(reference, client, me, session)
    after_task()
    response = response_of(answer, session.input, session.output, session.rules)
    code, is_stored = _deliver(session, response, variables)
    if is_stored and definition is not None and hooks.may_follow(response, me, is_aborted=session.is_aborted()):
        session.output = response.get("output")
        _call_hooks_of_the_end(definition, client, me, session, response)
    return code


def _interruption(client: ApiClient, me: Environment, clock: Callable[[], float]) -> Interruption:
    def ask() -> dict[str, Any] | None:
        until = clock() + QUESTION_SECONDS
        return client.read(me.namespace, names.TASK_RUNS, me.run, lambda: until)

    return Interruption(ask, me.run_uid, me.grace_period, clock)


def _begin(
    client: ApiClient,
    record: Record,
    me: Environment,
    interruption: Interruption,
    started_at: float,
    clock: Callable[[], float],
    session_type: Callable[..., PodSession],
) -> PodSession:
    def deadline() -> float:
        return started_at + me.iteration_timeout

    run_object = client.read(me.namespace, names.TASK_RUNS, me.run, deadline)
    own_record = client.read(me.namespace, names.TASK_ITERATIONS, me.pod_name, deadline)
    look = hooks.superseded if me.only_hooks else fence.superseded
    reason = look(run_object, own_record, me)
    if reason is not None or run_object is None:
        raise SupersededError(reason or "")
    record.claim(deadline)
    # The state is loaded after the claim: what is wrong with it is then an answer, not a crash.
    return session_type(me, run_object, record, client, interruption, started_at, clock)


def _work(
    reference: Reference, client: ApiClient, me: Environment, session: PodSession
) -> tuple[TaskDefinition | None, Answer]:
    definition: TaskDefinition | None = None
    try:
        _load_state(client, me, session)
        definition = _task(reference, me)
        for method in hooks.undeclared(definition, me):
            print(
                f"podrelay-runner: {method} is never called, spec.hooks of TaskDefinition {me.definition} lacks it; "
                "apply what podrelay manifests prints",
                file=sys.stderr,
            )
        session.rules = validation.rules_of(definition)
        try:
            session.input = session.rules.check(session.input)
        except InputError as error:
            return definition, _invalid(error, me)
        # Copies: what the task does to them is not the state until the task says so.
        refused = _refused(definition, session.rules.typed(copy.deepcopy(session.input)), me, session)
        if refused is not None:
            return definition, refused
        task_input = session.rules.typed(copy.deepcopy(session.input))
        controller = Controller(session)
        returned = call(definition.run, task_input, controller)
        return definition, answer_of(returned, controller.response._built.values())
    except StateLostError as error:
        return definition, Failed(str(error), error.reason)
    except BaseException as error:  # noqa: BLE001 - whatever leaves user code is its answer
        return definition, answer_of_exception(error)


def _refused(definition: TaskDefinition, task_input: Any, me: Environment, session: PodSession) -> Answer | None:
    """Ask on_before_trigger, where it has not been asked before, and return what it refuses the run with."""
    if ON_BEFORE_TRIGGER not in me.hooks:
        return None
    task = session.task
    data = TriggerData(task.definition, task.name, task_input, task.parent, task.id)
    outcome, answer = hooks.ask_before(definition, data)
    session.store_hook(outcome)  # before run() is called: whoever tries again must not ask again
    return answer


def _invalid(error: InputError, me: Environment) -> Failed:
    """Return the answer for an input that breaks the rules: it will not get better by another try."""
    is_the_run_s_own = me.iteration == 1 and not me.checkpoint
    refusal = "InvalidInput" if is_the_run_s_own else None
    return Failed(str(error), error.reason, error.data, retryable=False, refusal=refusal)


def _task(reference: Reference, me: Environment) -> TaskDefinition:
    return (loading.load_definition(reference, me.definition) if isinstance(reference, str) else reference)()


def _load_state(client: ApiClient, me: Environment, session: PodSession) -> None:
    name = me.checkpoint or me.state
    if not name:
        return
    # A missing right is waited for to the end: without it no answer could be stored either.
    stored = client.read(me.namespace, names.TASK_ITERATIONS, name, session.deadline, math.inf)
    state = (stored or {}).get("checkpoint" if me.checkpoint else "response")
    if stored is None or state is None or state.get("input") is None:
        problem = "is gone" if stored is None else "does not hold it any more"
        raise StateLostError(f"the record {name}, which carries the state of this run, {problem}")
    session.input, session.output = state["input"], state.get("output")


def _call_hooks_of_the_end(
    definition: TaskDefinition, client: ApiClient, me: Environment, session: PodSession, response: dict[str, Any]
) -> None:
    """Call the hooks that follow from the end of the run, should it end now; the operator sees to it if this fails."""
    session.begin_hooks()
    try:
        run_object = hooks.ended(client, me, session.wait_for_end(response))
        if run_object is not None:
            session.has_ended(run_object)
            for hook in hooks.due(run_object, me.hooks, me.operator_protocol):
                session.store_hook(hooks.call(definition, hook, session.task))
    except PodrelayError as error:
        print(f"podrelay-runner: the hooks after the end: {error}", file=sys.stderr)


def _call_only_hooks(reference: Reference, client: ApiClient, me: Environment, session: PodSession) -> int:
    try:
        _load_end(client, me, session)
        definition = _load_for_hooks(reference, me, session)
        if definition is not None:
            for hook in me.only_hooks:
                session.store_hook(hooks.call(definition, hook, session.task))
    except PodrelayError as error:
        print(f"podrelay-runner: {_advice(error, me)}", file=sys.stderr)
        return 1
    return 0


def _load_for_hooks(reference: Reference, me: Environment, session: PodSession) -> TaskDefinition | None:
    """Return the task; where it cannot be loaded that is how its hooks have ended."""
    try:
        return _task(reference, me)
    except Exception as error:  # noqa: BLE001 - module and class are user code
        words = limits.cut(answer_of_exception(error).message, limits.HOOK_MESSAGE_LENGTH)
        for hook in me.only_hooks:
            session.store_hook({"name": hook, "outcome": "Failed", "message": words})
        return None


def _load_end(client: ApiClient, me: Environment, session: PodSession) -> None:
    """Load the input and output that a run has ended with, as far as they are there still."""
    stored = client.read(me.namespace, names.TASK_ITERATIONS, me.state, session.deadline) if me.state else None
    session.input = ((stored or {}).get("response") or {}).get("input") or session.input
    session.output = session.status.get("output")
    place = session.status.get("outputFrom")
    if place:
        stored = client.read(me.namespace, names.TASK_ITERATIONS, place, session.deadline)
        session.output = ((stored or {}).get("response") or {}).get("output")


def _deliver(session: PodSession, response: dict[str, Any], variables: Mapping[str, str]) -> tuple[int, bool]:
    """Store the response; return the exit code, and whether it was stored."""
    try:
        response = _store(session, response)
    except SupersededError as error:
        print(f"podrelay-runner: the answer is not wanted any more: {error}", file=sys.stderr)
        return names.EXIT_SUPERSEDED, False
    except ApiRefusedError as error:
        _explain(variables, _not_stored(response, error))
        return 1, False
    except ApiUnreachableError as error:
        _leave_behind(variables, response, str(error))
        return 1, False
    return (1 if response["status"] == "error" else 0), True


def _store(session: PodSession, response: dict[str, Any]) -> dict[str, Any]:
    """Store a response, or, where somebody refuses it for good, an error that says so; return what is stored."""
    try:
        session.answer(response)
    except ResponseLostError:
        raise
    except ApiRefusedError as refusal:
        words = _not_stored(response, refusal)
        print(f"podrelay-runner: {words}", file=sys.stderr)
        response = response_of(Failed(words, "AnswerRefused"), session.input, None)
        session.answer(response)
    return response


def _not_stored(response: dict[str, Any], error: ApiRefusedError) -> str:
    return f"the answer {response['status']} could not be stored: {error}"


def _leave_behind(variables: Mapping[str, str], response: dict[str, Any], problem: str) -> None:
    """Put an answer that cannot be delivered into the termination message, where the operator finds it."""
    print(f"podrelay-runner: the answer goes into the termination message: {problem}", file=sys.stderr)
    left = {"response": response, "protocol": protocol.VERSION}
    message = json.dumps(left, ensure_ascii=False, separators=(",", ":"))
    if len(message.encode()) > limits.TERMINATION_MESSAGE_BYTES:
        message = f"the answer {response['status']} could not be stored: {problem}"
    _explain(variables, message)


def _explain(variables: Mapping[str, str], message: str) -> None:
    print(f"podrelay-runner: {message}", file=sys.stderr)
    path = Path(variables.get(ENV_TERMINATION_MESSAGE_PATH) or names.TERMINATION_MESSAGE_PATH)
    try:
        path.write_text(message, encoding="utf-8")
    except OSError as error:
        print(f"podrelay-runner: no termination message: {error}", file=sys.stderr)


def _advice(error: PodrelayError, me: Environment) -> str:
    advice = _ADVICE.get(error.status) if isinstance(error, ApiRefusedError) else None
    return f"{error}. {advice.format(namespace=me.namespace)}" if advice else str(error)


if __name__ == "__main__":
    main()
