"""Rules in Prometheus' format, read from YAML: each is checked by itself, so that a bad one spoils no other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from monitoring.errors import BadQuery, BadRule
from monitoring.promql import plan
from monitoring.rules_template import Template
from monitoring.windows import seconds

Json = Mapping[str, Any]
LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_GROUP = frozenset(("name", "interval", "limit", "labels", "rules", "query_offset", "partial_response_strategy"))
_ALERT = frozenset(("alert", "expr", "for", "keep_firing_for", "labels", "annotations"))
_RECORD = frozenset(("record", "expr", "labels"))


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule fires for each row of `expr` that lasts for `for_s`; a recording rule writes rows as samples."""

    kind: Literal["alerting", "recording"]
    name: str
    expr: str
    for_s: float = 0.0
    keep_s: float = 0.0
    """How long an alert goes on firing after its condition ended."""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    concept: str | None = None
    """Set where the rule is a threshold of the catalogue: its alerts then carry `server` and `part` for labels."""
    dated: bool = True
    """Whether it is cheap enough to look back since when it holds."""


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that are evaluated together. `interval_s` None means: as often as all."""

    name: str
    file: str
    rules: tuple[Rule, ...]
    interval_s: float | None = None
    limit: int = 0
    """More alerts of one rule than this are an error of the rule; 0 for no limit."""

    @property
    def key(self) -> str:
        """Names the group among all."""
        return f"{self.file};{self.name}"


def read_groups(path: Path) -> tuple[list[RuleGroup], list[BadRule]]:
    """The groups of a file with the rules that can be used, and what is wrong with the others.

    Raises BadRule where the file cannot be read at all.
    """
    try:
        return parse_groups(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise BadRule(str(path), None, None, f"{error.strerror}; check the path and its rights") from None
    except UnicodeDecodeError as error:
        raise BadRule(str(path), None, None, f"it is not UTF-8 ({error.reason} at byte {error.start})") from None


def parse_groups(text: str, file: str) -> tuple[list[RuleGroup], list[BadRule]]:
    """The same from a text; `file` names it in messages. Raises BadRule where it is no file of rules."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadRule(file, None, None, " ".join(str(error).split())) from None
    if document is None:
        return [], []
    if not isinstance(document, Mapping) or not isinstance(document.get("groups"), list):
        raise BadRule(file, None, None, "a list 'groups' is expected, as Prometheus writes it")
    problems = [
        BadRule(file, None, None, f"'{name}' is not known; write groups") for name in document.keys() - {"groups"}
    ]
    groups: dict[str, RuleGroup] = {}
    for number, raw in enumerate(document["groups"], 1):
        try:
            group = _group(raw, file, number, problems)
        except BadRule as problem:
            problems.append(problem)
            continue
        if group.name in groups:
            problems.append(BadRule(file, group.name, None, "there are two groups of that name"))
            continue
        groups[group.name] = group
    return list(groups.values()), problems


def _group(raw: Any, file: str, number: int, problems: list[BadRule]) -> RuleGroup:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str) or not raw["name"]:
        raise BadRule(file, str(number), None, "a group needs a name")
    name: str = raw["name"]
    if strange := sorted(map(str, raw.keys() - _GROUP)):
        raise BadRule(file, name, None, f"a group has no field '{strange[0]}'")
    rules = raw.get("rules") or []
    if not isinstance(rules, list):
        raise BadRule(file, name, None, "'rules' is a list")
    interval = _duration(raw, "interval", file, name, None) or None
    limit = raw.get("limit") or 0
    if not isinstance(limit, int) or limit < 0:
        raise BadRule(file, name, None, "'limit' is a whole number, 0 for none")
    common = _texts(raw, "labels", file, name, None)
    made = tuple(_rules(rules, common, file, name, problems))
    return RuleGroup(name, file, made, interval, limit)


def _rules(
    rules: list[Any], common: Mapping[str, str], file: str, group: str, problems: list[BadRule]
) -> Iterator[Rule]:
    for number, raw in enumerate(rules, 1):
        try:
            yield rule(raw, common, file, group, number)
        except BadRule as problem:
            problems.append(problem)


def rule(raw: Any, common: Mapping[str, str], file: str, group: str, number: int) -> Rule:
    """One rule. Raises BadRule."""
    if not isinstance(raw, Mapping):
        raise BadRule(file, group, str(number), "a mapping with 'alert' or 'record' and 'expr' is expected")
    kind = "alert" if "alert" in raw else "record"
    name = raw.get(kind)
    place = str(name or number)
    if ("alert" in raw) == ("record" in raw) or not isinstance(name, str) or not name:
        raise BadRule(file, group, place, "it needs either 'alert' or 'record', with a name")
    known = _ALERT if kind == "alert" else _RECORD
    if strange := sorted(map(str, raw.keys() - known)):
        raise BadRule(
            file, group, place, f"a rule with '{kind}' takes no '{strange[0]}'; it takes {', '.join(sorted(known))}"
        )
    if kind == "record" and not METRIC.fullmatch(name):
        raise BadRule(file, group, place, f"'{name}' is not the name of a metric")
    labels = {**common, **_texts(raw, "labels", file, group, place)}
    annotations = _texts(raw, "annotations", file, group, place)
    for text in (*labels.values(), *annotations.values()):
        try:
            Template(text)
        except ValueError as error:
            raise BadRule(file, group, place, str(error)) from None
    return Rule(
        "alerting" if kind == "alert" else "recording",
        name,
        _expression(raw.get("expr"), file, group, place),
        _duration(raw, "for", file, group, place),
        _duration(raw, "keep_firing_for", file, group, place),
        labels,
        annotations,
    )


def _expression(raw: Any, file: str, group: str, place: str) -> str:
    text = str(raw).strip() if isinstance(raw, str | int | float) else ""
    if not text:
        raise BadRule(file, group, place, "'expr' is missing; write a PromQL query")
    try:
        kind = plan(text, 0, 0, 1).kind
    except BadQuery as error:
        raise BadRule(file, group, place, f"expr: {error}") from None
    if kind not in ("vector", "scalar"):
        raise BadRule(file, group, place, f"expr gives a {kind}; an instant vector is needed")
    return text


def _duration(raw: Json, name: str, file: str, group: str, place: str | None) -> float:
    text = raw.get(name)
    if text is None:
        return 0.0
    try:
        return seconds(str(text))
    except BadQuery as error:
        raise BadRule(file, group, place, f"{name}: {error}") from None


def _texts(raw: Json, name: str, file: str, group: str, place: str | None) -> dict[str, str]:
    found = raw.get(name) or {}
    if not isinstance(found, Mapping):
        raise BadRule(file, group, place, f"'{name}' is a mapping of names to texts")
    for key in found:
        if (
            not isinstance(key, str)
            or not LABEL.fullmatch(key)
            or (name == "labels" and key in ("__name__", "alertname"))
        ):
            raise BadRule(file, group, place, f"{name}: '{key}' cannot be a name here")
    return {key: "" if value is None else str(value) for key, value in found.items()}
