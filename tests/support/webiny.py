"""Webiny's clients: the documents and headers that they send, and how they read answers.

The documents are written for these tests, after the facts of Webiny's: names, variables with their types, and selected
fields.
Sources: its repository at 5.39 to 5.41 (packages/tasks, api-headless-cms-es-tasks, app-serverless-cms), at 6.0 to 6.4
(packages/sdk, background-tasks, app), and its documentation of 5.x.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import FieldNode, NameNode, OperationDefinitionNode, SelectionSetNode, Visitor, parse, print_ast, visit

ORIGIN: Final = "https://admin.example"
"""The origin that serves the admin app."""

_WHO: Final = "createdBy { id displayName type }"
_LINES: Final = "items { message createdOn type data error }"
_META: Final = "meta { cursor hasMoreItems totalCount }"
_LISTED: Final = """$where: WebinyBackgroundTaskListWhereInput, $sort: [WebinyBackgroundTaskListSorter!],
    $limit: Int, $after: String"""
_LISTED_LOGS: Final = """$where: WebinyBackgroundTaskLogListWhereInput, $sort: [WebinyBackgroundTaskLogListSorter!],
    $limit: Int, $after: String"""
_PAGE: Final = "where: $where, sort: $sort, limit: $limit, after: $after"


def _inside(operation: str, field: str, selected: str) -> str:
    return f"{operation} {{ backgroundTasks {{ {field} {{ {selected} }} }} }}"


# --- the SDK of 6 -----------------------------------------------------------------------------------------------------

_OF_SDK: Final = "error { message code }"
_RUN_OF_SDK: Final = """id startedOn finishedOn name definitionId iterations parentId executionName eventResponse
    taskStatus input output"""

SDK_DEFINITIONS: Final = _inside(
    "query ListTaskDefinitions", "listDefinitions", f"data {{ id title description }} {_OF_SDK}"
)
SDK_TASKS: Final = _inside("query ListTasks", "listTasks", f"data {{ {_RUN_OF_SDK} }} {_OF_SDK}")
SDK_LOGS: Final = _inside(
    "query ListBackgroundTaskLogs($where: BackgroundTaskLogListWhereInput)",
    "listLogs(where: $where)",
    f"data {{ id createdOn executionName iteration {_LINES} }} {_OF_SDK}",
)
_SDK_TRIGGER: Final = _inside(
    "mutation TriggerTask($definition: %s!, $input: JSON)",
    "triggerTask(definition: $definition, input: $input)",
    f"data {{ {_RUN_OF_SDK} }} {_OF_SDK}",
)
SDK_TRIGGER: Final = _SDK_TRIGGER.replace("%s", "WebinyBackgroundTaskDefinitionEnum")
SDK_TRIGGER_BY_STRING: Final = _SDK_TRIGGER.replace("%s", "String")
"""As in its first version, and in the draft of its next one."""
SDK_ABORT: Final = _inside(
    "mutation AbortTask($id: ID!, $message: String)",
    "abortTask(id: $id, message: $message)",
    f"data {{ createdOn savedOn {_RUN_OF_SDK} }} {_OF_SDK}",
)

# --- the admin app of 6 -----------------------------------------------------------------------------------------------

_OF_ADMIN: Final = "error { code message data }"
_TASK_OF_ADMIN: Final = f"""id createdOn savedOn {_WHO} name definitionId parentId executionName iterations input output
    taskStatus startedOn finishedOn eventResponse"""

ADMIN_TASKS: Final = _inside(
    f"query ListTasks({_LISTED}, $search: String)",
    f"listTasks({_PAGE}, search: $search)",
    f"data {{ {_TASK_OF_ADMIN} }} {_META} {_OF_ADMIN}",
)
ADMIN_TASK: Final = _inside("query GetTask($id: ID!)", "getTask(id: $id)", f"data {{ {_TASK_OF_ADMIN} }} {_OF_ADMIN}")
ADMIN_LOGS: Final = _inside(
    f"query ListBackgroundTaskLogs({_LISTED_LOGS})",
    f"listLogs({_PAGE})",
    f"data {{ id createdOn executionName iteration {_LINES} }} {_META} {_OF_ADMIN}",
)
ADMIN_DEFINITIONS: Final = _inside(
    "query ListTaskDefinitions", "listDefinitions", f"data {{ id title description }} {_OF_ADMIN}"
)
ADMIN_ABORT: Final = _inside(
    "mutation AbortTask($id: ID!, $message: String)",
    "abortTask(id: $id, message: $message)",
    f"data {{ {_TASK_OF_ADMIN} }} {_OF_ADMIN}",
)
ADMIN_DELETE: Final = _inside("mutation DeleteTask($id: ID!)", "deleteTask(id: $id)", f"data {_OF_ADMIN}")
ADMIN_SETTINGS: Final = _inside(
    "query GetBackgroundTaskSettings", "getSettings", f"data {{ retentionDays }} {_OF_ADMIN}"
)
ADMIN_SET: Final = _inside(
    "mutation UpdateBackgroundTaskSettings($input: UpdateBackgroundTaskSettingsInput!)",
    "updateSettings(input: $input)",
    f"data {{ retentionDays }} {_OF_ADMIN}",
)

# --- its tests --------------------------------------------------------------------------------------------------------

_OF_TESTS: Final = "error { message code data }"
_TASK_OF_TESTS: Final = f"""id definitionId name taskStatus createdOn savedOn eventResponse {_WHO} startedOn finishedOn
    input logs {{ id createdOn {_WHO} executionName iteration {_LINES} }}"""
_LOGS_OF_TESTS: Final = _inside(
    f"query ListTaskLogs({_LISTED_LOGS})",
    f"listLogs({_PAGE})",
    f"data {{ id createdOn {_WHO} task {{ id }} executionName iteration {_LINES} }} {_META} {_OF_TESTS}",
)

TESTS5_DEFINITIONS: Final = _inside(
    "query ListDefinitions", "listDefinitions", f"data {{ id title description fields }} {_OF_TESTS}"
)
TESTS_TASKS: Final = _inside(
    f"query ListTasks({_LISTED})", f"listTasks({_PAGE})", f"data {{ {_TASK_OF_TESTS} }} {_META} {_OF_TESTS}"
)
"""The same in 5 and 6."""
TESTS5_LOGS: Final = _LOGS_OF_TESTS
TESTS6_DEFINITIONS: Final = _inside(
    "query ListDefinitions", "listDefinitions", f"data {{ id title description }} {_OF_TESTS}"
)
TESTS6_LOGS: Final = _LOGS_OF_TESTS.replace("items {", "items { _id")
TESTS6_TRIGGER: Final = _inside(
    "mutation TriggerTask($definition: String!, $input: JSON, $name: String, $delay: Number)",
    "triggerTask(definition: $definition, input: $input, name: $name, delay: $delay)",
    f"data {{ {_TASK_OF_TESTS} }} {_OF_TESTS}",
)
TESTS6_ABORT: Final = _inside(
    "mutation AbortTask($id: ID!)", "abortTask(id: $id)", f"data {{ {_TASK_OF_TESTS} }} {_OF_TESTS}"
)
TESTS6_TASK: Final = _inside("query GetTask($id: ID!)", "getTask(id: $id)", f"data {{ {_TASK_OF_TESTS} }} {_OF_TESTS}")
TESTS6_SETTINGS: Final = ADMIN_SETTINGS
TESTS6_SET: Final = ADMIN_SET

# --- the documentation and examples of 5 ------------------------------------------------------------------------------

_OF_DOCS: Final = "error { message code data stack }"
_ID: Final = "TASK_ID"
"""Placeholder for the id of a task."""

DOCS5_DEFINITIONS: Final = _inside(
    "query ListTaskDefinitions", "listDefinitions", f"data {{ id title description }} {_OF_DOCS}"
)
DOCS5_TASKS: Final = _inside("query ListTasks", "listTasks", f"data {{ {_RUN_OF_SDK} }} {_OF_DOCS}")
DOCS5_LOGS: Final = _inside(
    "query ListBackgroundTaskLogs",
    f'listLogs(where: {{ task: "{_ID}" }})',
    f"data {{ id createdOn executionName iteration {_LINES} }}",
)
DOCS5_TRIGGER: Final = _inside(
    "mutation TriggerATask",
    'triggerTask(definition: testingRun, input: { first: "a value", second: "another value" })',
    f"data {{ id definitionId executionName eventResponse taskStatus input }} {_OF_DOCS}",
)
DOCS5_ABORT: Final = _inside(
    "mutation AbortATask",
    f'abortTask(id: "{_ID}", message: "No longer needed")',
    f"data {{ id createdOn savedOn startedOn finishedOn definitionId iterations name input output }} {_OF_DOCS}",
)
EXAMPLE5_TRIGGER: Final = _inside(
    "mutation StartMockDataGenerator",
    'triggerTask(definition: "testingRun", input: { modelId: "cars", amount: 10000 })',
    f"data {{ id }} {_OF_TESTS}",
)
EXAMPLE5_ABORT: Final = _inside(
    "mutation AbortMockDataGenerator", f'abortTask(id: "{_ID}")', f"data {{ id }} {_OF_TESTS}"
)
EXAMPLE5_TASK: Final = _inside(
    "query GetMockDataGenerator", f'getTask(id: "{_ID}")', f"data {{ id taskStatus }} {_OF_TESTS}"
)
EXAMPLE5_CHILDREN: Final = _inside(
    "query ListChildMockDataCreators",
    f'listTasks(where: {{ parentId: "{_ID}" }})',
    f"data {{ id taskStatus }} {_OF_TESTS}",
)


def about(document: str, ident: str) -> str:
    """Return a document of the documentation with the id of a task."""
    return document.replace(_ID, ident)


# --- clients ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """A response.

    Attributes:
        status: the HTTP status.
        headers: the headers, by lower-case name.
        body: the decoded JSON; None if there is no body.
    """

    status: int
    headers: Mapping[str, str]
    body: Any


def send(url: str, method: str, headers: Mapping[str, str], body: bytes | None = None) -> Sent:
    """Send a request as it is."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = answer.read()
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Sent(answer.status, found, json.loads(text) if text else None)


