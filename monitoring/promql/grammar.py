"""From PromQL text to its tree, by precedence climbing, with the times of the query filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from monitoring.errors import BadQuery
from monitoring.promql.lex import Token
from monitoring.promql.ranges import postfixed
from monitoring.promql.selector import label_selector, labels, selector
from monitoring.promql.signatures import AGGREGATIONS, EDGE_FUNCTIONS, FUNCTIONS, NATIVE, SHOWN
from monitoring.promql.tree import (
    Aggregate,
    Binary,
    Call,
    Kind,
    Matching,
    Negate,
    Node,
    Number,
    Paren,
    Selector,
    Steps,
    Text,
    bare,
    kind_of,
)
from monitoring.promql.words import NO_METRIC, STRENGTH, Words

SETS = frozenset(("and", "or", "unless"))
COMPARISONS = frozenset(("==", "!=", "<", ">", "<=", ">="))


def written(query: str, steps: Steps) -> Node:
    """The tree of `query`, its selectors not yet placed. Raises BadQuery with line and column."""
    try:
        return _Grammar(Words(query, steps)).query()
    except RecursionError:  # calls take more of Python's stack than parentheses do
        raise BadQuery("query is nested too deeply") from None


class _Grammar:
    """One reading of one query."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def query(self) -> Node:
        words = self._words
        if words.next.kind == "end":
            words.fail(0, "no expression found in input")
        node = self._expression()
        if words.next.kind != "end":
            words.unexpected()
        return node

    def _expression(self, least: int = 1) -> Node:
        words = self._words
        place = words.next.place
        words.deeper(1)
        left = self._signed()
        while (strength := STRENGTH.get(words.keyword, 0)) >= least:
            operator = words.operator()
            op = operator.text.lower()
            returns_bool, matching = self._modifier(op)
            right = self._expression(strength + (op != "^"))
            left = self._binary(operator._replace(text=op), left, right, returns_bool, matching, place)
        words.deeper(-1)
        return left

    def _signed(self) -> Node:
        words = self._words
        if words.next.kind not in ("+", "-"):
            return self._operand()
        sign = words.operator()
        node = self._expression(STRENGTH["^"])
        kind = kind_of(node)
        if kind not in ("scalar", "vector"):
            words.fail(
                sign.place,
                f"unary expression only allowed on expressions of type scalar or instant vector, got {SHOWN[kind]}",
            )
        if sign.kind == "+":
            return node
        return Number(-node.value) if isinstance(node, Number) and not node.spelled else Negate(node)

    def _operand(self) -> Node:
        words = self._words
        token = words.next
        if words.at_number:
            node: Node = Number(words.value(), token.text if token.kind == "duration" else "")
        elif token.kind == "text":
            node = Text(words.string())
        elif token.kind == "(":
            words.take()
            node = Paren(self._expression())
            if words.next.kind == "end":
                words.fail(token.place, "unclosed left parenthesis")
            words.need(")", "", "")
        elif token.kind == "{":
            node = selector(words, "")
        elif token.kind == "word":
            node = self._named()
        else:
            words.unexpected()
        return postfixed(words, node, token.place)

    def _named(self) -> Node:
        """A word that begins an operand: an aggregation, a function or the name of a metric."""
        words = self._words
        keyword = words.keyword
        if keyword in AGGREGATIONS and self._begins_aggregation():
            return self._aggregation()
        if keyword in NO_METRIC:
            words.unexpected()
        if words.after.kind == "(":
            return self._call()
        return selector(words, words.take().text)

    def _begins_aggregation(self) -> bool:
        after = self._words.after
        return after.kind == "(" or (after.kind == "word" and after.text.lower() in ("by", "without"))

    def _arguments(self, name: str) -> list[tuple[Node, int]]:
        """Expressions between parentheses, each with its place; the second of `info` is a bare label selector."""
        words = self._words
        opening = words.need("(", "aggregation", '"("')
        found: list[tuple[Node, int]] = []
        while not words.takes(")"):
            place = words.next.place
            if name == "info" and len(found) == 1:
                found.append((label_selector(words), place))
            else:
                found.append((self._expression(), place))
            if words.next.kind == "," and words.after.kind == ")":
                words.fail(words.next.place, "trailing commas not allowed in function call args")
            if not words.takes(",") and words.next.kind != ")":
                if words.next.kind == "end":
                    words.fail(opening.place, "unclosed left parenthesis")
                words.unexpected("", '"," or ")"')
        return found

    def _call(self) -> Node:
        words = self._words
        token = words.take()
        name = token.text
        signature = FUNCTIONS.get(name)
        if signature is None:
            words.fail(token.place, f'unknown function with name "{name}"')
        args = self._arguments(name)
        wanted = self._wrong_count(signature.least, signature.most, len(args))
        if wanted:
            words.fail(token.place, f'expected {wanted} argument(s) in call to "{name}", got {len(args)}')
        for k, (arg, place) in enumerate(args):
            self._check_kind(arg, signature.kind(k), f'call to function "{name}"', place)
            self._check_edges(arg, name, place)
        if name in NATIVE:
            words.fail(token.place, f"{name}() reads native histograms, which are not supported here")
        return Call(name, tuple(arg for arg, _ in args), signature.gives)

    def _wrong_count(self, least: int, most: int, count: int) -> str:
        if least <= count <= most:
            return ""
        return str(least) if least == most else f"at least {least}" if count < least else f"at most {most}"

    def _check_kind(self, node: Node, wanted: Kind, where: str, place: int) -> None:
        kind = kind_of(node)
        if kind != wanted:
            self._words.fail(place, f"expected type {SHOWN[wanted]} in {where}, got {SHOWN[kind]}")

    def _check_edges(self, node: Node, name: str, place: int) -> None:
        node = bare(node)
        edges = node.edges if isinstance(node, Selector) and node.range_ms is not None else None
        if edges is not None and name not in EDGE_FUNCTIONS[edges]:
            able = ", ".join(EDGE_FUNCTIONS[edges])
            self._words.fail(place, f"{edges} modifier can only be used with: {able} - not with {name}")

    def _aggregation(self) -> Aggregate:
        words = self._words
        token = words.take()
        op = token.text.lower()
        grouping = self._grouping()
        args = self._arguments(op)
        grouping = grouping or self._grouping() or (True, ())
        param_kind = AGGREGATIONS[op]
        expected = 1 if param_kind is None else 2
        if not args:
            words.fail(token.place, "no arguments for aggregate expression provided")
        if len(args) != expected:
            words.fail(
                token.place,
                f"wrong number of arguments for aggregate expression provided, expected {expected}, got {len(args)}",
            )
        self._check_kind(args[-1][0], "vector", "aggregation expression", args[-1][1])
        if param_kind is not None:
            self._check_kind(args[0][0], param_kind, "aggregation parameter", args[0][1])
        return Aggregate(op, args[-1][0], None if param_kind is None else args[0][0], *grouping)

    def _grouping(self) -> tuple[bool, tuple[str, ...]] | None:
        """`by (…)` or `without (…)`: whether it is by, and the labels."""
        keyword = self._words.keyword
        if keyword not in ("by", "without"):
            return None
        self._words.take()
        return keyword == "by", labels(self._words)

    def _modifier(self, op: str) -> tuple[bool, Matching | None]:
        """What follows an operator: `bool`, `on`, `ignoring`, `group_left`, `group_right`, `fill`."""
        words = self._words
        returns_bool = words.keyword == "bool"
        if returns_bool:
            if op not in COMPARISONS:
                words.fail(words.next.place, "bool modifier can only be used on comparison operators")
            words.take()
        matching = None
        if (keyword := words.keyword) in ("on", "ignoring"):
            words.take()
            matching = self._grouped(Matching(keyword == "on", labels(self._words)), op)
        fills = self._fills(op)
        if fills:
            left, right = fills.get("fill_left"), fills.get("fill_right")
            matching = replace(matching or Matching(), fill_left=left, fill_right=right)
        return returns_bool, matching

    def _grouped(self, matching: Matching, op: str) -> Matching:
        words = self._words
        keyword, place = words.keyword, words.next.place
        if keyword not in ("group_left", "group_right"):
            return matching
        words.take()
        if op in SETS:
            words.fail(place, f'no grouping allowed for "{op}" operation')
        include = labels(self._words) if words.next.kind == "(" else ()
        twice = sorted(set(include) & set(matching.labels)) if matching.on else []
        if twice:
            words.fail(place, f'label "{twice[0]}" must not occur in ON and GROUP clause at once')
        card: Literal["many-to-one", "one-to-many"] = "many-to-one" if keyword == "group_left" else "one-to-many"
        return replace(matching, card=card, include=include)

    def _fills(self, op: str) -> dict[str, float]:
        """`fill (x)`, `fill_left (x)`, `fill_right (x)`: a metric of such a name has no parenthesis after it."""
        words = self._words
        fills: dict[str, float] = {}
        while words.keyword in ("fill", "fill_left", "fill_right") and words.after.kind == "(":
            keyword, place = words.keyword, words.take().place
            names = ("fill_left", "fill_right") if keyword == "fill" else (keyword,)
            if op in SETS:
                words.fail(place, "filling in missing series not allowed for set operators")
            if fills.keys() & set(names):
                words.fail(place, f"unexpected <{keyword}>")
            words.take()
            sign = -1.0 if words.takes("-") else 1.0
            if sign > 0:
                words.takes("+")
            if not words.at_number:
                words.unexpected("fill modifier", "number")
            fills.update(dict.fromkeys(names, sign * words.value()))
            words.need(")", "fill modifier", '")"')
        return fills

    def _binary(
        self, operator: Token, left: Node, right: Node, returns_bool: bool, matching: Matching | None, place: int
    ) -> Binary:
        words, op = self._words, operator.text
        kinds = kind_of(left), kind_of(right)
        if not set(kinds) <= {"scalar", "vector"}:
            words.fail(place, "binary expression must contain only scalar and instant vector types")
        if op in ("</", ">/"):
            words.fail(operator.place, f"'{op}' trims native histograms, which are not supported here")
        if kinds == ("scalar", "scalar") and op in COMPARISONS and not returns_bool:
            words.fail(operator.place, "comparisons between scalars must use BOOL modifier")
        if kinds != ("vector", "vector"):
            if op in SETS:
                words.fail(operator.place, f'set operator "{op}" not allowed in binary scalar expression')
            if matching is not None:
                words.fail(operator.place, "vector matching only allowed between instant vectors")
        matching = matching or Matching()
        if op in SETS:
            matching = replace(matching, card="many-to-many")
        kind: Kind = "scalar" if kinds == ("scalar", "scalar") else "vector"
        return Binary(op, left, right, returns_bool, matching, kind)
