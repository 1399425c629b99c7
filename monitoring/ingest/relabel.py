"""Relabelling: Prometheus' `relabel_configs` and `metric_relabel_configs`, with the same actions and defaults.

Source: prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config. A rule is checked once, when
its file is read; applying it never fails.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr, field_validator, model_validator

from monitoring.errors import BadQuery
from monitoring.promql.relabel import expand
from monitoring.promql.select import compile_regex

Action = Literal[
    "replace",
    "keep",
    "drop",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "hashmod",
    "lowercase",
    "uppercase",
    "keepequal",
    "dropequal",
]
_NEEDS_TARGET = ("replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal")
_ALLOWED = {
    "labeldrop": {"regex"},
    "labelkeep": {"regex"},
    "keepequal": {"source_labels", "target_label"},
    "dropequal": {"source_labels", "target_label"},
}
"""Actions that would pass over other fields: giving one is a mistake."""
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Rule(BaseModel):
    """One rule, as it stands in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    target_label: str = ""
    regex: str = "(.*)"
    modulus: int = 0
    replacement: str = "$1"
    action: Action = "replace"
    _compiled: Any = PrivateAttr(None)

    @field_validator("action", mode="before")
    @classmethod
    def _any_case(cls, action: Any) -> Any:
        return action.lower() if isinstance(action, str) else action

    @model_validator(mode="after")
    def _complete(self) -> Rule:
        if self.action in _NEEDS_TARGET and not self.target_label:
            raise ValueError(f"the action '{self.action}' needs a target_label")
        if self.action == "hashmod" and self.modulus < 1:
            raise ValueError("the action 'hashmod' needs a modulus of 1 or more")
        allowed = _ALLOWED.get(self.action)
        if allowed is not None and (other := self.model_fields_set - allowed - {"action"}):
            raise ValueError(f"the action '{self.action}' takes no {min(other)}")
        if "$" not in self.target_label and self.target_label and not _LABEL_NAME.fullmatch(self.target_label):
            raise ValueError(f"'{self.target_label}' is not a label name")
        try:
            self._compiled = compile_regex(self.regex)
        except BadQuery as error:
            raise ValueError(f"regex '{self.regex}': {error}") from None
        return self

    def change(self, labels: dict[str, str]) -> bool:
        """Applies the rule to `labels` in place. False where they are to be dropped."""
        value = self.separator.join(labels.get(name, "") for name in self.source_labels)
        match self.action:
            case "keep" | "drop":
                return (self._compiled.fullmatch(value) is not None) == (self.action == "keep")
            case "keepequal" | "dropequal":
                return (value == labels.get(self.target_label, "")) == (self.action == "keepequal")
            case "replace":
                self._replace(labels, value)
            case "hashmod":
                tail = hashlib.md5(value.encode(), usedforsecurity=False).digest()[8:]
                labels[self.target_label] = str(int.from_bytes(tail, "big") % self.modulus)
            case "lowercase" | "uppercase":
                _set(labels, self.target_label, value.lower() if self.action == "lowercase" else value.upper())
            case "labelmap" | "labeldrop" | "labelkeep":
                self._choose(labels)
        return True

    def _replace(self, labels: dict[str, str], value: str) -> None:
        if (hit := self._compiled.fullmatch(value)) is None:
            return
        name = expand(hit, self.target_label)
        if _LABEL_NAME.fullmatch(name):
            _set(labels, name, expand(hit, self.replacement))

    def _choose(self, labels: dict[str, str]) -> None:
        for name, value in list(labels.items()):
            hit = self._compiled.fullmatch(name)
            if self.action == "labelmap" and hit is not None:
                _set(labels, expand(hit, self.replacement), value)
            elif self.action != "labelmap" and (hit is None) == (self.action == "labelkeep"):
                del labels[name]


def relabel(rules: Sequence[Rule], labels: dict[str, str]) -> dict[str, str] | None:
    """The labels after all rules in order; None where a rule drops them.

    >>> rules = [Rule(source_labels=("__address__",), regex="(.+):.*", target_label="host", replacement="$1")]
    >>> relabel(rules, {"__address__": "db-01:9100"})
    {'__address__': 'db-01:9100', 'host': 'db-01'}
    """
    changed = dict(labels)
    for rule in rules:
        if not rule.change(changed):
            return None
    return changed


def _set(labels: dict[str, str], name: str, value: str) -> None:
    """Sets a label; an empty value is no label."""
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)
