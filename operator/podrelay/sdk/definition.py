"""The class that a task author writes: `class ImportProducts(TaskDefinition)`."""

from typing import Any, ClassVar

from podrelay.sdk import checking
from podrelay.sdk.controller import Controller
from podrelay.sdk.errors import DefinitionWarning
from podrelay.sdk.task import TaskRun, TriggerData


class TaskDefinition:
    """What can run: derive a class from it, override `run`, and set at least `id` and `title`.

    Every other class variable that is None is left out of the manifest, so that the default of the TaskDefinition
    resource applies (`kubectl explain tdef.spec`).
    """

    id: ClassVar[str]
    """Name of the task in camelCase, for example `importProducts`. Its TaskDefinition has the same name in kebab-case:
    `import-products`."""
    title: ClassVar[str]
    """Name for people."""
    description: ClassVar[str | None] = None
    """What the task does, for people."""
    private: ClassVar[bool | None] = None
    """Not to be offered to people, but to be started as a child, or with kubectl."""
    max_iterations: ClassVar[int | None] = None
    """How many times run() may be called for one TaskRun, retries not counted; 1 to 10,000."""
    record_logs: ClassVar[bool | None] = None
    """Whether the lines of `controller.logger`, and what is printed, go into the records, besides stdout."""
    self_cleanup: ClassVar[str | list[str] | None] = None
    """After which ends a run is deleted with its descendants: "always", "never", "onSuccess", "onError", "onAbort", or
    a list of them."""
    iteration_timeout_seconds: ClassVar[int | None] = None
    """How long one iteration may take, from the start of its container."""
    pending_timeout_seconds: ClassVar[int | None] = None
    """How long a pod may fail to start (image, scheduling, quota) before the try has failed."""
    abort_grace_period_seconds: ClassVar[int | None] = None
    """Seconds from SIGTERM to SIGKILL, whatever ends the pod: abort, timeout, drain."""
    heartbeat_timeout_seconds: ClassVar[int | None] = None
    """End an iteration that has given no sign of life for so long; at least 5. None: it need not give any."""
    node_lost_timeout_seconds: ClassVar[int | None] = None
    """How long a pod is waited for that should have ended, on a node that does not answer, before the run ends."""
    retry: ClassVar[dict[str, Any] | None] = None
    """Whether failed tries are repeated: limit, initialSeconds, factor, maxSeconds, on."""
    disruption_retries: ClassVar[int | None] = None
    """How many pods an iteration may lose to the cluster (drain, preemption, eviction, deletion); at most 100."""
    max_concurrent_runs: ClassVar[int | None] = None
    """How many runs of this definition may have a pod at the same time. None: no limit."""
    concurrency: ClassVar[dict[str, Any] | None] = None
    """How many of those whose inputs have the same value in a field: key (its path, such as customer.id), limit."""
    triggers: ClassVar[list[str] | None] = None
    """Names of the definitions (in kebab-case) whose runs this task may start as children; "*" allows every one. None:
    it may start none, not even of its own kind."""
    ttl_seconds_after_finished: ClassVar[int | None] = None
    """Seconds until a finished run is deleted. None: what the operator was started with, by default 90 days."""
    history_limit: ClassVar[dict[str, Any] | None] = None
    """How much is kept of what has ended: iterations (records of each run), runs (finished ones of this definition)."""
    pod_cleanup: ClassVar[str | None] = None
    """Which pods are removed once they have ended: "OnSuccess", "Always" or "Never"."""
    reporting: ClassVar[str | None] = None
    """How the pod tells its answer. Tasks of this class need "API", the default."""
    template: ClassVar[dict[str, Any] | None] = None
    """Parts of a PodTemplateSpec, laid over the one that `podrelay manifests` makes; the container is named `task`."""
    resources: ClassVar[dict[str, Any] | None] = None
    """Requests and limits of the container."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Warn (DefinitionWarning) of what is wrong with the class as soon as it is written.

        Whatever uses such a class refuses it with a DefinitionError: `podrelay manifests`, `podrelay run`, `run_task`
        and its pods. Raised here, that would keep the other tasks of its module from working as well.
        """
        super().__init_subclass__(**kwargs)
        if "id" not in vars(cls):
            return  # a base class of an author's own
        for problem in checking.problems(cls):
            import warnings  # noqa: PLC0415 - few classes need it

            warnings.warn(f"{cls.__qualname__}: {problem}", DefinitionWarning, stacklevel=2)

    def run(self, input: Any, controller: Controller) -> Any:
        """Do the work of one iteration; may be a coroutine function.

        Args:
            input: the input, as the type that the parameter is annotated with: a pydantic model, or a dict.
            controller: answers, state, time, progress, logs, children.

        Returns:
            One of `controller.response`; None or a JSON object mean done.

        Raises:
            Exception: whatever it raises is the answer error.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method run(self, input, controller)")

    def create_input_validation(self) -> Any:
        """Say what the input must be, besides the type that `run` annotates it with; may be a coroutine function.

        Returns:
            A pydantic model class; or a dict of field name to type, or to (type, default); or None. Fields that it does
            not name are allowed, unless the model forbids them.
        """

    def on_before_trigger(self, data: TriggerData) -> Any:
        """Called once, before the first call of run() and after the input was found valid.

        This and the other hooks may be coroutine functions; what they return is ignored.

        Args:
            data: the run that is about to begin.

        Raises:
            Exception: whatever it raises refuses the run, which fails with the reason Rejected.
        """

    def on_done(self, task: TaskRun) -> Any:
        """Called after the run has Succeeded.

        Args:
            task: the run as it ended, with its output.

        Raises:
            Exception: this and the hooks below may raise; it is shown in `status.hooks` and changes nothing else.
        """

    def on_error(self, task: TaskRun) -> Any:
        """Called after the run has Failed, whatever the cause: an error, a crash, a timeout, too many iterations.

        Args:
            task: the run as it ended, with its error.
        """

    def on_abort(self, task: TaskRun) -> Any:
        """Called after the run was Aborted, by `spec.abort` or by its own answer.

        Args:
            task: the run as it ended.
        """

    def on_max_iterations(self, task: TaskRun) -> Any:
        """Called, before on_error, after a run has failed because it wanted to go on beyond max_iterations.

        Args:
            task: the run as it ended.
        """
