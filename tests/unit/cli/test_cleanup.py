"""`podrelay cleanup` removes only Podrelay's finalizer, even if the pod changes in the meantime."""

import json
from typing import Any

import pytest

from podrelay.api import names
from podrelay.cli import cleanup
from podrelay.kube.resources import PODS
from podrelay.local.memory_client import run
from tests.support.modelapi import ModelApi
from tests.unit.operator.builders import NOW

FOREIGN = "example.com/audit"


class BusyApi(ModelApi):
    """Another client changes the pod right before its first patch, or deletes it."""

    def __init__(self, happens: str) -> None:
        super().__init__(NOW)
        self.happens = happens
        self.patches = 0

    async def patch(self, *arguments: Any, **options: Any) -> bytes:
        self.patches += 1
        if self.patches == 1:
            if self.happens == "labels":
                self.change("pods", "words-i1", {"metadata": {"labels": {"seen": "yes"}}})
            else:
                self.remove("pods", "words-i1")
        return await super().patch(*arguments, **options)


def held(api: ModelApi) -> cleanup._Metadata:
    metadata = {"name": "words-i1", "finalizers": [FOREIGN, names.ANSWER_FINALIZER]}
    body = json.loads(run(api.create(PODS, "shop", {"metadata": metadata, "spec": {}, "status": {}})))
    return cleanup._decode(json.dumps(body)).metadata


def test_a_pod_that_changes_in_the_meantime_is_released() -> None:
    api = BusyApi("labels")

    run(cleanup._release(api, held(api)))

    assert api.read("pods", "words-i1")["metadata"]["finalizers"] == [FOREIGN]
    assert api.patches == 2


def test_a_pod_that_is_deleted_in_the_meantime_is_ignored() -> None:
    api = BusyApi("removed")

    run(cleanup._release(api, held(api)))

    assert api.patches == 1


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    from podrelay.cli import main

    with pytest.raises(SystemExit):
        main.run(["cleanup", "--help"])

    out = " ".join(capsys.readouterr().out.split())
    assert "remove the finalizer podrelay.dev/answer from the pods of runs" in out
