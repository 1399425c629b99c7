"""How selectors and lists of labels are written: `metric{label="value"}`, `{…}`, `(a, b)`."""

from __future__ import annotations

from typing import Literal

from monitoring.errors import BadQuery
from monitoring.model import Matcher
from monitoring.promql.select import value_test
from monitoring.promql.tree import Selector, Spelled
from monitoring.promql.values import NAME
from monitoring.promql.words import Words

Op = Literal["=", "!=", "=~", "!~"]
_OPS: dict[str, Op] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}


def selector(words: Words, name: str) -> Selector:
    """Takes what stands between braces, if any, after a metric's `name`. Something must be asked for."""
    place = words.next.place
    matchers = [Matcher(NAME, "=", name)] if name else []
    if words.next.kind == "{":
        matchers += _matchers(words, name)
    if not name and all(value_test(matcher)("") for matcher in matchers):
        words.fail(place, "vector selector must contain at least one non-empty matcher")
    return Selector(tuple(matchers), spelled=Spelled(name))


def label_selector(words: Words) -> Selector:
    """Takes the second argument of `info`: braces, with whatever matchers."""
    if words.next.kind != "{":
        words.fail(words.next.place, "expected label selectors only")
    return Selector(tuple(_matchers(words, "")))


def labels(words: Words) -> tuple[str, ...]:
    """Takes names of labels between parentheses."""
    words.need("(", "grouping opts", '"("')
    found = []
    while not words.takes(")"):
        if not _at_label(words):
            words.unexpected("grouping opts", "label")
        found.append(_label(words))
        if not words.takes(",") and words.next.kind != ")":
            words.unexpected("grouping opts", '"," or ")"')
    return tuple(found)


def _matchers(words: Words, name: str) -> list[Matcher]:
    words.take()
    found: list[Matcher] = []
    while words.next.kind != "}":
        place = words.next.place
        matcher = _matcher(words)
        if matcher.name == NAME and name:
            words.fail(place, f'metric name must not be set twice: "{name}" or "{matcher.value}"')
        found.append(matcher)
        if not words.takes(",") and words.next.kind != "}":
            words.unexpected("label matching", '"," or "}"')
    words.take()
    return found


def _matcher(words: Words) -> Matcher:
    token = words.next
    if not _at_label(words):
        words.unexpected("label matching", 'identifier or "}"')
    label = _label(words)
    if token.kind == "text" and words.next.kind in (",", "}"):
        return Matcher(NAME, "=", label)
    op = _OPS.get(words.next.kind)
    if op is None:
        words.unexpected("label matching", "label matching operator")
    words.take()
    if words.next.kind != "text":
        words.unexpected("label matching", "string")
    matcher = Matcher(label, op, words.string())
    try:
        value_test(matcher)
    except BadQuery as exc:
        words.fail(token.place, str(exc))
    return matcher


def _at_label(words: Words) -> bool:
    token = words.next
    return token.kind == "text" or (token.kind == "word" and ":" not in token.text)


def _label(words: Words) -> str:
    return words.string() if words.next.kind == "text" else words.take().text
