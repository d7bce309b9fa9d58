"""Random mutations against a real API server: each is answered with data, or with an error with a known code."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import graphql
import pytest
from graphql import DocumentNode, Visitor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes

from dev.harness.gateway import Answer, GatewayProcess, GraphQL
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, task_definition, task_run
from dev.harness.waiting import eventually
from podrelay.gateway import errors
from podrelay.gateway.errors import GatewayError, InternalError
from podrelay.gateway.schema.build import build
from tests.support.schedules import task_schedule

pytestmark = pytest.mark.integration

KNOWN = {
    kind.code
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, GatewayError) and kind not in {GatewayError, InternalError}
}
INTERNALS = ("Traceback", "Internal", "site-packages", ".py", "msgspec", "aiohttp")
PROBLEM = "problem"
"""The alias of each mutation's error."""
RUNS = [f"run-{number}" for number in range(12)]
WIDE = ("--max-depth=100", "--max-aliases=1000", "--max-tokens=100000", "--max-document=1000000")
EXAMPLES = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Shop:
    """A namespace with runs in all states, and a user who may do everything with them."""

    gateway: GatewayProcess
    user: GraphQL


@pytest.fixture(scope="module")
def shop(shared: Kubectl, admin: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shared.do("create", "serviceaccount", "clerk")
    for role in ("podrelay-user", "podrelay-settings"):
        account = f"--serviceaccount={shared.namespace}:clerk"
        shared.do("create", "rolebinding", role, f"--clusterrole={role}", account)
    schedules = [task_schedule(name) for name in ("nightly", "weekly")]
    made = [task_run(name, input={"n": None}, suspend=number % 3 == 0) for number, name in enumerate(RUNS)]
    assert shared.create(task_definition("count-words"), task_definition("hidden", private=True), *schedules, *made)
    for name in RUNS[::2]:
        assert shared.set_status(TASK_RUNS, name, {"phase": "Succeeded", "finishedAt": "2026-11-24T10:00:00Z"})
    token = shared.do("create", "token", "clerk").strip()
    with GatewayProcess(admin.kubeconfig, tmp_path_factory.mktemp("gateway"), WIDE) as gateway:
        user = gateway.as_token(token, shared.namespace)
        eventually(
            "all is seen",
            lambda: user.inside("listTasks { meta { totalCount } }")["listTasks"]["meta"]["totalCount"] == len(RUNS),
        )
        yield Shop(gateway, user)
        assert token not in gateway.text
        assert not any(words in gateway.text for words in ("internal error", "Traceback")), gateway.text


def assert_clean(answer: Answer, asked: object) -> None:
    """Check that there is data, or errors with known codes; only if the document is invalid, errors without a code."""
    text = json.dumps(answer.body)
    shown = f"{asked}\n-> {answer.status} {text}"
    assert answer.status == 200, shown
    assert not any(words in text for words in INTERNALS), shown
    data = answer.body.get("data")
    for error in answer.body.get("errors", []):
        code = error.get("extensions", {}).get("code")
        assert code in KNOWN or (code is None and data is None), shown
    for result in ((data or {}).get("backgroundTasks") or {}).values():
        if result and result[PROBLEM]:
            assert result[PROBLEM]["code"] in KNOWN, shown


# --- random arguments -------------------------------------------------------------------------------------------------

TEXTS = st.text(max_size=40)
IDS = st.sampled_from([*RUNS, "nightly", "weekly", "missing", "", "../x", "a/b", "*"]) | TEXTS
DEFINITIONS = st.sampled_from(["countWords", "count-words", "hidden", "missing"]) | TEXTS
NUMBERS = st.sampled_from([0, 1, -1, 0.5, 30_672_000, 1e308]) | st.integers() | st.floats(allow_nan=False)
DATES = st.datetimes().map(lambda moment: moment.isoformat()) | st.just("2026-11-24T10:00:00Z")
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)

SCHEDULED = {"schedules": [{"cron": "@yearly"}], "run": {"definition": "count-words"}}

