"""Inputs by reference to a Secret: who may hand it over, how it arrives, and what happens where it is missing."""

import json

import pytest

from tests.support.kubectl import Kubectl
from tests.support.manifests import TASK_RUNS, task_run
from tests.support.relay import Relay
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

WRITE = """
password=$(cat "$PODRELAY_SECRET_PATH/password")
printf '{"status": "done", "output": {"password": "%s"}}' "$password" > /dev/termination-log
"""


def add_secret(kubectl: Kubectl, name: str, value: str = "s3cret") -> None:
    kubectl.do("create", "secret", "generic", name, f"--from-literal=password={value}")


def account(kubectl: Kubectl, name: str, secret: str | None = None) -> Kubectl:
    """Somebody who may start runs, and perhaps read one Secret."""
    kubectl.do("create", "serviceaccount", name)
    user = f"--serviceaccount={kubectl.namespace}:{name}"
    kubectl.do("create", "rolebinding", name, "--clusterrole=podrelay-user", user)
    if secret is not None:
        kubectl.do("create", "role", name, "--verb=get", "--resource=secrets", f"--resource-name={secret}")
        kubectl.do("create", "rolebinding", f"{name}-reads", f"--role={name}", user)
    return kubectl.as_service_account(name)


def test_its_keys_are_files_in_the_pod(relay: Relay) -> None:
    add_secret(relay.kubectl, "handed-over")
    relay.define_script("reads-it", WRITE, podCleanup="Never")
    relay.run("reader", "reads-it", secret="handed-over")

    assert relay.finished("reader")["output"] == {"password": "s3cret"}
    stored = json.dumps([relay.get("reader")["spec"], relay.kubectl.get("pods", "reader-i1")["spec"]])
    assert "s3cret" not in stored


def test_the_sdk_reads_it_and_a_run_without_one_says_so(relay: Relay) -> None:
    add_secret(relay.kubectl, "for-the-sdk")
    relay.define("Confidential")
    relay.run("with-it", "confidential", secret="for-the-sdk")
    relay.run("without-it", "confidential")

    assert relay.finished("with-it")["output"] == {"keys": ["password"], "length": 6}
    assert "names no Secret" in relay.finished("without-it")["message"]
    (record,) = relay.records("with-it")
    assert "s3cret" not in json.dumps(record)


def test_who_may_not_read_a_secret_cannot_hand_it_over(relay: Relay) -> None:
    add_secret(relay.kubectl, "guarded")
    add_secret(relay.kubectl, "free")
    relay.define_script("guarded", WRITE)
    stranger = account(relay.kubectl, "stranger")
    friend = account(relay.kubectl, "friend", "free")

    def refused(who: Kubectl, secret: str) -> bool:
        result = who.create(task_run(f"by-{secret}", "guarded", secret=secret), flags=("--dry-run=server",))
        return not result and f"may not pass the Secret {secret} to a task" in result.stderr

    eventually("the stranger is refused by the policy", lambda: refused(stranger, "guarded"))
    assert refused(friend, "guarded")
    assert refused(stranger, "no-such-secret")

    def is_taken() -> bool:
        return bool(friend.create(task_run("by-friend", "guarded", secret="free"), flags=("--dry-run=server",)))

    eventually("the friend hands over what he may read", is_taken)
    assert stranger.create(task_run("without", "guarded"), flags=("--dry-run=server",))


def test_it_cannot_be_named_later_or_changed(relay: Relay) -> None:
    add_secret(relay.kubectl, "first")
    relay.define_script("unchanged", WRITE, suspend=True)
    relay.run("has-one", "unchanged", secret="first")
    relay.run("has-none", "unchanged")

    for run, secret in (("has-one", "other"), ("has-one", None), ("has-none", "first")):
        patched = relay.kubectl.patch(TASK_RUNS, run, {"spec": {"secret": secret}})
        assert "spec.secret cannot be changed" in patched.stderr, str(patched)


def test_a_missing_one_is_told_and_the_run_goes_on_when_it_comes(relay: Relay) -> None:
    relay.define_script("patient", WRITE)
    relay.run("patient", "patient", secret="late")

    shown = relay.until("patient", "it is told", 60, reason="SecretMissing")
    assert "Secret late" in shown["message"]
    add_secret(relay.kubectl, "late")

    assert relay.finished("patient", 60)["output"] == {"password": "s3cret"}


def test_a_missing_one_fails_the_run_when_its_time_is_over(relay: Relay) -> None:
    relay.define_script("impatient", WRITE, pendingTimeoutSeconds=35)
    relay.run("impatient", "impatient", secret="never")

    status = relay.finished("impatient", 120)

    assert status["phase"] == "Failed"
    assert "Secret never" in status["message"]
