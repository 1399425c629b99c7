"""Which series a selector means: label matchers compiled once, in Go's regular expressions, anchored at both ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import re2

from monitoring.errors import BadQuery
from monitoring.model import Labels, Matcher

Test = Callable[[str], bool]


def compile_matchers(matchers: Sequence[Matcher]) -> Callable[[Labels], bool]:
    """A test for the labels of one series; all matchers must hold, a missing label counts as "".

    Raises BadQuery for a regular expression that RE2 does not take.

    >>> web = compile_matchers([Matcher("job", "=~", "web|api"), Matcher("dc", "=", "")])
    >>> web({"job": "web"}), web({"job": "webs"}), web({"job": "api", "dc": "x"})
    (True, False, False)
    """
    tests = [(matcher.name, value_test(matcher)) for matcher in matchers]

    def matches(labels: Labels) -> bool:
        return all(test(labels.get(name, "")) for name, test in tests)

    return matches


def value_test(matcher: Matcher) -> Test:
    """A test for one label value. Raises BadQuery for a regular expression that RE2 does not take."""
    wanted = matcher.value
    match matcher.op:
        case "=":
            return lambda value: value == wanted
        case "!=":
            return lambda value: value != wanted
        case "=~":
            return _full_match(wanted)
        case "!~":
            hit = _full_match(wanted)
            return lambda value: not hit(value)
    raise BadQuery(f"unknown matcher '{matcher.op}'")


def _full_match(pattern: str) -> Test:
    compiled = compile_regex(pattern)
    return lambda value: compiled.fullmatch(value) is not None


@lru_cache(maxsize=1024)
def compile_regex(pattern: str) -> Any:
    """The RE2 program of `pattern`; `.` matches newlines too, as in Prometheus 3."""
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as exc:
        reason = exc.args[0].decode(errors="replace") if isinstance(exc.args[0], bytes) else str(exc)
        raise BadQuery(f"error parsing regexp: {reason}") from exc
