"""Names that Webiny's clients spell differently are replaced by those of the schema, and nothing else changes."""

import pytest
from graphql import parse, print_ast

from podrelay.gateway.documents import spellings
from podrelay.gateway.schema.build import build

SELECTION = "{ data { id } }"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "mutation { backgroundTasks { triggerTask(definition: importProducts) { data { id } } } }",
            'mutation { backgroundTasks { triggerTask(definition: "importProducts") { data { id } } } }',
        ),
        (
            "mutation { backgroundTasks { x: triggerTask(name: $n, definition: importProducts) { data { id } } } }",
            'mutation { backgroundTasks { x: triggerTask(name: $n, definition: "importProducts") { data { id } } } }',
        ),
        (
            "fragment T on M { triggerTask(definition: a) { data { id } } } { backgroundTasks { ...T } }",
            'fragment T on M { triggerTask(definition: "a") { data { id } } } { backgroundTasks { ...T } }',
        ),
        (
            "mutation M($d: WebinyBackgroundTaskDefinitionEnum!) { a(definition: $d) }",
            "mutation M($d: String!) { a(definition: $d) }",
        ),
        (
            "mutation M($d: WebinyBackgroundTaskDefinitionEnum = importProducts) { a(definition: $d) }",
            'mutation M($d: String = "importProducts") { a(definition: $d) }',
        ),
        (
            "mutation M($d: [WebinyBackgroundTaskDefinitionEnum!]) { a(definition: $d) }",
            "mutation M($d: [String!]) { a(definition: $d) }",
        ),
        (
            "query Q($w: BackgroundTaskLogListWhereInput) { a(where: $w) }",
            "query Q($w: WebinyBackgroundTaskLogListWhereInput) { a(where: $w) }",
        ),
    ],
)
def test_names_of_clients_become_those_of_the_schema(written: str, expected: str) -> None:
    assert print_ast(spellings.normalise(parse(written))) == print_ast(parse(expected))


@pytest.mark.parametrize(
    "document",
    [
        "{ backgroundTasks { listTasks(sort: [createdOn_ASC, values_name_DESC]) { data { id } } } }",
        'mutation { backgroundTasks { triggerTask(definition: "x", input: {a: ENUM}) { data { id } } } }',
        "mutation { other(definition: importProducts) { id } }",
        "query Q($s: [WebinyBackgroundTaskListSorter!]) { a(sort: $s) }",
    ],
)
def test_everything_else_is_left_alone(document: str) -> None:
    assert print_ast(spellings.normalise(parse(document))) == print_ast(parse(document))


def test_webinys_names_are_in_the_schema() -> None:
    text = build().as_str()

    for name in (
        "type WebinyBackgroundTask {",
        "type WebinyBackgroundTaskListResponse {",
        "input WebinyBackgroundTaskListWhereInput {",
        "input WebinyBackgroundTaskLogListWhereInput {",
        "enum WebinyBackgroundTaskListSorter {",
        "enum WebinyBackgroundTaskLogListSorter {",
        "input UpdateBackgroundTaskSettingsInput {",
        "scalar Number",
        "scalar JSON",
        "scalar DateTime",
        "  taskStatus_not_startsWith: String",
        "  createdOn_not_between: [DateTime]",
        "  iterations_between: [Number]",
        "  values_startedOn_DESC",
        "  name_ASC",
    ):
        assert name in text
