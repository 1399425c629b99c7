"""`label_replace` and `label_join`, and the rules of label names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from monitoring.errors import BadQuery
from monitoring.model import LabelKey, Labels, label_key
from monitoring.promql.select import compile_regex
from monitoring.promql.values import NAME, InstantVector, merged, vector

_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)


def label_replace(found: InstantVector, into: str, template: str, source: str, pattern: str) -> InstantVector:
    """Labels whose `source` matches `pattern` (whole value) get `into`, with `$1` and `$name` filled in."""
    regex = _regex(pattern)
    _check_name(into, "label_replace")
    cache: dict[str, str | None] = {}

    def replaced(value: str) -> str | None:
        hit = regex.fullmatch(value)
        if hit is None:
            return None
        return expand(hit, template)

    labels, drop = [], found.drop.copy()
    for k, one in enumerate(found.labels):
        value = one.get(source, "")
        if value not in cache:
            cache[value] = replaced(value)
        new = cache[value]
        labels.append(one if new is None else _with(one, into, new))
        if new is not None and into == NAME:
            drop[k] = False
    return merged(vector(labels, found.values, found.present, drop))


def expand(hit: re.Match[str], template: str) -> str:
    """`template` with `$1`, `${1}`, `$name` and `$$` filled in from a match, as Go's regexp does."""
    return _REFERENCE.sub(lambda reference: _group(hit, reference), template)


def label_join(found: InstantVector, into: str, separator: str, sources: list[str]) -> InstantVector:
    """The values of `sources` joined by `separator` in the label `into`."""
    for name in (*sources, into):
        _check_name(name, "label_join")
    labels = [_with(one, into, separator.join(one.get(name, "") for name in sources)) for one in found.labels]
    drop = found.drop & (into != NAME)
    return merged(vector(labels, found.values, found.present, drop))


def labelled(found: InstantVector, name: str, value: str) -> InstantVector:
    """Every series with the label `name` set to `value`. Raises BadQuery for a name that is none."""
    _check_name(name, "histogram_quantiles")
    return vector([_with(one, name, value) for one in found.labels], found.values, found.present, found.drop)


def natural_order(labels: Sequence[Labels], names: Sequence[str]) -> list[int]:
    """Positions sorted by the values of `names`, numbers within them by size; ties by all labels."""

    def key(k: int) -> tuple[list[list[tuple[int, int, str]]], LabelKey]:
        return [_natural(labels[k].get(name, "")) for name in names], label_key(labels[k])

    return sorted(range(len(labels)), key=key)


def _natural(text: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]


def _regex(pattern: str) -> Any:
    try:
        return compile_regex(pattern)
    except BadQuery as exc:
        raise BadQuery(f"invalid regular expression in label_replace(): {pattern}") from exc


def _check_name(name: str, function: str) -> None:
    """Any non-empty UTF-8 text is a label name in Prometheus 3."""
    if not name or any(0xD800 <= ord(char) < 0xE000 for char in name):
        raise BadQuery(f"invalid label name in {function}(): {name}")


def _group(hit: re.Match[str], reference: re.Match[str]) -> str:
    """What `$$`, `$1` or `$name` stands for; "" for a group that is not there, as Go's Expand has it."""
    name = reference.group(1) or reference.group(2)
    if name is None:
        return "$"
    place = int(name) if name.isdigit() else hit.re.groupindex.get(name, -1)
    return hit.group(place) or "" if 0 <= place <= hit.re.groups else ""


def _with(labels: Labels, name: str, value: str) -> Labels:
    changed = dict(labels)
    if value:
        changed[name] = value
    else:
        changed.pop(name, None)
    return changed
