import json
from pathlib import Path
from typing import Any

from dev.benchmarks import audit


def entry(verb: str, resource: str, agent: str = "podrelay-operator", **fields: Any) -> bytes:
    target = {"resource": resource, "namespace": "here"} | fields.pop("target", {})
    found = {"verb": verb, "objectRef": target, "userAgent": agent, "requestURI": "/", "responseStatus": {"code": 200}}
    return json.dumps(found | fields).encode() + b"\n"


def test_only_accepted_writes_of_runs_count() -> None:
    lines = [
        entry("create", "pods"),
        entry("patch", "taskruns", target={"subresource": "status"}),
        entry("patch", "taskruns", target={"subresource": "status"}),
        entry("get", "pods"),
        entry("update", "leases"),
        entry("create", "pods", target={"namespace": "elsewhere"}),
        entry("create", "pods", requestURI="/api/v1/namespaces/here/pods?dryRun=All"),
        entry("create", "pods", responseStatus={"code": 409}),
        entry("create", "events", agent="kube-scheduler/v1.35.4 (linux/amd64) kubernetes/1 scheduler"),
    ]
    found = audit.count(lines, "here")
    assert found == {
        "podrelay-operator create pods": 1,
        "podrelay-operator patch taskruns/status": 2,
        "kube-scheduler create events": 1,
    }
    assert audit.of(found, frozenset({"podrelay-operator"})) == 3


def test_each_read_continues_where_the_previous_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(entry("create", "pods"))
    log = audit.AuditLog(path)
    assert not log.writes("here")
    line = entry("delete", "pods")
    with path.open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert not log.writes("here"), "an incomplete line"
        file.write(line[20:])
    assert log.writes("here") == {"podrelay-operator delete pods": 1}
    assert not log.writes("here")
