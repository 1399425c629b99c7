"""Who calls whom: plain walks over the edges between services or servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def adjacent(edges: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """The right sides of each left side."""
    found: dict[str, set[str]] = {}
    for one, other in edges:
        found.setdefault(one, set()).add(other)
    return found


def reached(start: str, next_to: Mapping[str, set[str]]) -> set[str]:
    """All that can be walked to from `start`, itself left out.

    >>> sorted(reached("web", adjacent([("web", "api"), ("api", "db"), ("db", "web")])))
    ['api', 'db']
    """
    seen: set[str] = set()
    todo = [start]
    while todo:
        for node in next_to.get(todo.pop(), set()) - seen:
            seen.add(node)
            todo.append(node)
    return seen - {start}


def closure(edges: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """For each left side all that it leads to, directly or through others."""
    next_to = adjacent(edges)
    return {node: reached(node, next_to) for node in next_to}