def unwrap(body: Any) -> Any:
    """Return the data of the field below `backgroundTasks`; fail if there is an error, as the clients do."""
    assert "errors" not in body, body
    (answer,) = (value for name, value in body["data"]["backgroundTasks"].items() if name != "__typename")
    assert answer.get("error") is None, answer
    return answer["data"]


@dataclass(frozen=True)
class Sdk:
    """The SDK of Webiny 6, on a server: it sends one operation per request."""

    url: str
    token: str
    tenant: str

    def execute(self, query: str, **variables: Any) -> Any:
        """Return the data, as its methods do; variables that are None are omitted from the JSON, as in JavaScript."""
        answer = self.send(query, **variables)
        assert answer.status == 200, answer
        return unwrap(answer.body)

    def send(self, query: str, **variables: Any) -> Sent:
        """Send an operation."""
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.token}",
            "x-tenant": self.tenant,
            "x-webiny-sdk": "v6",
        }
        given = {name: value for name, value in variables.items() if value is not None}
        return send(f"{self.url}/graphql", "POST", headers, json.dumps({"query": query, "variables": given}).encode())


@dataclass(frozen=True)
class Admin6:
    """The admin app of Webiny 6, in a browser: it sends one operation, or a batch of up to ten queued within 10 ms."""

    url: str
    token: str
    tenant: str

    def execute(self, query: str, **variables: Any) -> Any:
        """Send one operation and return the data."""
        (operation,) = parse(query).definitions
        assert isinstance(operation, OperationDefinitionNode)
        assert operation.name is not None
        body = {"query": query, "variables": variables, "operationName": operation.name.value}
        return unwrap(self._posted(body))

    def batch(self, *operations: tuple[str, dict[str, Any]]) -> list[Any]:
        """Send several operations in one request and return their answers."""
        found = self._posted([{"query": query, "variables": variables} for query, variables in operations])
        assert isinstance(found, list), found
        return found

    def _posted(self, body: Any) -> Any:
        answer = posted_by_a_browser(self.url, self._headers(), body)
        assert answer.status == 200, answer
        return answer.body

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "authorization": f"Bearer {self.token}", "x-tenant": self.tenant}


