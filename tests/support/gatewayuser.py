"""A user of a gateway: a service account with roles, or with `podrelay dev`, which has no RBAC, its only user."""

from dataclasses import dataclass

from dev.harness import devserver
from dev.harness.kubectl import Kubectl


@dataclass(frozen=True)
class GatewayUser:
    """A user.

    Attributes:
        name: the name of the user in the cluster.
        token: what the user sends; without RBAC, anything.
        flags: flags of the gateway.
    """

    name: str
    token: str
    flags: tuple[str, ...]


def gateway_user(
    place: str, home: Kubectl, *others: Kubectl, roles: tuple[str, ...] = ("podrelay-user",)
) -> GatewayUser:
    """Create a user with roles in some namespaces; the account is in the first one."""
    if place != "cluster":
        return GatewayUser(devserver.USER, "token", ("--auth=none",))
    home.do("create", "serviceaccount", "clerk")
    account = f"{home.namespace}:clerk"
    for kubectl in (home, *others):
        for role in roles:
            kubectl.do("create", "rolebinding", f"clerk-{role}", f"--clusterrole={role}", f"--serviceaccount={account}")
    return GatewayUser(f"system:serviceaccount:{account}", home.do("create", "token", "clerk").strip(), ())
