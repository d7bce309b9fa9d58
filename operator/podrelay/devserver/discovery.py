"""What clients ask an API server about itself: its version, its kinds of objects, and their schemas."""

from typing import Any, Final

from podrelay.api import crd
from podrelay.devserver.not_here import MISSING
from podrelay.local.kinds import KINDS, OF_PODRELAY, Kind
from podrelay.local.memory_api import PODS

Document = dict[str, Any]

_VERBS: Final = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_VERSION: Final = {"major": "1", "minor": "35", "gitVersion": "v1.35.0-podrelay-dev", "platform": "podrelay/dev"}
_CRDS: Final = {item["spec"]["names"]["plural"]: item["spec"] for item in crd.custom_resource_definitions().values()}
_ANY: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def schema_of(plural: str) -> Document | None:
    """Return the OpenAPI schema of a kind of Podrelay; None for other kinds."""
    if plural not in _CRDS:
        return None
    found: Document = _CRDS[plural]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def documents(prefix: str) -> dict[str, Document]:
    """Return all documents by path.

    Args:
        prefix: what precedes each path in the URLs of clients.
    """
    found: dict[str, Document] = {
        "/version": _VERSION,
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*at) for at in _versions() if at[0]]},
        "/openapi/v3": {
            "paths": {
                _root(*at)[1:]: {"serverRelativeURL": f"{prefix}/openapi/v3{_root(*at)}?hash=dev"} for at in _versions()
            }
        },
    }
    for at in _versions():
        found[_root(*at)] = _resources(*at)
        found[f"/openapi/v3{_root(*at)}"] = _openapi(*at)
        if at[0]:
            found[f"/apis/{at[0]}"] = {"kind": "APIGroup", "apiVersion": "v1", **_group(*at)}
    return found


def _versions() -> list[tuple[str, str]]:
    own = [(kind.resource.group, kind.resource.version) for kind in KINDS.values()]
    return list(dict.fromkeys([*own, *MISSING]))


def _root(group: str, version: str) -> str:
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


def _group(group: str, version: str) -> Document:
    about = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [about], "preferredVersion": about}


def _of(group: str, version: str) -> list[Kind]:
    return [kind for kind in KINDS.values() if (kind.resource.group, kind.resource.version) == (group, version)]


def _resources(group: str, version: str) -> Document:
    resources: list[Document] = []
    for kind in _of(group, version):
        plural, common = kind.resource.plural, {"namespaced": kind.is_namespaced, "kind": kind.name}
        own = {"singularName": kind.name.lower(), "verbs": _VERBS, "shortNames": list(kind.short_names)}
        # As in a cluster, `kubectl get all` shows pods.
        categories = ["podrelay"] if plural in OF_PODRELAY else ["all"] if plural == PODS else []
        resources.append({"name": plural, **common, **own, "categories": categories})
        if kind.first_status is not None:
            resources.append(
                {"name": f"{plural}/status", "singularName": "", **common, "verbs": ["get", "patch", "update"]}
            )
        if plural == PODS:
            resources.append({"name": "pods/log", "singularName": "", **common, "verbs": ["get"]})
    for plural, missing in MISSING.get((group, version), {}).items():
        about = {"namespaced": missing.is_namespaced, "kind": missing.kind, "singularName": missing.kind.lower()}
        resources.append({"name": plural, **about, "verbs": ["get", "list", "create"]})
    full = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": full, "resources": resources}


def _openapi(group: str, version: str) -> Document:
    paths, schemas = {}, {}
    for kind in _of(group, version):
        plural = kind.resource.plural
        gvk = {"group": group, "version": version, "kind": kind.name}
        parameters = [
            {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldValidation")
        ]
        operation = {"parameters": parameters, "x-kubernetes-group-version-kind": gvk, "responses": {}}
        place = kind.resource.path("{namespace}" if kind.is_namespaced else None, "{name}")
        paths[place] = {"patch": operation}
        schema = schema_of(plural) or _ANY
        schemas[f"{'.'.join(reversed(group.split('.')))}.{version}.{kind.name}"] = schema | {
            "x-kubernetes-group-version-kind": [gvk]
        }
    about = {"title": "podrelay dev", "version": version}
    return {"openapi": "3.0.0", "info": about, "paths": paths, "components": {"schemas": schemas}}
