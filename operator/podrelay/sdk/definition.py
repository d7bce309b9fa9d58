"""The base class of tasks: `class ImportProducts(TaskDefinition)`."""

from typing import Any, ClassVar

from podrelay.sdk import checking
from podrelay.sdk.controller import Controller
from podrelay.sdk.errors import DefinitionWarning
from podrelay.sdk.task import TaskRun, TriggerData


class TaskDefinition:
    """Base class of tasks: derive a class from it, override `run`, and set at least `id` and `title`.

    A class variable with the value None is left out of the manifest, so that the default of the TaskDefinition resource
    applies (`kubectl explain tdef.spec`).
    """

    id: ClassVar[str]
    """Id of the task in camelCase, for example `importProducts`. Its TaskDefinition has the same name in kebab-case:
    `import-products`."""
    title: ClassVar[str]
    """Human-readable name of the task."""
    description: ClassVar[str | None] = None
    """Human-readable description of the task."""
    private: ClassVar[bool | None] = None
    """Hide the task from GraphQL; it can still be started as a child or with kubectl."""
    max_iterations: ClassVar[int | None] = None
    """Maximum number of iterations of a TaskRun, not counting retries; 1 to 10,000."""
    record_logs: ClassVar[bool | None] = None
    """Whether log lines of `controller.logger` and printed output are kept in the records, in addition to stdout."""
    self_cleanup: ClassVar[str | list[str] | None] = None
    """Outcomes after which a run is deleted with its descendants: "always", "never", "onSuccess", "onError", "onAbort",
    or a list of them."""
    iteration_timeout_seconds: ClassVar[int | None] = None
    """Maximum duration of an iteration, measured from the start of its container."""
    pending_timeout_seconds: ClassVar[int | None] = None
    """How long a pod may fail to start (image, scheduling, quota) before the attempt counts as failed."""
    abort_grace_period_seconds: ClassVar[int | None] = None
    """Seconds from SIGTERM to SIGKILL, regardless of what ends the pod: abort, timeout, drain."""
    heartbeat_timeout_seconds: ClassVar[int | None] = None
    """End an iteration without a heartbeat for this long; at least 5. None: no heartbeat is required."""
    node_lost_timeout_seconds: ClassVar[int | None] = None
    """How long to wait for a terminating pod on an unreachable node before the run finishes."""
    retry: ClassVar[dict[str, Any] | None] = None
    """Whether and when failed iterations are retried: limit, initialSeconds, factor, maxSeconds, on."""
    disruption_retries: ClassVar[int | None] = None
    """How many pods an iteration may lose to the cluster (drain, preemption, eviction, deletion); at most 100."""
    max_concurrent_runs: ClassVar[int | None] = None
    """Maximum number of runs of this definition that may have a pod at the same time. None: no limit."""
    concurrency: ClassVar[dict[str, Any] | None] = None
    """A limit for runs with the same value of an input field: key (path of the field, such as customer.id), limit."""
    triggers: ClassVar[list[str] | None] = None
    """Names (in kebab-case) of the definitions of which this task may start runs as children; "*" allows all. None: it
    may not start any children, not even of its own definition."""
    allow_overrides: ClassVar[list[str] | None] = None
    """Settings that a run may change with `spec.overrides`: resources, env or env.NAME, nodeSelector, tolerations,
    priorityClassName, timeouts, retry, maxIterations. None: none."""
    ttl_seconds_after_finished: ClassVar[int | None] = None
    """Seconds until a finished run is deleted. None: the operator's setting, 90 days by default."""
    history_limit: ClassVar[dict[str, Any] | None] = None
    """How much history is kept: iterations (records of each run), runs (finished runs of this definition)."""
    pod_cleanup: ClassVar[str | None] = None
    """Which finished pods are deleted: "OnSuccess", "Always" or "Never"."""
    handover: ClassVar[str | None] = None
    """When the pod of the next iteration is created: "Ahead", the default, when the answer continue is stored, or
    "AfterEnd", when the container of the pod before it has ended."""
    standby: ClassVar[dict[str, Any] | None] = None
    """Create the pod of the next iteration while the current one still works: afterSeconds. None: no standby."""
    signals: ClassVar[list[dict[str, Any]] | None] = None
    """The signals that runs understand, each with name, and optionally description, payload (a pydantic model) or
    payloadSchema (a JSON Schema), and approval (required, groups, excludeCreator). None: all signals, unchecked."""
    reporting: ClassVar[str | None] = None
    """How the pod reports its answer. Tasks of this class need "API", the default."""
    template: ClassVar[dict[str, Any] | None] = None
    """Parts of a PodTemplateSpec, merged over the one that `podrelay manifests` generates; the container is named
    `task`."""
    resources: ClassVar[dict[str, Any] | None] = None
    """Resource requests and limits of the container."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Issue a DefinitionWarning for each problem as soon as the class is defined.

        `podrelay manifests`, `podrelay run`, `run_task` and the pods raise a DefinitionError for such a class. An
        exception here would also break the other tasks in its module.
        """
        super().__init_subclass__(**kwargs)
        if "id" not in vars(cls):
            return  # a base class without an id
        for problem in checking.problems(cls):
            import warnings  # noqa: PLC0415 - few classes need it

            warnings.warn(f"{cls.__qualname__}: {problem}", DefinitionWarning, stacklevel=2)

    def run(self, input: Any, controller: Controller) -> Any:
        """Do the work of one iteration; may be a coroutine function.

        Args:
            input: the input, as an instance of the type that the parameter is annotated with: a pydantic model or a
                dict.
            controller: answers, state, time, progress, logs, children.

        Returns:
            An answer from `controller.response`; None or a JSON object means done.

        Raises:
            Exception: any exception becomes the answer error.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method run(self, input, controller)")

    def create_input_validation(self) -> Any:
        """Return further rules for the input, in addition to its type annotation; may be a coroutine function.

        Returns:
            A pydantic model class; or a dict of field name to type, or to (type, default); or None. Other fields are
            allowed, unless the model forbids them.
        """

    def on_before_trigger(self, data: TriggerData) -> Any:
        """Called once, before the first call of run() and after the input was validated.

        This and the other hooks may be coroutine functions; their return value is ignored.

        Args:
            data: the run that is about to begin.

        Raises:
            Exception: any exception rejects the run, which fails with the reason Rejected.
        """

    def on_done(self, task: TaskRun) -> Any:
        """Called after the run has Succeeded.

        Args:
            task: the finished run, with its output.

        Raises:
            Exception: an exception of this hook or the ones below is shown in `status.hooks` and has no other effect.
        """

    def on_error(self, task: TaskRun) -> Any:
        """Called after the run has Failed, for any cause: an error, a crash, a timeout, too many iterations.

        Args:
            task: the finished run, with its error.
        """

    def on_abort(self, task: TaskRun) -> Any:
        """Called after the run was Aborted, by `spec.abort` or by its own answer.

        Args:
            task: the finished run.
        """

    def on_max_iterations(self, task: TaskRun) -> Any:
        """Called before on_error, after the run has Failed because it answered continue in its last allowed iteration.

        Args:
            task: the finished run.
        """
