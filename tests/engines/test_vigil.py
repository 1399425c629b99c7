"""Watching series sample by sample: what begins a departure, what ends it, and what goes on."""

from __future__ import annotations

import numpy as np

from engines.vigil import Vigil


def test_a_departure_takes_three_of_five_and_ends_after_ten_inside() -> None:
    scores = watched([50.0] * 20 + [90.0, 90.0, 50.0, 90.0] + [50.0] * 12)
    assert np.flatnonzero(scores >= 0.5).tolist() == list(range(23, 33))
    assert scores[20:22].max() < 0.5


def test_a_single_outlier_is_none() -> None:
    assert watched([50.0] * 20 + [99.0] + [50.0] * 9 + [99.0] + [50.0] * 9).max() < 0.5


def test_what_the_series_did_before_must_be_further_outside() -> None:
    before = ([50.0] * 80 + [66.0] * 20) * 5 + [50.0] * 80
    vigil = Vigil(1)
    for value in before:
        step(vigil, value)
    assert max(step(vigil, value) for value in [66.0] * 10) < 0.5
    assert max(step(vigil, value) for value in [90.0] * 10) >= 0.5


def test_a_gap_neither_begins_nor_ends_a_departure() -> None:
    scores = watched([50.0] * 20 + [90.0] * 4 + [np.nan] * 15 + [90.0])
    assert np.isnan(scores[24:39]).all()
    assert scores[-1] >= 0.5


def test_other_series_take_over_the_state_of_those_that_stay() -> None:
    vigil = Vigil(2)
    for _ in range(4):
        vigil.step(np.array([50.0, 90.0]), *bands(2))
    moved = vigil.arranged(np.array([1, -1, 0]))
    score = moved.step(np.array([90.0, 90.0, 50.0]), *bands(3))
    assert (score >= 0.5).tolist() == [True, False, False]


def watched(values: list[float]) -> np.ndarray:
    vigil = Vigil(1)
    return np.array([step(vigil, value) for value in values])


def step(vigil: Vigil, value: float) -> float:
    return float(vigil.step(np.array([value]), *bands(1))[0])


def bands(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Usually 50, normal from 40 to 60."""
    return np.full(count, 50.0), np.full(count, 40.0), np.full(count, 60.0)
