"""A query as a tree in JSON, in the shape that Prometheus' user interface draws."""

from __future__ import annotations

from typing import Any

from monitoring.errors import BadQuery
from monitoring.promql.format import plain
from monitoring.promql.grammar import written
from monitoring.promql.pretty import AS_WRITTEN
from monitoring.promql.signatures import FUNCTIONS
from monitoring.promql.tree import (
    Aggregate,
    Binary,
    Call,
    Matching,
    Negate,
    Node,
    Number,
    Paren,
    Selector,
    Subquery,
    Text,
    kind_of,
)

Json = dict[str, Any]
_DEEPEST = 200
"""Levels of a tree; JSON of more is refused by many readers, and by our writer."""


def as_tree(query: str) -> Json:
    """The query's parts. Raises BadQuery.

    >>> as_tree("-up")["expr"]["name"]
    'up'
    """
    try:
        return _node(written(query, AS_WRITTEN), 0)
    except RecursionError:
        raise BadQuery("query is nested too deeply") from None


def _node(node: Node, depth: int) -> Json:
    if depth > _DEEPEST:
        raise BadQuery(f"query is nested more than {_DEEPEST} levels deep")
    match node:
        case Number():
            return {"type": "numberLiteral", "val": plain(node.value)}
        case Text():
            return {"type": "stringLiteral", "val": node.value}
        case Paren():
            return {"type": "parenExpr", "expr": _node(node.inner, depth + 1)}
        case Negate():
            return {"type": "unaryExpr", "op": "-", "expr": _node(node.inner, depth + 1)}
        case Selector(range_ms=None):
            return {"type": "vectorSelector", **_selector(node)}
        case Selector():
            return {"type": "matrixSelector", "range": node.range_ms, **_selector(node)}
        case Subquery():
            span = {"range": node.range_ms, "step": node.step_ms if node.spelled.step else 0}
            return {"type": "subquery", "expr": _node(node.inner, depth + 1), **span, **_when(node)}
        case Call():
            return {
                "type": "call",
                "func": _function(node.name),
                "args": [_node(arg, depth + 2) for arg in node.args],
            }
        case Aggregate():
            return _aggregation(node, depth)
        case Binary():
            return _binary(node, depth)
    raise BadQuery(f"cannot show a {type(node).__name__}")


def _selector(node: Selector) -> Json:
    matchers = [{"name": m.name, "type": m.op, "value": m.value} for m in node.matchers]
    named = node.spelled.metric
    edges: Json = {} if node.edges is None else {node.edges: True}
    return {"name": named, "matchers": matchers[1:] + matchers[:1] if named else matchers, **_when(node), **edges}


def _when(node: Selector | Subquery) -> Json:
    edge = node.spelled.at.removesuffix("()") if node.spelled.at.endswith("()") else None
    return {"offset": node.offset_ms, "timestamp": None if edge else node.at_ms, "startOrEnd": edge}


def _function(name: str) -> Json:
    signature = FUNCTIONS[name]
    more = -1 if signature.most > len(signature.kinds) else signature.most - signature.least
    return {"name": name, "argTypes": list(signature.kinds), "returnType": signature.gives, "variadic": more}


def _aggregation(node: Aggregate, depth: int) -> Json:
    return {
        "type": "aggregation",
        "op": node.op,
        "expr": _node(node.inner, depth + 1),
        "param": None if node.param is None else _node(node.param, depth + 1),
        "grouping": list(node.labels),
        "without": not node.by,
    }


def _binary(node: Binary, depth: int) -> Json:
    between_vectors = kind_of(node.left) == kind_of(node.right) == "vector"
    return {
        "type": "binaryExpr",
        "op": node.op,
        "lhs": _node(node.left, depth + 1),
        "rhs": _node(node.right, depth + 1),
        "bool": node.returns_bool,
        "matching": _matching(node.matching) if between_vectors else None,
    }


def _matching(matching: Matching) -> Json:
    return {
        "card": matching.card,
        "labels": list(matching.labels),
        "on": matching.on,
        "include": list(matching.include),
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    }
