"""What a GraphQL document may be: measured before it is validated, with fragments counted as often as they are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    TokenKind,
    VariableNode,
    parse,
)
from graphql.language import Lexer

MOST_CHARACTERS = 20_000
MOST_TOKENS = 2_000
MOST_NESTING = 40
"""Brackets within brackets; the parser calls itself for each."""
MOST_CHAIN = 20
"""Fragments that spread fragments."""
MOST_DEPTH = 10
MOST_ALIASES = 30
MOST_COST = 500
PRICES = {"ask": 150, "query": 25, "queryRange": 25, "timeseries": 25, "alerts": 25}
"""What a field costs beyond the 1 of every field."""
PAGE = 100
"""What is selected of `servers` costs as often as there are hundreds in its limit."""
OPENING = frozenset((TokenKind.BRACE_L, TokenKind.PAREN_L, TokenKind.BRACKET_L))
CLOSING = frozenset((TokenKind.BRACE_R, TokenKind.PAREN_R, TokenKind.BRACKET_R))


class Weight(NamedTuple):
    """What a selection comes to."""

    depth: int = 0
    aliases: int = 0
    cost: int = 0


def parsed(text: str) -> DocumentNode:
    """The document. Raises GraphQLError where it cannot be read, or is too large to be."""
    if len(text) > MOST_CHARACTERS:
        raise _refused(f"the document has {len(text):,} characters; {MOST_CHARACTERS:,} are allowed")
    _check_nesting(text)
    return parse(text, max_tokens=MOST_TOKENS)


def check(document: DocumentNode, variables: Mapping[str, Any]) -> None:
    """Raises GraphQLError where an operation is too deep, too dear, or has too many aliases."""
    scale = _Scale(document, variables)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            _within(scale.of(node.selection_set, ()))


def _check_nesting(text: str) -> None:
    lexer, depth = Lexer(Source(text)), 0
    for _ in range(MOST_TOKENS + 1):
        kind = lexer.advance().kind
        depth += (kind in OPENING) - (kind in CLOSING)
        if depth > MOST_NESTING:
            raise _refused(f"brackets are nested over {MOST_NESTING} deep")
        if kind is TokenKind.EOF:
            return
    raise _refused(f"the document has over {MOST_TOKENS:,} tokens")


def _within(weight: Weight) -> None:
    for name, found, most in (
        ("levels", weight.depth, MOST_DEPTH),
        ("aliases", weight.aliases, MOST_ALIASES),
        ("points of cost", weight.cost, MOST_COST),
    ):
        if found > most:
            shown = f"{found:,}" if found < 10**9 else "over 1,000,000,000"
            raise _refused(f"the query has {shown} {name}; {most} are allowed")


class _Scale:
    """Weighs selections; each fragment once."""

    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._fragments = {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}
        self._variables = variables
        self._known: dict[str, Weight] = {}

    def of(self, selections: SelectionSetNode | None, chain: Sequence[str]) -> Weight:
        """The weight of what is selected, reached through the fragments of `chain`."""
        if selections is None:
            return Weight()
        weights = list(self._each(selections, chain))
        return Weight(
            max((one.depth for one in weights), default=0),
            sum(one.aliases for one in weights),
            sum(one.cost for one in weights),
        )

    def _each(self, selections: SelectionSetNode, chain: Sequence[str]) -> Iterator[Weight]:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                yield self._field(node, self.of(node.selection_set, chain))
            elif isinstance(node, FragmentSpreadNode):
                yield self._fragment(node.name.value, chain)
            else:
                yield self.of(getattr(node, "selection_set", None), chain)

    def _field(self, node: FieldNode, below: Weight) -> Weight:
        name = node.name.value
        depth = 1 if name.startswith("__") else below.depth + 1  # introspection has limits of its own
        times = self._pages(node) if name == "servers" else 1
        return Weight(depth, below.aliases + (node.alias is not None), 1 + PRICES.get(name, 0) + below.cost * times)

    def _fragment(self, name: str, chain: Sequence[str]) -> Weight:
        if name not in self._known:
            if name in chain or len(chain) == MOST_CHAIN:
                raise _refused(f"the fragment '{name}' is spread within itself, or over {MOST_CHAIN} others")
            found = self._fragments.get(name)  # one that is missing is for the validation to say
            self._known[name] = self.of(found.selection_set if found else None, (*chain, name))
        return self._known[name]

    def _pages(self, node: FieldNode) -> int:
        given = next((one.value for one in node.arguments or () if one.name.value == "limit"), None)
        limit: Any = PAGE
        if isinstance(given, IntValueNode):
            limit = int(given.value[:9])
        elif isinstance(given, VariableNode):
            limit = self._variables.get(given.name.value, 1_000)
        return max(1, -(-limit // PAGE)) if isinstance(limit, int) else 1


def _refused(why: str) -> GraphQLError:
    return GraphQLError(why, extensions={"code": "too_expensive"})