@dataclass(frozen=True)
class Admin5:
    """The admin app of Webiny 5, in a browser: Apollo, which sends only batches and queries `__typename` everywhere."""

    url: str
    token: str
    tenant: str

    def execute(self, *operations: tuple[str, dict[str, Any]]) -> list[Any]:
        """Send operations in one request and return their answers."""
        headers = {
            "accept": "*/*",
            "content-type": "application/json",
            "authorization": f"Bearer {self.token}",
            "x-tenant": self.tenant,
            "x-i18n-locale": "en-US",
        }
        answer = posted_by_a_browser(self.url, headers, [*self._bodies(operations)])
        assert answer.status == 200, answer
        assert isinstance(answer.body, list), answer
        return answer.body

    @staticmethod
    def _bodies(operations: tuple[tuple[str, dict[str, Any]], ...]) -> Iterator[dict[str, Any]]:
        for query, variables in operations:
            document = parse(query)
            (operation,) = document.definitions
            assert isinstance(operation, OperationDefinitionNode)
            name = operation.name.value if operation.name else None
            yield {"operationName": name, "variables": variables, "query": print_ast(visit(document, _TypeNames()))}


class _TypeNames(Visitor):
    """Adds `__typename` to each selection of fields, except at the root."""

    def enter_selection_set(self, node: SelectionSetNode, _: Any, parent: Any, *__: Any) -> SelectionSetNode | None:
        if isinstance(parent, OperationDefinitionNode):
            return None
        name = FieldNode(name=NameNode(value="__typename"), arguments=(), directives=())
        return SelectionSetNode(selections=(*node.selections, name))


def posted_by_a_browser(url: str, headers: Mapping[str, str], body: Any) -> Sent:
    """Send a request with credentials from a page of another origin, after a preflight request, as browsers do."""
    simple = {"accept"}
    asked = ",".join(sorted(name.lower() for name in headers if name.lower() not in simple))
    preflight = send(
        f"{url}/graphql",
        "OPTIONS",
        {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked},
    )
    allowed = {name.strip().lower() for name in preflight.headers.get("access-control-allow-headers", "").split(",")}
    assert 200 <= preflight.status < 300, preflight
    assert set(asked.split(",")) <= allowed, preflight
    _check_may_be_read(preflight)
    answer = send(f"{url}/graphql", "POST", {**headers, "Origin": ORIGIN}, json.dumps(body).encode())
    _check_may_be_read(answer)
    return answer


def _check_may_be_read(answer: Sent) -> None:
    """Check the headers without which a browser hides the answer to a request with credentials."""
    assert answer.headers.get("access-control-allow-origin") == ORIGIN, answer
    assert answer.headers.get("access-control-allow-credentials") == "true", answer
