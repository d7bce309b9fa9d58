"""Search for requests that block the gateway's event loop: documents, variables and bodies within the limit of a body.

Half of the requests are generated at random from kinds that were once slow, and half are variations of the slowest ones
found so far. For a longer search run `python -m tests.support.documentsearch --seconds 600`; `--seed` repeats a search.
"""

import argparse
import heapq
import itertools
import json
import pickle
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from graphql import get_introspection_query

from tests.support.heldloop import HeldLoop

PROMISED: Final = 0.05
"""Seconds for which one request may block the event loop."""
MAX_BODY: Final = 1024 * 1024
_WORST: Final = 20
_CONFIRMATIONS: Final = 4
_TOKEN: Final = re.compile(r"[A-Za-z_0-9]+|\s+|.", re.DOTALL)
_TASK: Final = """id name definitionId taskStatus createdOn savedOn startedOn finishedOn iterations reason message
    parentId executionName podName namespace suspended attempts disruptions createdBy { id displayName type }
    progress { percent message } eventResponse"""
_FIELDS: Final = (
    "id",
    "__typename",
    _TASK,
    "parent { id parent { id } }",
    "children(limit: 3) { data { id } meta { totalCount } }",
    "logs { id iteration task { id } }",
    "logs(limit: 2) { items { message } }",
    "input",
    "output",
    "history { id iteration answer message errorCode nodeName waitSeconds }",
    "history(limit: 3) { input output exitCode console { text } pod { phase reason exitCode } }",
    "diagnosis { meaning advice link } isStalled version hooks { name } failure { message }",
    "queue { position waiting active }",
    "childCounts { status count } failedLeaf { id } ancestors { id name }",
    "failedLeaf { failedLeaf { id } ancestors { ancestors { id } } }",
    "events { reason message lastOn }",
    "manifest",
)
_OVERVIEW: Final = """created finished { status count } failures { reason count } durations { median p95 }
    queueSeconds { p95 } iterations { longest } intervals { start created finished { status count } }"""
