"""Which functions and aggregations PromQL has, and what they take and give."""

from __future__ import annotations

from typing import NamedTuple

from monitoring.promql.tree import Edges, Kind

SHOWN: dict[Kind, str] = {
    "scalar": "scalar",
    "vector": "instant vector",
    "matrix": "range vector",
    "string": "string",
}
"""Types as messages name them."""

_LETTERS: dict[str, Kind] = {"s": "scalar", "v": "vector", "m": "matrix", "t": "string"}


class Signature(NamedTuple):
    """The types of the arguments; the last one stands for those beyond, of which there may be `most` in all."""

    kinds: tuple[Kind, ...]
    least: int
    most: int
    gives: Kind

    def kind(self, place: int) -> Kind:
        """The type of the argument at `place` (from 0)."""
        return self.kinds[min(place, len(self.kinds) - 1)]


def _signature(written: str) -> Signature:
    """From letters for types, `?` after one that may be missing, `*` after one that may also come again."""
    takes, _, gives = written.partition(">")
    kinds = tuple(_LETTERS[letter] for letter in takes if letter in _LETTERS)
    least = len(kinds) - takes.count("?") - takes.count("*")
    return Signature(kinds, least, 1_000 if "*" in takes else len(kinds), _LETTERS[gives or "v"])


_WRITTEN = {
    "v": """abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor histogram_avg histogram_count
        histogram_stddev histogram_stdvar histogram_sum ln log10 log2 rad sgn sin sinh sort sort_desc sqrt tan tanh
        timestamp""",
    "v?": "day_of_month day_of_week day_of_year days_in_month hour minute month year",
    "m": """absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate
        last_over_time mad_over_time max_over_time min_over_time present_over_time rate resets stddev_over_time
        stdvar_over_time sum_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time
        ts_of_min_over_time""",
    "vs": "clamp_max clamp_min",
    "vs?": "round",
    "vss": "clamp",
    "vtttt": "label_replace",
    "vttt*": "label_join",
    "vt*": "sort_by_label sort_by_label_desc",
    "vtss*": "histogram_quantiles",
    "sv": "histogram_quantile",
    "ssv": "histogram_fraction",
    "sm": "quantile_over_time",
    "ms": "predict_linear",
    "mss": "double_exponential_smoothing",
    "vv?": "info",
    "s": "vector",
    "v>s": "scalar",
    "ss>s": "max_of min_of",
    ">s": "end pi range start step time",
}
FUNCTIONS = {name: _signature(written) for written, names in _WRITTEN.items() for name in names.split()}

NATIVE = frozenset(f"histogram_{part}" for part in ("avg", "count", "stddev", "stdvar", "sum"))
"""Functions that read native histograms."""

AGGREGATIONS: dict[str, Kind | None] = {
    **dict.fromkeys(("avg", "count", "group", "max", "min", "stddev", "stdvar", "sum")),
    **dict.fromkeys(("bottomk", "limit_ratio", "limitk", "quantile", "topk"), "scalar"),
    "count_values": "string",
}
"""The type of the parameter; None where there is none."""

EDGE_FUNCTIONS: dict[Edges, tuple[str, ...]] = {
    "anchored": ("changes", "delta", "increase", "rate", "resets"),
    "smoothed": ("delta", "increase", "rate"),
}
"""The functions that take a range whose edges are anchored or smoothed."""
