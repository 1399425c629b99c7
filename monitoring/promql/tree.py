"""A parsed query as plain data: times in milliseconds, `@` resolved, every selector pointing at what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from monitoring.model import Matcher

Kind = Literal["scalar", "vector", "matrix", "string"]
Edges = Literal["anchored", "smoothed"]
"""How a selector uses samples beyond the edges of its window: as they are, or to interpolate at the edge."""


class Steps(NamedTuple):
    """When a query is evaluated, and how old a sample may be then; milliseconds."""

    start_ms: int
    end_ms: int
    step_ms: int
    lookback_ms: int

    def seconds(self, name: str) -> float:
        """What `start()`, `end()`, `range()` and `step()` are. An instant query has no step."""
        match name:
            case "start":
                return self.start_ms / 1000
            case "end":
                return self.end_ms / 1000
            case "range":
                return (self.end_ms - self.start_ms) / 1000
        return self.step_ms / 1000 if self.end_ms > self.start_ms else 0.0


class Spelled(NamedTuple):
    """Parts of a selector as Prometheus writes them; "" for what it does not have."""

    metric: str = ""
    """The name, where it stands before the braces."""
    range: str = ""
    step: str = ""
    offset: str = ""
    at: str = ""


PLAIN = Spelled()


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    spelled: str = ""
    """As it is written, where it is a duration."""


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """`metric{…}`, or `metric{…}[range]` where `range_ms` is set. `slot` is its place in `Plan.selections`."""

    matchers: tuple[Matcher, ...]
    slot: int = -1
    offset_ms: int = 0
    at_ms: int | None = None
    range_ms: int | None = None
    edges: Edges | None = None
    spelled: Spelled = PLAIN


@dataclass(frozen=True, slots=True)
class Subquery:
    """`expr[range:step]`."""

    inner: Node
    range_ms: int
    step_ms: int
    offset_ms: int = 0
    at_ms: int | None = None
    spelled: Spelled = PLAIN


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    args: tuple[Node, ...]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Aggregate:
    op: str
    inner: Node
    param: Node | None
    by: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matching:
    """How series of two vectors find each other. `include` are labels copied from the "one" side."""

    on: bool = False
    labels: tuple[str, ...] = ()
    card: Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"] = "one-to-one"
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    op: str
    left: Node
    right: Node
    returns_bool: bool
    matching: Matching
    kind: Kind


@dataclass(frozen=True, slots=True)
class Negate:
    inner: Node


@dataclass(frozen=True, slots=True)
class Paren:
    """Parentheses; only in a query as it is written."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Constant:
    """An expression that is the same at every step, because `@` pins all that it reads: evaluated once."""

    inner: Node


Node = Number | Text | Selector | Subquery | Call | Aggregate | Binary | Negate | Paren | Constant


def kind_of(node: Node) -> Kind:
    """The PromQL type of an expression."""
    match bare(node):
        case Number():
            return "scalar"
        case Text():
            return "string"
        case Subquery():
            return "matrix"
        case Selector(range_ms=range_ms):
            return "vector" if range_ms is None else "matrix"
        case Call(kind=kind) | Binary(kind=kind):
            return kind
        case Constant(inner=inner) | Negate(inner=inner):
            return kind_of(inner)
    return "vector"


def bare(node: Node) -> Node:
    """The expression without parentheses around it."""
    while isinstance(node, Paren):
        node = node.inner
    return node


def parts_of(node: Node) -> tuple[Node, ...]:
    """The expressions that it is made of."""
    match node:
        case Call(args=args):
            return args
        case Binary(left=left, right=right):
            return left, right
        case Aggregate(inner=inner, param=param):
            return (inner,) if param is None else (param, inner)
        case Subquery(inner=inner) | Negate(inner=inner) | Paren(inner=inner) | Constant(inner=inner):
            return (inner,)
    return ()
