"""The class that a task author writes: `class ImportProducts(TaskDefinition)`."""

from typing import Any, ClassVar

from podrelay.api import names
from podrelay.sdk import cleanup
from podrelay.sdk.controller import Controller
from podrelay.sdk.errors import DefinitionError
from podrelay.sdk.task import TaskRun, TriggerData


class TaskDefinition:
    """What can run. Override `run`, and set at least `id` and `title`.

    Every other class variable that is None is left out of the manifest, so that the default of the TaskDefinition
    resource applies (`kubectl explain tdef.spec`). Durations are in seconds.

    Attributes:
        id: name of the task in camelCase, for example `importProducts`.
        title: name for people.
        max_iterations: how many times run() may be called for one TaskRun; default 50.
        self_cleanup: after which ends a run is deleted with its descendants: "always", "never", "onSuccess", "onError",
            "onAbort", or a list of them; default "never".
        template: parts of a PodTemplateSpec, laid over the one that `podrelay manifests` makes.
        resources: requests and limits of the container.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str | None] = None
    private: ClassVar[bool | None] = None
    max_iterations: ClassVar[int | None] = None
    record_logs: ClassVar[bool | None] = None
    self_cleanup: ClassVar[str | list[str] | None] = None
    iteration_timeout_seconds: ClassVar[int | None] = None
    pending_timeout_seconds: ClassVar[int | None] = None
    abort_grace_period_seconds: ClassVar[int | None] = None
    heartbeat_timeout_seconds: ClassVar[int | None] = None
    node_lost_timeout_seconds: ClassVar[int | None] = None
    retry: ClassVar[dict[str, Any] | None] = None
    disruption_retries: ClassVar[int | None] = None
    max_concurrent_runs: ClassVar[int | None] = None
    concurrency: ClassVar[dict[str, Any] | None] = None
    triggers: ClassVar[list[str] | None] = None
    ttl_seconds_after_finished: ClassVar[int | None] = None
    history_limit: ClassVar[dict[str, Any] | None] = None
    pod_cleanup: ClassVar[str | None] = None
    reporting: ClassVar[str | None] = None
    template: ClassVar[dict[str, Any] | None] = None
    resources: ClassVar[dict[str, Any] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check what can be checked as soon as the class is written.

        Raises:
            DefinitionError: the id is not in camelCase, there is no title, run is no method, or self_cleanup is
                unknown.
        """
        super().__init_subclass__(**kwargs)
        if "id" not in vars(cls):
            return  # a base class of an author's own
        if not isinstance(cls.id, str) or not names.is_camel_case(cls.id):
            raise DefinitionError(
                f'Task ID "{cls.id}" is invalid. It must be in camelCase format, for example: "myCustomTask".'
            )
        if not isinstance(getattr(cls, "title", None), str) or not cls.title:
            raise DefinitionError(f"Task {cls.id} has no title; set the class variable title")
        if not callable(cls.run):
            raise DefinitionError(f"{cls.__name__}.run must be a method run(self, input, controller)")
        cleanup.outcomes(cls.self_cleanup, cls.id)

    def run(self, input: Any, controller: Controller) -> Any:
        """Do the work of one iteration; may be a coroutine function.

        Args:
            input: the input, as the type that the parameter is annotated with: a pydantic model, or a dict.
            controller: answers, state, progress, time.

        Returns:
            One of `controller.response`; None or a JSON object mean done.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method run(self, input, controller)")

    def create_input_validation(self) -> Any:
        """Say what the input must be, besides the type that `run` annotates it with; may be a coroutine function.

        Returns:
            A pydantic model class; or a dict of field name to type, or to (type, default); or None. Fields that it does
            not name are allowed, unless the model forbids them.
        """

    def on_before_trigger(self, data: TriggerData) -> Any:
        """Called once, before the first call of run() and after the input was found valid; raise to refuse the run.

        This and the other hooks may be coroutine functions.
        """

    def on_done(self, task: TaskRun) -> Any:
        """Called after the run has Succeeded."""

    def on_error(self, task: TaskRun) -> Any:
        """Called after the run has Failed, whatever the cause: an error, a crash, a timeout, too many iterations."""

    def on_abort(self, task: TaskRun) -> Any:
        """Called after the run was Aborted."""

    def on_max_iterations(self, task: TaskRun) -> Any:
        """Called, before on_error, after a run has failed because it wanted to go on beyond max_iterations."""
