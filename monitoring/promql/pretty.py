"""PromQL written in one way: what editors and user interfaces ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from monitoring.errors import BadQuery
from monitoring.model import Matcher
from monitoring.promql.format import plain, quoted
from monitoring.promql.grammar import written
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
    Spelled,
    Steps,
    Subquery,
    Text,
)
from monitoring.promql.values import NAME

AS_WRITTEN = Steps(0, 60_000, 60_000, 300_000)
"""Times for a query that is only looked at: with them `step()` and `range()` are not 0."""

_WIDTH = 100
_METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*", re.ASCII)
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def formatted(query: str) -> str:
    """The query as Prometheus writes it; over 100 characters it is split and indented. Raises BadQuery.

    >>> formatted('sum(rate(x{b="1",a=~"y"}[5m]))by(job)/2')
    'sum by (job) (rate(x{a=~"y",b="1"}[5m])) / 2'
    """
    try:
        return _indented(written(query, AS_WRITTEN), 0)
    except RecursionError:
        raise BadQuery("query is nested too deeply") from None


def _indented(node: Node, level: int) -> str:
    """The expression from `level` on, over several lines where one is too narrow."""
    text, indent = _text(node), "  " * level
    if len(text) <= _WIDTH:
        return indent + text
    match node:
        case Aggregate():
            args = [node.inner] if node.param is None else [node.param, node.inner]
            return _bracketed(f"{node.op}{_grouping(node)}", args, level)
        case Call():
            return _bracketed(node.name, node.args, level)
        case Paren():
            return _bracketed("", [node.inner], level)
        case Binary():
            return _chain(node, level)
        case Negate():
            return f"{indent}-{_indented(node.inner, level).lstrip(' ')}"
        case Subquery():
            return _indented(node.inner, level) + _brackets(node) + _modifiers(node.spelled)
    return indent + text


def _bracketed(head: str, args: Sequence[Node], level: int) -> str:
    indent = "  " * level
    inside = ",\n".join(_indented(arg, level + 1) for arg in args)
    return f"{indent}{head}(\n{inside}\n{indent})"


def _chain(node: Binary, level: int) -> str:
    """A chain of operators leans left and may be 1,000 long: walked in a loop."""
    ends = []
    first: Node = node
    while isinstance(first, Binary) and len(_text(first)) > _WIDTH:
        ends.append(f"\n{'  ' * level}{_operator(first)}\n{_indented(first.right, level + 1)}")
        first, level = first.left, level + 1
    return _indented(first, level) + "".join(reversed(ends))


def _text(node: Node) -> str:
    match node:
        case Number():
            return node.spelled or plain(node.value)
        case Text():
            return quoted(node.value)
        case Paren():
            return f"({_text(node.inner)})"
        case Negate():
            return f"-{_text(node.inner)}"
        case Selector():
            edges = f" {node.edges}" if node.edges else ""
            return _selector(node) + _brackets(node) + _modifiers(node.spelled) + edges
        case Subquery():
            return _text(node.inner) + _brackets(node) + _modifiers(node.spelled)
        case Call():
            return f"{node.name}({', '.join(map(_text, node.args))})"
        case Aggregate():
            param = "" if node.param is None else f"{_text(node.param)}, "
            return f"{node.op}{_grouping(node)}({param}{_text(node.inner)})"
        case Binary():
            ends = []
            first: Node = node
            while isinstance(first, Binary):
                ends.append(f" {_operator(first)} {_text(first.right)}")
                first = first.left
            return _text(first) + "".join(reversed(ends))
    raise BadQuery(f"cannot write a {type(node).__name__}")


def _selector(node: Selector) -> str:
    metric = node.spelled.metric
    shown = sorted(map(_matcher, node.matchers[1:] if metric else node.matchers))
    return metric + (f"{{{','.join(shown)}}}" if shown or not metric else "")


def _matcher(matcher: Matcher) -> str:
    value = quoted(matcher.value)
    if matcher.name == NAME and matcher.op == "=" and not _METRIC.fullmatch(matcher.value):
        return value
    return f"{_label(matcher.name)}{matcher.op}{value}"


def _brackets(node: Selector | Subquery) -> str:
    if isinstance(node, Subquery):
        return f"[{node.spelled.range}:{node.spelled.step}]"
    return f"[{node.spelled.range}]" if node.spelled.range else ""


def _modifiers(spelled: Spelled) -> str:
    return (f" @ {spelled.at}" if spelled.at else "") + (f" offset {spelled.offset}" if spelled.offset else "")


def _grouping(node: Aggregate) -> str:
    if node.by and not node.labels:
        return ""
    return f" {'by' if node.by else 'without'} {_labels(node.labels)} "


def _operator(node: Binary) -> str:
    return node.op + (" bool" if node.returns_bool else "") + _matching(node.matching)


def _matching(matching: Matching) -> str:
    out = ""
    if matching.on or matching.labels:
        out += f" {'on' if matching.on else 'ignoring'} {_labels(matching.labels)}"
    if matching.card in ("many-to-one", "one-to-many"):
        out += f" group_{'left' if matching.card == 'many-to-one' else 'right'} {_labels(matching.include)}"
    left, right = (None if x is None else plain(x) for x in (matching.fill_left, matching.fill_right))
    if left is not None and left == right:
        return f"{out} fill ({left})"
    return out + (f" fill_left ({left})" if left else "") + (f" fill_right ({right})" if right else "")


def _labels(names: Sequence[str]) -> str:
    return f"({', '.join(map(_label, names))})"


def _label(name: str) -> str:
    return name if _LABEL.fullmatch(name) else quoted(name)