ARGUMENTS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "definition": ("String!", DEFINITIONS),
    "id": ("ID!", IDS),
    "ids": ("[ID!]", st.none() | st.lists(IDS, max_size=5)),
    "search": ("String", st.none() | TEXTS),
    "limit": ("Int", st.none() | st.integers(-1, 3)),
    "input": ("JSON", JSONS | st.dictionaries(TEXTS, JSONS, max_size=3)),
    "overrides": ("JSON", JSONS | st.dictionaries(st.sampled_from(["env", "retry", "maxIterations"]), JSONS)),
    "spec": ("JSON!", JSONS.filter(lambda value: value is not None) | st.just(SCHEDULED)),
    "name": ("String", st.none() | TEXTS | st.just("x" * 300)),
    "delay": ("Number", st.none() | NUMBERS.filter(lambda number: abs(number) != float("inf"))),
    "startAt": ("DateTime", st.none() | DATES | TEXTS),
    "parent": ("ID", st.none() | IDS),
    "idempotencyKey": ("String", st.none() | st.sampled_from(["k", ""]) | TEXTS),
    "message": ("String", st.none() | TEXTS | st.just("x" * 5000)),
    "cascade": ("Boolean!", st.booleans()),
    "suspend": ("Boolean!", st.booleans()),
    "note": ("String", st.none() | TEXTS | st.just("x" * 5000)),
    "start": ("DateTime!", DATES),
    "until": ("DateTime!", DATES),
    "startsPerMinute": ("Int!", st.integers(-1, 100_000)),
    "signal": ("String!", st.sampled_from(["payment", "go"]) | TEXTS | st.just("x" * 64)),
    "payload": ("JSON", JSONS | st.dictionaries(TEXTS, JSONS, max_size=3)),
    "decision": ("BackgroundTaskDecision", st.sampled_from([None, "APPROVE", "REJECT"])),
    "retentionDays": ("Int", st.none() | st.integers(-(2**31), 2**31 - 1) | st.integers(-1, 3651)),
}
ERROR = f"{PROBLEM}: error {{ code message data }}"
TASK = f"{{ data {{ id taskStatus name input parent {{ id }} }} {ERROR} }}"
MANY = f"{{ data {{ id ok data {{ id }} error {{ code }} }} succeeded failed {ERROR} }}"
SCHEDULE = f"{{ data {{ id suspended nextTimes }} {ERROR} }}"
FIELDS = {
    "triggerTask": f"(definition: $definition, input: $input, name: $name, delay: $delay, startAt: $startAt,"
    f" parent: $parent, idempotencyKey: $idempotencyKey, overrides: $overrides) {TASK}",
    "rerunTask": f"(id: $id, input: $input, name: $name, overrides: $overrides) {TASK}",
    "rescheduleTask": f"(id: $id, startAt: $startAt, delay: $delay) {TASK}",
    "abortTask": f"(id: $id, message: $message, cascade: $cascade) {TASK}",
    "suspendTask": f"(id: $id, suspend: $suspend) {TASK}",
    "deleteTask": f"(id: $id, cascade: $cascade) {{ data {ERROR} }}",
    "signalTask": f"(id: $id, signal: $signal, payload: $payload, decision: $decision, idempotencyKey: $idempotencyKey)"
    f" {{ data {{ id task signal payload decision sender phase }} {ERROR} }}",
    "abortTasks": f"(ids: $ids, search: $search, limit: $limit, message: $message, cascade: $cascade) {MANY}",
    "suspendTasks": f"(ids: $ids, search: $search, limit: $limit, suspend: $suspend) {MANY}",
    "rerunTasks": f"(ids: $ids, search: $search, limit: $limit) {MANY}",
    "deleteTasks": f"(ids: $ids, cascade: $cascade) {MANY}",
    "createSchedule": f"(id: $id, spec: $spec) {SCHEDULE}",
    "updateSchedule": f"(id: $id, spec: $spec) {SCHEDULE}",
    "triggerSchedule": f"(id: $id, input: $input, idempotencyKey: $idempotencyKey) {TASK}",
    "backfillSchedule": f"(id: $id, start: $start, until: $until, startsPerMinute: $startsPerMinute, name: $name)"
    f" {SCHEDULE}",
    "stopBackfill": f'(id: $id, name: "week") {SCHEDULE}',
    "suspendSchedule": f"(id: $id, suspend: $suspend, note: $note) {SCHEDULE}",
    "deleteSchedule": f"(id: $id) {{ data {ERROR} }}",
    "updateSettings": f"(input: {{retentionDays: $retentionDays}}) {{ data {{ retentionDays }} {ERROR} }}",
}


