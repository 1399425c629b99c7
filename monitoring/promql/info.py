"""`info()`: a vector's series with labels added from info metrics of the same target, such as `target_info`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitoring.errors import BadQuery
from monitoring.model import LabelKey, Labels, Matcher
from monitoring.promql.binary import show
from monitoring.promql.select import compile_matchers, value_test
from monitoring.promql.values import NAME, Bools, InstantVector, Ints, compact, merged, nothing, vector

TARGET = ("instance", "job")
"""The labels that say which target a series is from."""

Joined = list[tuple[Labels, Bools]]
"""Labels to add, and the steps at which they hold."""


def info_matchers(written: Sequence[Matcher]) -> tuple[Matcher, ...]:
    """What selects info series: `target_info` where no name is asked for, `*_info` where names are only ruled out."""
    names = [matcher for matcher in written if matcher.name == NAME]
    if not names:
        return (Matcher(NAME, "=", "target_info"), *written)
    if any(matcher.op in ("=", "=~") for matcher in names):
        return tuple(written)
    return (Matcher(NAME, "=~", ".+_info"), *written)


def enriched(base: InstantVector, info: InstantVector, times: Ints, matchers: Sequence[Matcher]) -> InstantVector:
    """`base` with the labels of the info series of the same target; `times` are those of the info samples.

    Only labels that `matchers` name are added, all where they name none; a label that is there already stays. A series
    without info stays as it is if the matchers hold for an empty value, else it goes. Info series among `base` are
    left alone. Raises BadQuery where two info series of one target are equally new, or contradict each other.
    """
    steps = base.values.shape[1]
    is_info = compile_matchers([matcher for matcher in matchers if matcher.name == NAME])
    data = [matcher for matcher in matchers if matcher.name != NAME]
    plain = [is_info(labels) for labels in base.labels]
    others = [labels for labels, alone in zip(base.labels, plain, strict=True) if not alone]
    newest = _newest(info, times, _of_targets(info.labels, others))
    sources = _Sources(info.labels, newest, {matcher.name for matcher in data}, steps)
    may_lack = all(value_test(matcher)("") for matcher in data)
    rows: list[int] = []
    made: list[Labels] = []
    holds: list[Bools] = []
    everywhere = np.ones(steps, dtype=bool)
    for k, labels in enumerate(base.labels):
        for one, where in [(labels, everywhere)] if plain[k] else sources.joined(labels, base.present[k], may_lack):
            rows.append(k)
            made.append(one)
            holds.append(where)
    if not rows:
        return nothing(steps)
    present = base.present[rows] & np.array(holds)
    return merged(compact(vector(made, base.values[rows], present, base.drop[rows])))


def _of_targets(info: Sequence[Labels], base: Sequence[Labels]) -> list[int]:
    """The rows of `info` whose target labels have values that `base` has too."""
    values = {name: {labels[name] for labels in base if labels.get(name)} for name in TARGET}
    asked = {name: found for name, found in values.items() if found}
    if not asked:
        return []
    return [k for k, labels in enumerate(info) if all(labels.get(name) in found for name, found in asked.items())]


def _key(name: str, labels: Labels) -> LabelKey:
    return ((NAME, name), *((label, labels[label]) for label in TARGET if label in labels))


def _newest(info: InstantVector, times: Ints, rows: Sequence[int]) -> dict[LabelKey, Ints]:
    """For each info metric and target: the row of `info` that is newest at each step, -1 where there is none."""
    groups: dict[LabelKey, list[int]] = {}
    for row in rows:
        labels = info.labels[row]
        groups.setdefault(_key(labels.get(NAME, ""), labels), []).append(row)
    return {key: _newest_row(info, times, np.array(members)) for key, members in groups.items()}


def _newest_row(info: InstantVector, times: Ints, members: Ints) -> Ints:
    ages = np.where(info.present[members], times[members], np.iinfo(np.int64).min)
    best = ages.max(axis=0)
    there = info.present[members].any(axis=0)
    ties = ((ages == best).sum(axis=0) > 1) & there
    if ties.any():
        step = int(np.argmax(ties))
        first, second = (show(info.labels[row]) for row in members[ages[:, step] == best[step]][:2].tolist())
        raise BadQuery(f"found duplicate series for info metric: existing {first}, new {second} @ {best[step]}")
    return np.where(there, members[ages.argmax(axis=0)], -1)


class _Sources:
    """The info series of every target; what they add is worked out once a target."""

    def __init__(self, info: Sequence[Labels], newest: dict[LabelKey, Ints], wanted: set[str], steps: int) -> None:
        self._info, self._newest, self._wanted, self._steps = info, newest, wanted, steps
        self._names = sorted({dict(key)[NAME] for key in newest})
        self._choices: dict[LabelKey, list[tuple[list[int], Bools]]] = {}

    def joined(self, labels: Labels, present: Bools, may_lack: bool) -> Joined:
        """What becomes of a series: its labels with those added, and when. Nowhere where it must not lack info."""
        found: Joined = []
        for rows, where in self._chosen(labels):
            if not (where & present).any():
                continue
            if rows:
                found.append((self._added(labels, rows), where))
            elif may_lack:
                found.append((labels, where))
        return found

    def _chosen(self, labels: Labels) -> list[tuple[list[int], Bools]]:
        """The info rows of a series' target, and the steps at which it is just those."""
        target = _key("", labels)
        if target not in self._choices:
            keys = [key for name in self._names if (key := _key(name, labels)) in self._newest]
            table = np.array([self._newest[key] for key in keys], dtype=np.int64).reshape(len(keys), self._steps)
            kinds, which = np.unique(table, axis=1, return_inverse=True)
            flat = which.ravel()
            self._choices[target] = [
                ([row for row in kinds[:, k].tolist() if row >= 0], flat == k) for k in range(kinds.shape[1])
            ]
        return self._choices[target]

    def _added(self, labels: Labels, rows: Sequence[int]) -> Labels:
        added: dict[str, str] = {}
        for row in rows:
            for name, value in self._info[row].items():
                if name == NAME or name in labels or (self._wanted and name not in self._wanted):
                    continue
                if added.setdefault(name, value) != value:
                    raise BadQuery(f"conflicting label: {name}")
        return {**labels, **added}
