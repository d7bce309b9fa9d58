"""Turn the text of a document into one that can be executed: check its limits, parse, validate and cache it.

This runs outside the event loop, because a document of a few KiB takes a tenth of a second. Only valid documents are
cached, up to a limit of bytes: an invalid one is processed again each time it is sent.
"""

import asyncio
from collections import OrderedDict
from functools import partial
from typing import Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    Lexer,
    Node,
    NoSchemaIntrospectionCustomRule,
    Source,
    Token,
    specified_rules,
)
from graphql.language.parser import Parser

from podrelay.gateway.documents import shapes
from podrelay.gateway.documents.shapes import DocumentLimits
from podrelay.gateway.documents.spellings import normalise
from podrelay.gateway.documents.validating import validate
from podrelay.gateway.errors import LimitError
from podrelay.gateway.event_loop.offloop import OffLoop

KEPT_BYTES: Final = 4 * 1024 * 1024
"""Estimated memory for valid documents: 100 of the usual size. Garbage collections traverse them now and then."""
TOKEN_BYTES: Final = 400
"""The memory that a parsed document needs for each token, at most."""
_TOO_MANY_TOKENS: Final = "Syntax Error: Document contains more than"
_TOO_DEEP: Final = "Syntax Error: Document is nested too deeply."
_MAX_ERRORS: Final = 10
_SUGGESTIONS: Final = 2
"""Up to this many mistakes get suggestions: one can take 50 ms, because inputs have hundreds of fields."""


class InvalidError(Exception):
    """A document with mistakes.

    Attributes:
        errors: the errors that the caller sees.
    """

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors)
        self.errors = errors


class Reader:
    """Parses, validates and caches documents for one schema.

    Args:
        schema: the schema.
        limits: the limits of a document.
        kept_bytes: memory for valid documents.
    """

    def __init__(self, schema: GraphQLSchema, limits: DocumentLimits, kept_bytes: int = KEPT_BYTES) -> None:
        self.schema = schema
        self._limits = limits
        self._left = kept_bytes
        self._kept: OrderedDict[str, tuple[DocumentNode, int]] = OrderedDict()
        self._reading: dict[tuple[str, str], asyncio.Task[DocumentNode]] = {}
        self._rules = [*specified_rules, *([] if limits.introspection else [NoSchemaIntrospectionCustomRule])]

    async def read(self, text: str, offloop: OffLoop, who: str) -> DocumentNode:
        """Return the document for `text`.

        Args:
            text: the text that was sent.
            offloop: where the work runs.
            who: the caller.

        Raises:
            LimitError: it exceeds a limit, or too many documents of this caller are being processed.
            InvalidError: it has mistakes.
        """
        if (kept := self._kept.get(text)) is not None:
            self._kept.move_to_end(text)
            return kept[0]
        # First of all. Characters before bytes: there are no more of them, and their number is known.
        if len(text) > self._limits.size or len(text.encode(errors="replace")) > self._limits.size:
            raise LimitError(
                f"The document is longer than the {self._limits.size} bytes that are allowed: put values into "
                "variables, and ask for less at once."
            )
        task = self._reading.get((who, text))
        if task is None:
            task = asyncio.create_task(self._read(text, offloop, who))
            self._reading[who, text] = task
            task.add_done_callback(lambda task: self._has_read(who, text, task))
        # The request that started it may be cancelled; others still wait.
        return await asyncio.shield(task)

    def _has_read(self, who: str, text: str, task: asyncio.Task[DocumentNode]) -> None:
        del self._reading[who, text]
        if not task.cancelled():
            task.exception()  # retrieved, in case no request waits any longer

    async def _read(self, text: str, offloop: OffLoop, who: str) -> DocumentNode:
        try:
            document, weight = await offloop.run(who, partial(self._work, text))
        except InvalidError as error:
            raise error.with_traceback(None) from None  # because the traceback refers to the document
        self._keep(text, document, weight)
        return document

    def _work(self, text: str) -> tuple[DocumentNode, int]:
        document, tokens = self._parsed(text)
        try:
            shapes.check(document, self._limits)
            normal = normalise(document)
            if errors := self._mistakes(normal):
                raise InvalidError(errors)
        finally:
            _unchain(document.loc.start_token if document.loc else None)
        _forget_places(normal)
        return normal, tokens * TOKEN_BYTES

    def _parsed(self, text: str) -> tuple[DocumentNode, int]:
        lexer = Lexer(Source(text))
        first, mistake = lexer.token, None
        try:
            document = Parser(lexer.source, max_tokens=self._limits.tokens, lexer=lexer).parse_document()
        except GraphQLError as error:
            # Not the syntax error itself, because strawberry would close a WebSocket for it.
            mistake = GraphQLError(error.message, source=error.source, positions=error.positions)
        except RecursionError:
            mistake = GraphQLError(_TOO_DEEP, source=lexer.source, positions=[lexer.token.start])
        if mistake is None:
            return document, _tokens(document)
        _unchain(first)
        if mistake.message.startswith(_TOO_MANY_TOKENS):
            raise LimitError(
                f"The document has more than the {self._limits.tokens} tokens that are allowed: put values into "
                "variables, and ask for less at once."
            )
        raise InvalidError([mistake])

    def _mistakes(self, document: DocumentNode) -> list[GraphQLError]:
        errors = validate(self.schema, document, self._rules, _MAX_ERRORS, hide_suggestions=True)
        if not 0 < len(errors) <= _SUGGESTIONS or not self._limits.introspection:
            return errors
        return validate(self.schema, document, self._rules, _MAX_ERRORS, hide_suggestions=False)

    def _keep(self, text: str, document: DocumentNode, weight: int) -> None:
        if text in self._kept:
            return
        self._left -= weight
        self._kept[text] = (document, weight)
        while self._left < 0:
            _, (_, freed) = self._kept.popitem(last=False)
            self._left += freed


def _unchain(first: Token | None) -> None:
    """Remove the references between the tokens of a document, which form cycles; errors keep their own positions."""
    token = first
    while token is not None:
        following, token.next, token.prev = token.next, None, None
        token = following


def _forget_places(document: DocumentNode) -> None:
    """Remove the positions in the text from a document.

    They take half of its memory, and each time a field of a long document fails, its line is searched; 1,000 fields can
    fail at once. Parsing it again without positions would leave as many tokens behind that refer to each other.
    """
    nodes: list[Node] = [document]
    while nodes:
        node = nodes.pop()
        object.__setattr__(node, "loc", None)  # nodes are frozen, but these are not shared yet
        for name in node.keys:
            value = getattr(node, name, None)
            if isinstance(value, Node):
                nodes.append(value)
            elif isinstance(value, list | tuple):
                nodes += [item for item in value if isinstance(item, Node)]


def _tokens(document: DocumentNode) -> int:
    count, token = 0, document.loc.start_token if document.loc else None
    while token is not None:
        count, token = count + 1, token.next
    return count