VALUES = st.fixed_dictionaries({name: strategy for name, (_, strategy) in ARGUMENTS.items()})


@EXAMPLES
@given(field=st.sampled_from(sorted(FIELDS)), values=VALUES)
def test_random_arguments_are_answered_by_data_or_a_known_error(shop: Shop, field: str, values: dict[str, Any]) -> None:
    used = {name: value for name, value in values.items() if re.search(rf"\${name}\b", FIELDS[field])}
    variables = ", ".join(f"${name}: {ARGUMENTS[name][0]}" for name in used)
    document = f"mutation({variables}) {{ backgroundTasks {{ {field}{FIELDS[field]} }} }}"

    assert_clean(shop.user.ask(document, **used), (field, used))


# --- random documents -------------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[_A-Za-z][_0-9A-Za-z]{0,8}", fullmatch=True)
SCALARS = {
    "Number": st.integers().map(nodes.Int) | st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float),
    "DateTime": DATES.map(nodes.String),
    "JSON": st.recursive(
        st.integers().map(nodes.Int) | TEXTS.map(nodes.String) | st.booleans().map(nodes.Boolean) | st.just(nodes.Null),
        lambda inner: (
            st.lists(inner, max_size=3).map(nodes.List)
            | st.dictionaries(NAMES, inner, max_size=3).map(
                lambda found: nodes.Object(
                    [
                        graphql.ObjectFieldNode(name=graphql.NameNode(value=name), value=value)
                        for name, value in found.items()
                    ]
                )
            )
        ),
        max_leaves=6,
    ),
}
SCHEMA = build().as_str()


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Generate mutations of all kinds, mostly with ids of existing tasks."""

    class Known(Visitor):
        """Replaces random ids by those of existing tasks, and adds the code of each error."""

        def leave_field(self, node: graphql.FieldNode, *_: object) -> graphql.FieldNode | None:
            if node.name.value not in FIELDS or node.selection_set is None:
                return None
            (problem,) = graphql.parse(f"{{ {PROBLEM}: error {{ code }} }}").definitions
            assert isinstance(problem, graphql.OperationDefinitionNode)
            asked = (*node.selection_set.selections, *problem.selection_set.selections)
            return graphql.FieldNode(
                alias=node.alias,
                name=node.name,
                arguments=node.arguments,
                directives=node.directives,
                selection_set=graphql.SelectionSetNode(selections=asked),
            )

        def enter_argument(self, node: graphql.ArgumentNode, *_: object) -> graphql.ArgumentNode | None:
            known = {"id": IDS, "parent": IDS, "definition": DEFINITIONS}.get(node.name.value)
            if known is None or not isinstance(node.value, graphql.StringValueNode):
                return None
            return graphql.ArgumentNode(name=node.name, value=nodes.String(draw(known)))

    def itself(document: DocumentNode) -> DocumentNode:
        return document

    return graphql.print_ast(graphql.visit(draw(mutations(SCHEMA, custom_scalars=SCALARS, print_ast=itself)), Known()))


@EXAMPLES
@given(document=documents())
def test_random_mutations_are_answered_by_data_or_a_known_error(shop: Shop, document: str) -> None:
    assert_clean(shop.user.ask(document), document)
