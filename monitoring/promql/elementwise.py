"""Functions that look at one value at a time: arithmetic, trigonometry, rounding, dates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from monitoring.promql.values import Floats, Ints

Elementwise = Callable[..., Floats]
"""Takes values [series × steps] and the scalar arguments [steps]."""


def _round(values: Floats, to: Floats | float = 1.0) -> Floats:
    inverse = 1.0 / np.asarray(to)
    return np.floor(values * inverse + 0.5) / inverse


def _clamp(values: Floats, low: Floats, high: Floats) -> Floats:
    return np.maximum(low, np.minimum(high, values))


MATHS: dict[str, Elementwise] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": np.sign,
    "round": _round,
    "clamp": _clamp,
    "clamp_min": lambda values, low: np.maximum(values, low),
    "clamp_max": lambda values, high: np.minimum(values, high),
    "deg": np.degrees,
    "rad": np.radians,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}


def _civil(values: Floats) -> tuple[Ints, Ints, Ints]:
    """Seconds since 1970 (UTC), months since 1970-01 and days since 1970-01-01; what is no time counts as 0."""
    seconds = np.nan_to_num(np.clip(values, -1e14, 1e14)).astype(np.int64)
    stamps = seconds.view("M8[s]") if seconds.flags.c_contiguous else np.ascontiguousarray(seconds).view("M8[s]")
    return seconds, stamps.astype("M8[M]").astype(np.int64), stamps.astype("M8[D]").astype(np.int64)


def _first_day(months: Ints) -> Ints:
    return months.astype("M8[M]").astype("M8[D]").astype(np.int64)


def _date(part: Callable[[Ints, Ints, Ints], Ints]) -> Elementwise:
    def compute(values: Floats) -> Floats:
        return np.where(np.isfinite(values), part(*_civil(values)), np.nan)

    return compute


DATES: dict[str, Elementwise] = {
    "minute": _date(lambda seconds, months, days: seconds // 60 % 60),
    "hour": _date(lambda seconds, months, days: seconds // 3600 % 24),
    "day_of_week": _date(lambda seconds, months, days: (days + 4) % 7),
    "day_of_month": _date(lambda seconds, months, days: days - _first_day(months) + 1),
    "day_of_year": _date(lambda seconds, months, days: days - _first_day(months // 12 * 12) + 1),
    "days_in_month": _date(lambda seconds, months, days: _first_day(months + 1) - _first_day(months)),
    "month": _date(lambda seconds, months, days: months % 12 + 1),
    "year": _date(lambda seconds, months, days: months // 12 + 1970),
}


def apply(function: Elementwise, values: Floats, args: Sequence[Floats]) -> Floats:
    """The function of the values and its scalar arguments."""
    return function(values, *args)
