"""The operators that are deployed in a cluster, and the namespaces that each of them watches."""

from dataclasses import dataclass
from typing import Any, Final

from podrelay.client.errors import ForbiddenError
from podrelay.client.packages import kubernetes
from podrelay.client.resources import Resource, Resources

_SELECTOR: Final = "app.kubernetes.io/name=podrelay,app.kubernetes.io/component=operator"
_FLAG: Final = "--namespace="


@dataclass(frozen=True, slots=True)
class DeployedOperator:
    """The Deployment of an operator.

    Attributes:
        namespace: namespace of the Deployment, and of the chart's release.
        name: name of the Deployment.
        release: name of the chart's release; empty if the Deployment does not say.
        version: version of the operator; empty if the Deployment does not say.
        watched: the namespaces that it watches; empty: all of them.
    """

    namespace: str
    name: str
    release: str
    version: str
    watched: tuple[str, ...]

    def watches(self, namespace: str) -> bool:
        """Return whether this operator watches a namespace."""
        return not self.watched or namespace in self.watched


def deployed(client: Any, resources: Resources) -> list[DeployedOperator] | None:
    """Return the operators that are deployed in the cluster, or None if the caller may not list Deployments.

    Args:
        client: an ApiClient of the kubernetes package.
        resources: the custom resources of the same API server.

    Raises:
        ApiUnavailableError: the API server cannot be reached, even after retries.
        RequestRefusedError: the API server refuses the request for another reason.
    """
    apps: Any = kubernetes.client.AppsV1Api(client)
    try:
        found = resources.ask(apps.list_deployment_for_all_namespaces, label_selector=_SELECTOR)
    except ForbiddenError:
        return None
    return [_operator(item) for item in found["items"]]


def _operator(deployment: Resource) -> DeployedOperator:
    metadata = deployment["metadata"]
    labels = metadata.get("labels", {})
    arguments = deployment["spec"]["template"]["spec"]["containers"][0].get("args", [])
    return DeployedOperator(
        namespace=metadata["namespace"],
        name=metadata["name"],
        release=labels.get("app.kubernetes.io/instance", ""),
        version=labels.get("app.kubernetes.io/version", ""),
        watched=tuple(word.removeprefix(_FLAG) for word in arguments if word.startswith(_FLAG)),
    )
