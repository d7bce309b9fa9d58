"""Inputs by reference to a Secret: who may pass it on, how it arrives, and runs with a missing Secret."""

import json

import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, task_run
from dev.harness.waiting import eventually
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

WRITE = """
password=$(cat "$PODRELAY_SECRET_PATH/password")
printf '{"status": "done", "output": {"password": "%s"}}' "$password" > /dev/termination-log
"""


def add_secret(kubectl: Kubectl, name: str, value: str = "s3cret") -> None:
    kubectl.do("create", "secret", "generic", name, f"--from-literal=password={value}")


def account(kubectl: Kubectl, name: str, secret: str | None = None) -> Kubectl:
    """Return a service account that may start runs, and possibly read one Secret."""
    kubectl.do("create", "serviceaccount", name)
    user = f"--serviceaccount={kubectl.namespace}:{name}"
    kubectl.do("create", "rolebinding", name, "--clusterrole=podrelay-user", user)
    if secret is not None:
        kubectl.do("create", "role", name, "--verb=get", "--resource=secrets", f"--resource-name={secret}")
        kubectl.do("create", "rolebinding", f"{name}-reads", f"--role={name}", user)
    return kubectl.as_service_account(name)


def test_the_keys_of_a_secret_are_files_in_the_pod(relay: Relay) -> None:
    add_secret(relay.kubectl, "handed-over")
    relay.define_script("reads-it", WRITE, podCleanup="Never")
    relay.run("reader", "reads-it", secret="handed-over")

    assert relay.finished("reader")["output"] == {"password": "s3cret"}
    stored = json.dumps([relay.get("reader")["spec"], relay.kubectl.get("pods", "reader-i1")["spec"]])
    assert "s3cret" not in stored


def test_the_sdk_reads_a_secret_and_a_run_without_one_gets_a_clear_error(relay: Relay) -> None:
    add_secret(relay.kubectl, "for-the-sdk")
    relay.define("Confidential")
    relay.run("with-it", "confidential", secret="for-the-sdk")
    relay.run("without-it", "confidential")

    assert relay.finished("with-it")["output"] == {"keys": ["password"], "length": 6}
    assert "names no Secret" in relay.finished("without-it")["message"]
    (record,) = relay.records("with-it")
    assert "s3cret" not in json.dumps(record)


def test_a_user_who_may_not_read_a_secret_cannot_pass_it_on(relay: Relay) -> None:
    add_secret(relay.kubectl, "guarded")
    add_secret(relay.kubectl, "free")
    relay.define_script("guarded", WRITE)
    outsider = account(relay.kubectl, "outsider")
    friend = account(relay.kubectl, "friend", "free")

    def refused(who: Kubectl, secret: str) -> bool:
        result = who.create(task_run(f"by-{secret}", "guarded", secret=secret), flags=("--dry-run=server",))
        return not result and f"may not pass the Secret {secret} to a task" in result.stderr

    eventually("the policy rejects the outsider", lambda: refused(outsider, "guarded"))
    assert refused(friend, "guarded")
    assert refused(outsider, "no-such-secret")

    def is_taken() -> bool:
        return bool(friend.create(task_run("by-friend", "guarded", secret="free"), flags=("--dry-run=server",)))

    eventually("the friend passes on a Secret that it may read", is_taken)
    assert outsider.create(task_run("without", "guarded"), flags=("--dry-run=server",))


def test_a_secret_cannot_be_added_later_or_changed(relay: Relay) -> None:
    add_secret(relay.kubectl, "first")
    relay.define_script("unchanged", WRITE, suspend=True)
    relay.run("has-one", "unchanged", secret="first")
    relay.run("has-none", "unchanged")

    for run, secret in (("has-one", "other"), ("has-one", None), ("has-none", "first")):
        patched = relay.kubectl.patch(TASK_RUNS, run, {"spec": {"secret": secret}})
        assert "spec.secret cannot be changed" in patched.stderr, str(patched)


def test_a_missing_secret_is_reported_and_the_run_continues_when_it_exists(relay: Relay) -> None:
    relay.define_script("patient", WRITE)
    relay.run("patient", "patient", secret="late")

    shown = relay.until("patient", "it is reported", 60, reason="SecretMissing")
    assert "Secret late" in shown["message"]
    add_secret(relay.kubectl, "late")

    assert relay.finished("patient", 60)["output"] == {"password": "s3cret"}


def test_a_missing_secret_fails_the_run_after_a_timeout(relay: Relay) -> None:
    relay.define_script("impatient", WRITE, pendingTimeoutSeconds=35)
    relay.run("impatient", "impatient", secret="never")

    status = relay.finished("impatient", 120)

    assert status["phase"] == "Failed"
    assert "Secret never" in status["message"]
