"""The descriptions and enums of the schema, and the headers of all answers."""

import pytest
from graphql import GraphQLEnumType, is_object_type

from podrelay.gateway.http.server import HSTS, ServerOptions
from podrelay.gateway.schema.build import build
from podrelay.gateway.schema.words import OTHER, REASONS
from tests.unit.docs.test_troubleshooting import rows
from tests.unit.gateway.builders import run
from tests.unit.gateway.conftest import Gateway, Start

CORE = build().core


@pytest.mark.parametrize(
    "name", ["Query", "Mutation", "Subscription", "WebinyBackgroundTaskQuery", "WebinyBackgroundTaskMutation"]
)
def test_every_operation_is_described(name: str) -> None:
    kind = CORE.type_map[name]

    assert is_object_type(kind)
    assert {field for field, about in kind.fields.items() if not about.description} == set()


def test_the_enum_of_reasons_matches_the_page() -> None:
    kind = CORE.type_map["WebinyBackgroundTaskReason"]

    assert isinstance(kind, GraphQLEnumType)
    assert [*kind.values] == [*REASONS, OTHER]
    assert set(REASONS) == {reason for reason, _ in rows()}


@pytest.mark.parametrize(
    ("reason", "code"),
    [("Delayed", "Delayed"), ("ExitCode137", "ExitCode"), ("OutOfBeer", "Other"), (None, None), ("7", "Other")],
)
async def test_status_and_reason_are_also_enums(gateway: Gateway, reason: str | None, code: str | None) -> None:
    gateway.cache.runs.apply(run("words", phase="Failed", reason=reason))
    answer = await gateway.ask(
        '{ backgroundTasks { getTask(id: "words") { data { taskStatus phase reason reasonCode } } } }'
    )

    shown = {"taskStatus": "failed", "phase": "Failed", "reason": reason, "reasonCode": code}
    assert answer["data"]["backgroundTasks"]["getTask"]["data"] == shown


@pytest.mark.parametrize("is_tls", [True, False])
async def test_headers_forbid_storing_answers_and_going_without_tls(start: Start, *, is_tls: bool) -> None:
    gateway: Gateway = await start(options=ServerOptions("shop", is_tls=is_tls))
    answers = [
        await gateway.post({"query": "{ __typename }"}),
        await gateway.post({"query": "{ __typename }"}, token=None),
        await gateway.post(b"nonsense"),
        await gateway.client.get("/graphql"),
        await gateway.client.get("/nowhere"),
    ]

    assert [answer.status for answer in answers] == [200, 401, 400, 405, 404]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers.get("Strict-Transport-Security") == (HSTS if is_tls else None)
