"""`podrelay-runner MODULE:CLASS`: runs one iteration of a task in this pod.

Exit codes: 0 after done, continue and aborted; 1 after an error, or if the answer could not be stored; 75 if this pod
is not the one that is due; 76 if this runner does not work with the version of its operator.
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
from podrelay.runner import environment, fence, given_signals, handover, hooks, quiet, threads
from podrelay.runner.answering import answer_of, answer_of_exception, response_of
from podrelay.runner.api_client import ApiClient
from podrelay.runner.console import Console
from podrelay.runner.environment import Environment, NotInAPodError, UnsupportedOperatorError
from podrelay.runner.record import Record, ResponseLostError, now
from podrelay.runner.session import PodSession
from podrelay.runner.signals import QUESTION_SECONDS, Interruption
from podrelay.sdk import loading, validation
from podrelay.sdk.answers import Answer, Continue, Failed
from podrelay.sdk.calling import call
from podrelay.sdk.controller import Controller
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError, InputError, SupersededError
from podrelay.sdk.task import TriggerData

_ADVICE: Final = {
    401: "The API server does not accept this pod's token, which becomes invalid when the pod is deleted",
    403: "The service account of this pod needs the ClusterRole podrelay-runner in namespace {namespace}; "
    "podrelay namespace prepare {namespace}, or the chart's taskNamespaces, binds it",
}

Reference = str | type[TaskDefinition]
"""A task: MODULE:CLASS, or the class itself."""

ENV_TERMINATION_MESSAGE_PATH: Final = "PODRELAY_TERMINATION_MESSAGE_PATH"


class StateLostError(PodrelayError):
    """The record that contains the state was deleted."""

    reason = "StateLost"


def main(run_in_pod: Callable[[str, float], int] | None = None) -> None:
    """Run the iteration that the environment describes, then end the process.

    Args:
        run_in_pod: called with MODULE:CLASS and the start time of the process; returns the exit code; default: `run`.
    """
    # At least the CPU time used so far has passed since the process started.
    started_at = time.monotonic() - time.process_time()
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: podrelay-runner MODULE:CLASS   (inside a pod of a TaskRun)", file=sys.stderr)
        sys.exit(2)
    run_in_pod = run_in_pod or (lambda reference, began: run(reference, os.environ, began, after_task=look_around))
    code = 1
    try:
        code = run_in_pod(sys.argv[1], started_at)
    except BaseException as error:  # noqa: BLE001 - an internal error must end the pod, too
        _explain(os.environ, f"internal error: {answer_of_exception(error).message}")
    finally:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Threads of the task and exit handlers of libraries must not keep a pod running whose answer is stored.
        os._exit(code)


def look_around() -> bool:
    """Report threads of the task that still run, and return whether nothing of the task does."""
    report_threads()
    return quiet.nothing_else_runs()


def report_threads() -> None:
    """Print which threads of the task are still running, because the process ends without waiting for them."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        for thread in threads.still_running():
            print(
                f"podrelay-runner: run() has ended, but thread {thread} is still running and ends with this pod; wait "
                "for it in run(), with join() or with shutdown() of its executor",
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
    after_task: Callable[[], bool] = lambda: False,
) -> int:
    """Run one iteration of a task and return the exit code.

    Args:
        reference: the task.
        variables: the environment of the pod.
        started_at: when the process started, as a time of `clock`.
        clock: monotonic time in seconds.
        client: client for the API server; default: from the environment that the kubelet sets.
        now: the time that is written into the record.
        listen: connects the interruption to SIGTERM; default: with a signal handler of this process.
        session_type: creates the session behind the controller; takes the arguments of PodSession.
        after_task: called when run() has returned, before its answer is stored; returns whether nothing of the task
            runs any longer.
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
    interruption = _interruption(client.another(), me, clock)
    listen(interruption)
    try:
        run_object = None
        if me.after:
            run_object = handover.until_released(client, me, lambda: _import_early(reference, me))
            started_at = clock()
            # Which record has the state was not known yet when a standby pod was created.
            me = me._replace(state=run_object["status"].get("lastRecord") or "")
        record = Record(client, me, now, console)
        # Everything before user code counts towards the iteration timeout: the pending timeout no longer applies.
        run_object = _claim(client, record, me, started_at, run_object)
        session = session_type(me, run_object, record, client, interruption, started_at, clock)
    except SupersededError as error:
        print(f"podrelay-runner: not running: {error}", file=sys.stderr)
        return names.EXIT_SUPERSEDED
    except (ApiRefusedError, ApiUnreachableError) as error:
        _explain(variables, _advice(error, me))
        return 1
    with console.listening() if console is not None else contextlib.nullcontext():
        if me.only_hooks:
            return _call_only_hooks(reference, session)
        return _run_task(reference, variables, session, record, after_task)


def _run_task(
    reference: Reference,
    variables: Mapping[str, str],
    session: PodSession,
    record: Record,
    after_task: Callable[[], bool],
) -> int:
    definition, answer = _work(reference, session)
    record.is_quiet = after_task()
    response = response_of(_supported(answer, session.me), session.input, session.output, session.rules)
    if session.signals and response["status"] != "error":
        response["signals"] = [signal.key for signal in session.signals]
    code, is_stored = _deliver(session, response, variables)
    if is_stored and definition is not None and hooks.may_follow(response, session.me, is_aborted=session.is_aborted()):
        session.output = response.get("output")
        _call_hooks_of_the_end(definition, session, response)
    return code


def _supported(answer: Answer, me: Environment) -> Answer:
    """Return `answer`, or an error if the operator does not know it and would start the next iteration at once."""
    is_wait = isinstance(answer, Continue) and answer.wait_for_signal is not None
    if not is_wait or me.operator_protocol >= protocol.SIGNALS_SINCE:
        return answer
    problem = f"it cannot wait for signals, which needs {protocol.SIGNALS_SINCE} at least"
    message = protocol.unsupported_operator(me.operator_protocol, problem)
    return Failed(message, protocol.UNSUPPORTED_RUNNER, retryable=False)


def _interruption(client: ApiClient, me: Environment, clock: Callable[[], float]) -> Interruption:
    def ask() -> dict[str, Any] | None:
        until = clock() + QUESTION_SECONDS
        return client.read(me.namespace, names.TASK_RUNS, me.run, lambda: until)

    return Interruption(ask, me.run_uid, me.grace_period, clock)


def _import_early(reference: Reference, me: Environment) -> None:
    if me.is_standby:
        # If that fails, the same error is the answer of this pod later.
        with contextlib.suppress(Exception):
            _task(reference, me)


def _claim(
    client: ApiClient, record: Record, me: Environment, started_at: float, known: dict[str, Any] | None
) -> dict[str, Any]:
    """Claim the record, if this pod is the one that is due, and return the run; `known` if it was just read.

    The state is loaded after that, so that a problem with it becomes an answer instead of a crash.

    Raises:
        SupersededError: this pod must not run user code.
        ApiRefusedError, ApiUnreachableError: the run cannot be read, or the record cannot be claimed.
    """

    def deadline() -> float:
        return started_at + me.iteration_timeout

    run_object = known or client.read(me.namespace, names.TASK_RUNS, me.run, deadline)
    own_record = client.read(me.namespace, names.TASK_ITERATIONS, me.pod_name, deadline)
    look = hooks.superseded if me.only_hooks else fence.superseded
    reason = look(run_object, own_record, me)
    if reason is not None or run_object is None:
        raise SupersededError(reason or "")
    record.claim(deadline)
    return run_object


def _work(reference: Reference, session: PodSession) -> tuple[TaskDefinition | None, Answer]:
    me = session.me
    definition: TaskDefinition | None = None
    try:
        _load_state(session)
        session.signals = given_signals.read(session.client, me, session.deadline)
        definition = _task(reference, me)
        for method in hooks.undeclared(definition, me):
            print(
                f"podrelay-runner: {method} is never called, because spec.hooks of TaskDefinition {me.definition} "
                "lacks it; apply the output of podrelay manifests",
                file=sys.stderr,
            )
        session.rules = validation.rules_of(definition)
        try:
            session.input = session.rules.check(session.input)
        except InputError as error:
            return definition, _invalid(error, me)
        # Copies, so that the task changes the state only by explicit calls.
        refused = _refused(definition, session.rules.typed(copy.deepcopy(session.input)), session)
        if refused is not None:
            return definition, refused
        task_input = session.rules.typed(copy.deepcopy(session.input))
        controller = Controller(session)
        returned = call(definition.run, task_input, controller)
        return definition, answer_of(returned, controller.response._built.values())
    except StateLostError as error:
        return definition, Failed(str(error), error.reason)
    except BaseException as error:  # noqa: BLE001 - any exception of user code is its answer
        return definition, answer_of_exception(error)


def _refused(definition: TaskDefinition, task_input: Any, session: PodSession) -> Answer | None:
    """Call on_before_trigger if it was not called before; return the answer if it rejects the run."""
    if ON_BEFORE_TRIGGER not in session.me.hooks:
        return None
    task = session.task
    data = TriggerData(task.definition, task.name, task_input, task.parent, task.id)
    outcome, answer = hooks.ask_before(definition, data)
    session.store_hook(outcome)  # before run() is called, so that later attempts do not call the hook again
    return answer


def _invalid(error: InputError, me: Environment) -> Failed:
    """Return the answer for an invalid input, which is not retryable."""
    is_from_the_spec = me.iteration == 1 and not me.checkpoint
    refusal = "InvalidInput" if is_from_the_spec else None
    return Failed(str(error), error.reason, error.data, retryable=False, refusal=refusal)


def _task(reference: Reference, me: Environment) -> TaskDefinition:
    return (loading.load_definition(reference, me.definition) if isinstance(reference, str) else reference)()


def _load_state(session: PodSession) -> None:
    me = session.me
    name = me.checkpoint or me.state
    if not name:
        return
    # Wait for a missing permission until the deadline: without it, no answer could be stored either.
    stored = session.client.read(me.namespace, names.TASK_ITERATIONS, name, session.deadline, math.inf)
    state = (stored or {}).get("checkpoint" if me.checkpoint else "response")
    if stored is None or state is None or state.get("input") is None:
        problem = "was deleted" if stored is None else "no longer contains it"
        raise StateLostError(f"the record {name}, which contains the state of this run, {problem}")
    session.input, session.output = state["input"], state.get("output")


def _call_hooks_of_the_end(definition: TaskDefinition, session: PodSession, response: dict[str, Any]) -> None:
    """Call the hooks that are due if the run finishes now; if this fails, the operator creates a pod for them."""
    me = session.me
    session.begin_hooks()
    try:
        run_object = hooks.ended(session.client, me, session.wait_for_end(response))
        if run_object is not None:
            session.has_ended(run_object)
            for hook in hooks.due(run_object, me.hooks, me.operator_protocol):
                session.store_hook(hooks.call(definition, hook, session.task))
    except PodrelayError as error:
        print(f"podrelay-runner: cannot call the hooks after the end of the run: {error}", file=sys.stderr)


def _call_only_hooks(reference: Reference, session: PodSession) -> int:
    try:
        _load_end(session)
        definition = _load_for_hooks(reference, session)
        if definition is not None:
            for hook in session.me.only_hooks:
                session.store_hook(hooks.call(definition, hook, session.task))
    except PodrelayError as error:
        print(f"podrelay-runner: {_advice(error, session.me)}", file=sys.stderr)
        return 1
    return 0


def _load_for_hooks(reference: Reference, session: PodSession) -> TaskDefinition | None:
    """Return the task; if it cannot be loaded, store that as the outcome of its hooks."""
    try:
        return _task(reference, session.me)
    except Exception as error:  # noqa: BLE001 - module and class are user code
        words = limits.cut(answer_of_exception(error).message, limits.HOOK_MESSAGE_LENGTH)
        for hook in session.me.only_hooks:
            session.store_hook({"name": hook, "outcome": "Failed", "message": words})
        return None


def _load_end(session: PodSession) -> None:
    """Load the final input and output of a run, as far as they still exist."""
    client, me = session.client, session.me
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
        print(f"podrelay-runner: the answer is no longer needed: {error}", file=sys.stderr)
        return names.EXIT_SUPERSEDED, False
    except ApiRefusedError as error:
        _explain(variables, _not_stored(response, error))
        return 1, False
    except ApiUnreachableError as error:
        _leave_behind(variables, response, str(error))
        return 1, False
    return (1 if response["status"] == "error" else 0), True


def _store(session: PodSession, response: dict[str, Any]) -> dict[str, Any]:
    """Store the response, or an error if the response is rejected permanently; return the one that was stored."""
    try:
        session.answer(response)
    except ResponseLostError:
        raise
    except ApiRefusedError as refusal:
        message = _not_stored(response, refusal)
        print(f"podrelay-runner: {message}", file=sys.stderr)
        response = response_of(Failed(message, "AnswerRefused"), session.input, None)
        session.answer(response)
    return response


def _not_stored(response: dict[str, Any], error: ApiRefusedError) -> str:
    return f"the answer {response['status']} could not be stored: {error}"


def _leave_behind(variables: Mapping[str, str], response: dict[str, Any], problem: str) -> None:
    """Write an answer that cannot be stored into the termination message, where the operator finds it."""
    print(f"podrelay-runner: writing the answer to the termination message: {problem}", file=sys.stderr)
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
        print(f"podrelay-runner: cannot write the termination message: {error}", file=sys.stderr)


def _advice(error: PodrelayError, me: Environment) -> str:
    advice = _ADVICE.get(error.status) if isinstance(error, ApiRefusedError) else None
    return f"{error}. {advice.format(namespace=me.namespace)}" if advice else str(error)


if __name__ == "__main__":
    main()