_PIECES: Final = (
    *(b"[],", b"{},", b"0,", b"1e300,", b"1.5,", b"1e300,1234567890123456789,"),
    *(b'"",', b'{"a":[]},', b"[[[[]]]],", b'"\\u0041",', b'"["'),
)
_OPERATORS: Final = ("", "_not", "_in", "_not_in", "_contains", "_startsWith", "_not_contains")


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        query: the document.
        variables: its variables.
        body: replaces both.
    """

    query: str = ""
    variables: dict[str, Any] | None = None
    body: bytes | None = None

    @property
    def sent(self) -> bytes:
        """The body of the request."""
        if self.body is not None:
            return self.body
        return json.dumps({"query": self.query, "variables": self.variables or {}}).encode()


@dataclass(frozen=True)
class Found:
    """The body of a request, and for how many seconds of CPU time it blocked the event loop."""

    sent: bytes
    held: float
    status: int

    def __str__(self) -> str:
        return f"{self.held * 1000:6.1f} ms, {self.status}, {len(self.sent)} bytes: {self.sent[:300]!r}"


Make = Callable[[random.Random], Case]


def _many(chance: random.Random) -> int:
    return int(10 ** chance.uniform(0.5, 4.5))


def _inside(text: str) -> str:
    return f"{{ backgroundTasks {{ {text} }} }}"


def _list(arguments: str = "", fields: str = "id", name: str = "listTasks") -> str:
    given = f"({arguments})" if arguments else ""
    return f"{name}{given} {{ data {{ {fields} }} meta {{ cursor totalCount }} error {{ code }} }}"


def _where(chance: random.Random) -> str:
    fields = ("name", "definitionId", "parentId", "executionName", "taskStatus", "reason", "id")
    entries = []
    for _ in range(chance.randint(1, 8)):
        operator = chance.choice(_OPERATORS[:4] if (field := chance.choice(fields)) == "id" else _OPERATORS)
        word = json.dumps(chance.choice(["run", "x" * chance.choice([1, 50, 5000]), "failed", "d1", "a"]))
        entries.append(f"{field}{operator}: {f'[{word}]' if operator.endswith('in') else word}")
    return "where: {" + ", ".join(dict.fromkeys(entries)) + "}"


def _same_field(chance: random.Random) -> Case:
    return Case("{ " + chance.choice(["__typename ", "backgroundTasks { __typename } ", "a "]) * _many(chance) + "}")


def _doubling(chance: random.Random) -> Case:
    count, times = chance.randint(2, 48), chance.randint(1, 4)
    what = chance.choice(["__typename", "a: __typename", "backgroundTasks { listTasks { data { id } } }"])
    inner = (f"fragment F{n} on Query {{ {f'...F{n + 1} ' * times} }}" for n in range(count))
    return Case("{ ...F0 } " + " ".join(inner) + f" fragment F{count} on Query {{ {what} }}")


def _crossing(chance: random.Random) -> Case:
    count = chance.randint(2, 60)
    spreads = " ".join(f"...F{n}" for n in range(count))
    inner = "backgroundTasks { listTasks { data { id } } } " * chance.randint(1, 5)
    return Case(f"{{ {spreads} }} " + " ".join(f"fragment F{n} on Query {{ {inner} }}" for n in range(count)))


def _circle(chance: random.Random) -> Case:
    count = chance.randint(1, 60)
    return Case(
        "{ ...F0 } " + " ".join(f"fragment F{n} on Query {{ ...F{(n + 1) % count} __typename }}" for n in range(count))
    )


def _aliases(chance: random.Random) -> Case:
    each = chance.choice(
        [
            _list("limit: 100", _TASK),
            _list('sort: [name_ASC], search: "a e i o u 1 2 3 import"'),
            _list(_where(chance), _TASK),
            _list("sort: [" + "name_DESC " * chance.randint(1, 10) + "]"),
            "statistics { data { total byStatus { status count } byDefinition { definitionId } byHour { created } } }",
            f'statistics(since: "2026-11-1{chance.randint(0, 9)}T00:00:00Z") {{ data {{ byHour {{ created }} }} }}',
            "listDefinitions { data { id title description maxIterations namespace } }",
            "listDefinitions { data { limits { retry { on } } statistics { successRate durations { p95 } } } }",
            "listDefinitions { data { id lastTasks(limit: 20) { id name ancestors { id } } readiness { message } } }",
            f'getDefinition(id: "d{chance.randint(0, 120)}") {{ data {{ manifest statistics {{ successRate }} }} }}',
            f'overview(since: "2026-11-{chance.randint(10, 24)}T00:00:00Z") {{ data {{ {_OVERVIEW} }} }}',
            f"overview(intervalSeconds: {chance.choice([60, 3600])}, "
            f'since: "20{chance.randint(10, 26)}-11-01T00:00:00Z") {{ data {{ {_OVERVIEW} }} error {{ code }} }}',
            f'getQueue(definition: "d{chance.randint(0, 120)}") {{ data {{ waitingTasks {{ {_TASK} }} active }} }}',
            "whoAmI { data { permissions { name allowed } namespaces } }",
            'validateInput(definition: "d1", input: {x: [1, 2, 3]}) { data { isValid } error { code } }',
            _list("limit: 100", "id items { message } task { " + _TASK + " }", "listLogs"),
        ]
    )
    return Case(_inside(" ".join(f"a{n}: {each}" for n in range(min(_many(chance), 40)))))


def _nested(chance: random.Random) -> Case:
    depth = min(_many(chance), 3000)
    return Case(
        chance.choice(["{ a " * depth + "}" * depth, _inside(_list("", "parent { " * depth + "id" + "}" * depth))])
    )


def _rows(chance: random.Random) -> Case:
    fields = " ".join(chance.choice(_FIELDS) for _ in range(chance.randint(1, 9)))
    limit = f"limit: {chance.choice([1, 50, 100, 1000])}"
    return Case(_inside(_list(f"{limit}, {_where(chance)}" if chance.random() < 0.3 else limit, fields)))


def _fields_of_rows(chance: random.Random) -> Case:
    """Many fields of each object that are resolved on their own."""
    field = chance.choice(
        ["manifest", "input", "logs { id }", "ancestors { id }", "childCounts { count }", "history(limit: 1) { id }"]
    )
    fields = " ".join(f"a{n}: {field}" for n in range(chance.choice([10, 28])))
    if chance.random() < 0.3:
        tasks = " ".join(f"a{n}: lastTasks(limit: 20) {{ id }}" for n in range(28))
        return Case(_inside(f"listDefinitions {{ data {{ {tasks} }} }}"))
    if chance.random() < 0.5:
        return Case(_inside(_list("limit: 10", f"children(limit: 100) {{ data {{ {fields} }} }}")))
    return Case(_inside(_list("limit: 100", fields)))


def _generations(chance: random.Random) -> Case:
    inner = "id"
    for _ in range(chance.randint(1, 5)):
        inner = f"id children(limit: {chance.choice([1, 10, 100])}) {{ data {{ {inner} }} meta {{ totalCount }} }}"
    return Case(_inside(_list("limit: 100", inner)))


def _unknown_entries(chance: random.Random) -> Case:
    names = (f"{chance.choice(['revisionFirstPublishedOn_betwee', 'nam', 'createdB_not_i'])}{n}" for n in range(9999))
    count = min(_many(chance), 9999)
    if chance.random() < 0.5:
        return Case(_inside(_list("where: {" + " ".join(f"{next(names)}: 1" for _ in range(count)) + "}")))
    query = "query($w: WebinyBackgroundTaskListWhereInput) " + _inside(_list("where: $w"))
    return Case(query, {"w": {next(names): 1 for _ in range(count)}})


def _values(chance: random.Random) -> Case:
    where, word = chance.choice(["name_not_in", "id_in", "taskStatus_in", "iterations_in", "createdOn_between"]), "x"
    values: list[Any] = [chance.choice([word, "run-1", "failed", 1, "2026-11-24T10:00:00Z", None, {}, []])] * _many(
        chance
    )
    query = "query($w: WebinyBackgroundTaskListWhereInput) " + _inside(_list("where: $w"))
    if chance.random() < 0.4:
        return Case(_inside(_list(f"where: {{ {where}: {json.dumps(values[:5000])} }}")))
    return Case(query, {"w": {where: values}})


def _search(chance: random.Random) -> Case:
    words = " ".join(chance.choice(["a", "e", "run", "import", f"w{n}", "İ" * 20]) for n in range(_many(chance)))
    return Case("query($s: String) " + _inside(_list("search: $s")), {"s": words})


def _sorters(chance: random.Random) -> Case:
    sorters = [chance.choice(["name_ASC", "createdOn_DESC", "values_startedOn_ASC", "nonsense"])] * _many(chance)
    return Case(
        "query($s: [WebinyBackgroundTaskListSorter!]) " + _inside(_list("sort: $s, limit: 100", _TASK)), {"s": sorters}
    )


def _cursor(chance: random.Random) -> Case:
    after = chance.choice(["x", "W", "=", "\x00"]) * _many(chance) * 10
    return Case("query($a: String) " + _inside(_list("after: $a")), {"a": after})


def _declared(chance: random.Random) -> Case:
    count = min(_many(chance), 4000)
    declared = " ".join(f"$v{n}: {chance.choice(['Int', '[[Int]]', 'JSON', 'Nope'])}" for n in range(count))
    return Case(f"query({declared}) {{ __typename }}", {f"v{n}": [n] * 3 for n in range(count)})


def _directives(chance: random.Random) -> Case:
    return Case(
        "{ __typename " + chance.choice(["@skip(if: false) ", "@nope ", "@include(if: true) "]) * _many(chance) + "}"
    )


def _text(chance: random.Random) -> Case:
    filling = chance.choice(["#", " ", "\n", ",", "\ufeff", '""" x """', '"\\u0041"', "{", "[", "(", "ä", "\ud800"])
    return Case("{ __typename } " + filling * _many(chance) * chance.choice([1, 10]))


def _schema(chance: random.Random) -> Case:
    inner = chance.choice(
        ["name", "fields { name args { name type { name } } type { name ofType { name } } }", "inputFields { name }"]
    )
    one = f"types {{ name {inner} }}"
    return chance.choice(
        [
            Case(get_introspection_query()),
            Case("{ __schema { " + " ".join(f"a{n}: {one}" for n in range(chance.randint(1, 30))) + "} }"),
            Case("{ __schema { types { fields { type { fields { type { name } } } } } } }"),
            Case("query($n: String!) { __type(name: $n) { name } }", {"n": "x" * _many(chance)}),
        ]
    )


def _operations(chance: random.Random) -> Case:
    return Case(" ".join(f"query Q{n} {_inside(_list())}" for n in range(min(_many(chance), 500))))


def _inputs(chance: random.Random) -> Case:
    filling: Any = chance.choice([0, [], {}, "x", None, 1e300, 2**70, 1.5, "[{"])
    payload = chance.choice([[filling] * _many(chance) * 4, {f"k{n}": filling for n in range(_many(chance))}])
    query = "mutation($i: JSON) " + _inside(
        'triggerTask(definition: "d1", input: $i) { data { id input } error { code } }'
    )
    return Case(query, {"i": {"x": payload}})


def _bulk(chance: random.Random) -> Case:
    field = chance.choice(["abortTasks", "suspendTasks", "rerunTasks", "deleteTasks"])
    shown = f"{{ data {{ id ok data {{ {_TASK} }} error {{ code }} }} meta {{ cursor totalCount }} error {{ code }} }}"
    if chance.random() < 0.5:
        ids = [chance.choice(["run-1", "missing", "x" * 300, "a/b"]) + str(n) for n in range(min(_many(chance), 300))]
        return Case(f"mutation($ids: [ID!]) {{ backgroundTasks {{ {field}(ids: $ids) {shown} }} }}", {"ids": ids})
    limit = chance.choice([1, 100, 1000])
    return Case(f"mutation {{ backgroundTasks {{ {field}(limit: {limit}, {_where(chance)}) {shown} }} }}")


def _body(chance: random.Random) -> Case:
    one = chance.choice(
        [
            b"[],",
            b"{},",
            b"0,",
            b'"",',
            b'{"a":[]},',
            b"[[[[]]]],",
            b'"\\u0041",',
            b"1e300,",
            b"1.5,",
            b"1e300,1234567890123456789,",
        ]
    )
    inner = one * ((MAX_BODY - 100) // len(one))
    return Case(
        body=chance.choice(
            [b'{"query":"{__typename}","variables":{"a":[' + inner + b"0]}}", b"[" * 10**6, b"{" + inner]
        )
    )


_SINGLE: Final[tuple[Make, ...]] = (
    _same_field,
    _doubling,
    _crossing,
    _circle,
    _aliases,
    _aliases,
    _aliases,
    _nested,
    _rows,
    _rows,
    _fields_of_rows,
    _generations,
    _unknown_entries,
    _values,
    _search,
    _sorters,
    _cursor,
    _declared,
    _directives,
    _text,
    _schema,
    _operations,
    _inputs,
    _bulk,
    _body,
)


def _batch(chance: random.Random) -> Case:
    make = chance.choice(_SINGLE)
    made = (make(chance) for _ in range(chance.choice([2, 10, 10, 11])))
    operations = [{"query": one.query, "variables": one.variables or {}} for one in made]
    return Case(body=json.dumps(operations).encode()[:MAX_BODY])


KINDS: Final[tuple[Make, ...]] = (*_SINGLE, _batch, _batch, _batch)


def changed(case: Case, chance: random.Random) -> Case:
    """Return a variation of a request: a piece of it is repeated, removed, or copied to another place."""
    if case.body is not None:
        return case
    if case.variables and chance.random() < 0.4:
        return replace(case, variables={name: _more(value, chance) for name, value in case.variables.items()})
    tokens = _TOKEN.findall(case.query)
    first = chance.randrange(len(tokens) + 1)
    last = min(len(tokens), first + int(10 ** chance.uniform(0, 2.5)))
    piece = tokens[first:last]
    match chance.randrange(3):
        case 0:
            tokens[first:last] = piece * chance.randint(2, 30)
        case 1:
            tokens[first:last] = []
        case _:
            tokens[(place := chance.randrange(len(tokens) + 1)) : place] = piece
    return replace(case, query="".join(tokens)[: MAX_BODY - 1000])


def _more(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list | str):
        return (value * chance.randint(1, 4))[:200_000]
    if isinstance(value, dict):
        return {name: _more(inner, chance) for name, inner in value.items()}
    return value


def search(gateway: HeldLoop, seed: int, is_over: Callable[[int], bool]) -> Iterator[Found]:
    """Send requests and yield each of them with its result.

    Args:
        gateway: the gateway to send them to.
        seed: the seed of the search.
        is_over: called with the number of requests; returns whether the search ends.
    """
    chance, tried = random.Random(seed), 0
    # As bytes: the lists in the variables would be visited by each garbage collection of the gateway.
    worst: list[tuple[float, bytes]] = []
    while not is_over(tried):
        is_new = tried < len(KINDS) or not worst or chance.random() < 0.5
        make = KINDS[tried] if tried < len(KINDS) else chance.choice(KINDS)
        case = make(chance) if is_new else changed(pickle.loads(chance.choice(worst)[1]), chance)
        tried += 1
        sent, kept = case.sent, pickle.dumps(case)
        del case
        if len(sent) > MAX_BODY:
            continue
        answer = gateway.post(sent)
        held = answer.held if answer.held <= PROMISED else _confirmed(gateway, sent, answer.held)
        worst = sorted([*worst, (held, kept)], reverse=True)[:_WORST]
        yield Found(sent, held, answer.status)


def _confirmed(gateway: HeldLoop, sent: bytes, held: float) -> float:
    """Send a request again, and return the median: on a virtual machine, CPU time includes that of its neighbours."""
    return statistics.median([held, *(gateway.post(sent).held for _ in range(_CONFIRMATIONS))])


def main() -> int:
    """Search, print the slowest requests, and return 1 if one of them took longer than promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--save", type=Path, help="folder for the bodies of the slowest requests")
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.seconds
    number = itertools.count()
    with HeldLoop(arguments.runs) as gateway:
        # Only the slowest are kept: what this process holds, the garbage collector of the gateway has to visit.
        found = heapq.nlargest(
            10,
            search(gateway, arguments.seed, lambda _: time.monotonic() >= until),
            key=lambda one: (one.held, next(number)),
        )
    print(f"{next(number)} requests, seed {arguments.seed}; the slowest ones blocked the event loop for")
    for place, one in enumerate(found, 1):
        print(one)
        if arguments.save is not None:
            arguments.save.mkdir(parents=True, exist_ok=True)
            (arguments.save / f"{arguments.seed}-{place}.json").write_bytes(one.sent)
    return int(found[0].held > PROMISED)


if __name__ == "__main__":
    sys.exit(main())
