"""A deployment that two people must approve."""

from pydantic import BaseModel

from podrelay import Answer, Controller, TaskDefinition


class Version(BaseModel):
    """The version to deploy."""

    version: str


class Deploy(TaskDefinition):
    """Builds a version, asks two people, and deploys it."""

    id = "deploy"
    title = "Deploy a version after its approval"
    signals = [  # noqa: RUF012 - never changed
        {
            "name": "release",
            "description": "May this version be deployed?",
            "approval": {"required": 2},
        }
    ]

    def run(self, input: Version, controller: Controller) -> Answer:
        """Ask, and do what was decided."""
        if controller.task.iteration == 1:
            controller.logger.info(f"built version {input.version}")
            return controller.response.wait_for_signal("release", seconds=3 * 86_400)
        decided_by = [decision.sender for decision in controller.signals.of("release")]
        if controller.signals.approved:
            return controller.response.done(f"deployed {input.version}", {"approvedBy": decided_by})
        reason = "no decision within three days" if controller.signals.timed_out else f"rejected by {decided_by[-1]}"
        return controller.response.aborted(reason)
