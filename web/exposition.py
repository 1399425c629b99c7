"""Pages of metrics as Prometheus reads them: the text format 0.0.4 and OpenMetrics 1.0, and which of them is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

Format = Literal["text", "openmetrics", "json"]
TYPES: dict[Format, str] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
    "json": "application/json",
}
MEDIA: dict[str, Format] = {
    "application/json": "json",
    "text/plain": "text",
    "application/openmetrics-text": "openmetrics",
}
"""Media types of an Accept header; of equally welcome ones the first."""
ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})

Row = tuple[str, float]
"""A series as `series` writes it, and its value."""


class Family(NamedTuple):
    """A metric with its series. A counter's name ends in `_total`."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    rows: Sequence[Row]


def series(name: str, **labels: str) -> str:
    r"""A series as a page writes it.

    >>> series("up"), series("disk", path='C:\\"x"')
    ('up', 'disk{path="C:\\\\\\"x\\""}')
    """
    pairs = ",".join(f'{label}="{escaped(value)}"' for label, value in labels.items())
    return f"{name}{{{pairs}}}" if pairs else name


def escaped(value: str) -> str:
    """The value of a label between its quotes."""
    return value.translate(ESCAPES)


def page(families: Iterable[Family], form: Format = "text") -> str:
    """The families one after the other; those without series are left out."""
    lines: list[str] = []
    for family in families:
        if not family.rows:
            continue
        counts = family.kind == "counter" and form == "openmetrics"  # there the family is named without its suffix
        name = family.name.removesuffix("_total") if counts else family.name
        lines += (f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}")
        lines += [f"{text} {value}" for text, value in family.rows]
    if form == "openmetrics":
        lines.append("# EOF")
    return "\n".join([*lines, ""])


@lru_cache(256)
def wanted(accept: str) -> Format:
    """The format to answer with, by an Accept header (RFC 9110, 12.5.1): JSON unless text is more welcome.

    >>> wanted("*/*"), wanted("text/html,*/*;q=0.8"), wanted("text/plain"), wanted("text/plain;q=0.5, application/json")
    ('json', 'json', 'text', 'json')
    >>> wanted("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    'openmetrics'
    """
    weights = [_weight(part) for part in accept.lower().split(",")]
    return max(MEDIA.values(), key=lambda form: _welcome(form, weights))


def _weight(part: str) -> tuple[str, float]:
    media, *parameters = (word.strip() for word in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media, float(value)
            except ValueError:
                return media, 0.0
    return media, 1.0


def _welcome(form: Format, weights: Sequence[tuple[str, float]]) -> float:
    """How welcome a format is: by its own name where that stands there, else by a wildcard."""
    media = next(name for name, found in MEDIA.items() if found == form)
    by_name = dict(weights)
    for name in (media, f"{media.partition('/')[0]}/*", "*/*"):
        if name in by_name:
            return by_name[name]
    return 0.0
