"""The windows computed all at once agree with each window computed alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.model import Series
from monitoring.promql import plan, run

Samples = list[tuple[int, float]]

ALONE: dict[str, Callable[[Samples], float]] = {
    "sum_over_time": lambda samples: sum(value for _, value in samples),
    "avg_over_time": lambda samples: statistics.fmean(value for _, value in samples),
    "max_over_time": lambda samples: max(value for _, value in samples),
    "min_over_time": lambda samples: min(value for _, value in samples),
    "count_over_time": len,
    "last_over_time": lambda samples: samples[-1][1],
    "first_over_time": lambda samples: samples[0][1],
    "stdvar_over_time": lambda samples: statistics.pvariance([value for _, value in samples]),
    "changes": lambda samples: sum(a[1] != b[1] for a, b in pairwise(samples)),
    "resets": lambda samples: sum(b[1] < a[1] for a, b in pairwise(samples)),
}

columns = st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True).map(sorted)
numbers = st.integers(-1_000, 1_000).map(lambda n: n / 8)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), width=st.sampled_from([1, 7, 60, 500]))
def test_every_window_of_every_series_is_as_if_computed_alone(data: st.DataObject, width: int) -> None:
    stored: dict[str, Samples] = {}
    for name in "abc":
        times = data.draw(columns)
        stored[name] = [(time * 1000, data.draw(numbers)) for time in times]
    series = [
        Series({"__name__": "x", "k": name}, np.array([t for t, _ in some]), np.array([v for _, v in some]))
        for name, some in stored.items()
    ]
    steps = range(0, 450_001, 30_000)
    for function, alone in ALONE.items():
        result = run(plan(f"{function}(x[{width}s])", steps[0], steps[-1], 30_000), [series])
        rows = {labels["k"]: k for k, labels in enumerate(result.labels)}
        for name, some in stored.items():
            for column, end in enumerate(steps):
                inside = [one for one in some if end - width * 1000 < one[0] <= end]
                there = name in rows and bool(result.present[rows[name], column])
                assert there == bool(inside), function
                if inside:
                    assert result.values[rows[name], column] == pytest.approx(alone(inside), abs=1e-9), function


def test_series_that_share_a_column_of_times_and_series_that_do_not_give_the_same() -> None:
    rng = np.random.default_rng(7)
    times = np.arange(0, 600_000, 15_000)
    values = rng.random((20, len(times))).cumsum(axis=1)
    shared = [Series({"__name__": "x_total", "k": f"{k:02}"}, times, row) for k, row in enumerate(values)]
    shuffled = [shared[k] for pair in zip(range(10), range(10, 20), strict=True) for k in pair]
    apart = [Series(one.labels, one.times_ms.copy(), one.values) for one in shuffled]
    planned = plan("sum by (k) (rate(x_total[2m]))", 120_000, 540_000, 30_000)
    one, other = run(planned, [shared]), run(planned, [apart])
    order = [[labels["k"] for labels in result.labels] for result in (one, other)]
    assert sorted(order[0]) == sorted(order[1])
    np.testing.assert_allclose(one.values[np.argsort(order[0])], other.values[np.argsort(order[1])])
