"""PromQL written in one way, and as a tree in JSON: what editors and user interfaces ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import promql_parser as ast

from monitoring.errors import BadQuery
from monitoring.promql.format import plain
from monitoring.promql.grammar import written
from monitoring.promql.lex import tokens
from monitoring.promql.tree import Steps

Json = dict[str, Any]
_SIGNS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_CARDS = {
    "OneToOne": "one-to-one",
    "ManyToOne": "many-to-one",
    "OneToMany": "one-to-many",
    "ManyToMany": "many-to-many",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS = Steps(0, 60_000, 60_000, 300_000)
_DEEPEST = 200
"""Levels of a tree; JSON of more is refused by many readers, and by our writer."""


def formatted(query: str) -> str:
    """The query as Prometheus writes it; over 100 characters it is split and indented. Raises BadQuery.

    >>> formatted('sum(rate(x{b="1",a=~"y"}[5m]))by(job)/2')
    'sum by (job) (rate(x{a=~"y",b="1"}[5m])) / 2'
    """
    return str(_parsed(query).prettify())


def as_tree(query: str) -> Json:
    """The query's parts, as Prometheus' user interface draws them. Raises BadQuery.

    >>> as_tree("-up")["expr"]["name"]
    'up'
    """
    return _node(_parsed(query), 0)


def _parsed(query: str) -> Any:
    written(query, _STEPS)  # what we cannot evaluate we do not praise; what is too deep would crash this parser
    if any(first.kind == "@" and second.kind == "-" for first, second in pairwise(tokens(query))):
        raise BadQuery("the query is right, but a negative time after '@' cannot be written out yet")
    try:
        return ast.parse(query)
    except ValueError as error:
        raise BadQuery(f"the query is right, but experimental parts cannot be written out yet: {error}") from error


def _node(node: Any, depth: int) -> Json:
    if depth > _DEEPEST:
        raise BadQuery(f"query is nested more than {_DEEPEST} levels deep")
    match node:
        case ast.NumberLiteral():
            return {"type": "numberLiteral", "val": plain(node.val)}
        case ast.StringLiteral():
            return {"type": "stringLiteral", "val": node.val}
        case ast.ParenExpr():
            return {"type": "parenExpr", "expr": _node(node.expr, depth + 1)}
        case ast.UnaryExpr():
            return {"type": "unaryExpr", "op": "-", "expr": _node(node.expr, depth + 1)}
        case ast.VectorSelector():
            return {"type": "vectorSelector", **_selector(node)}
        case ast.MatrixSelector():
            return {"type": "matrixSelector", "range": _ms(node.range), **_selector(node.vector_selector)}
        case ast.SubqueryExpr():
            span = {"range": _ms(node.range), "step": _ms(node.step)}
            return {"type": "subquery", "expr": _node(node.expr, depth + 1), **span, **_when(node)}
        case ast.Call():
            return {"type": "call", "func": _function(node.func), "args": [_node(arg, depth + 2) for arg in node.args]}
        case ast.AggregateExpr():
            return _aggregation(node, depth)
        case ast.BinaryExpr():
            return _binary(node, depth)
    raise BadQuery(f"cannot show a {type(node).__name__}")


def _selector(node: Any) -> Json:
    named = [{"name": "__name__", "type": "=", "value": node.name}] if node.name else []
    matchers = [{"name": m.name, "type": _SIGNS[_last(m.op)], "value": m.value} for m in node.matchers.matchers]
    return {"name": node.name or "", "matchers": [*matchers, *named], **_when(node)}


def _when(node: Any) -> Json:
    kind = None if node.at is None else _last(node.at.type)
    return {
        "offset": _ms(node.offset),
        "timestamp": _ms(node.at.at - _EPOCH) if kind == "At" else None,
        "startOrEnd": kind.lower() if kind in ("Start", "End") else None,
    }


def _function(function: Any) -> Json:
    return {
        "name": function.name,
        "argTypes": [_last(kind).lower() for kind in function.arg_types],
        "returnType": _last(function.return_type).lower(),
        "variadic": function.variadic,
    }


def _aggregation(node: Any, depth: int) -> Json:
    modifier = node.modifier
    return {
        "type": "aggregation",
        "op": str(node.op),
        "expr": _node(node.expr, depth + 1),
        "param": None if node.param is None else _node(node.param, depth + 1),
        "grouping": [] if modifier is None else list(modifier.labels),
        "without": modifier is not None and _last(modifier.type) == "Without",
    }


def _binary(node: Any, depth: int) -> Json:
    modifier = node.modifier
    return {
        "type": "binaryExpr",
        "op": str(node.op),
        "lhs": _node(node.lhs, depth + 1),
        "rhs": _node(node.rhs, depth + 1),
        "bool": modifier is not None and bool(modifier.return_bool),
        "matching": None if modifier is None else _matching(modifier),
    }


def _matching(modifier: Any) -> Json:
    fills, labels = modifier.fill_values, modifier.matching
    return {
        "card": _CARDS[_last(modifier.card)],
        "labels": [] if labels is None else list(labels.labels),
        "on": labels is not None and _last(labels.type) == "Include",
        "include": list(modifier.group_labels or ()),
        "fillValues": {"lhs": fills and fills.lhs, "rhs": fills and fills.rhs},
    }


def _last(name: Any) -> str:
    return str(name).rpartition(".")[2]


def _ms(delta: timedelta | None) -> int:
    return 0 if delta is None else delta // timedelta(milliseconds=1)
