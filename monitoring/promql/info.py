"""`info()`: a vector's series with labels added from info metrics of the same target, such as `target_info`."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.model import Matcher
from monitoring.promql.values import NAME


def info_matchers(written: Sequence[Matcher]) -> tuple[Matcher, ...]:
    """What selects info series: `target_info` where no name is asked for, `*_info` where names are only ruled out."""
    names = [matcher for matcher in written if matcher.name == NAME]
    if not names:
        return (Matcher(NAME, "=", "target_info"), *written)
    if any(matcher.op in ("=", "=~") for matcher in names):
        return tuple(written)
    return (Matcher(NAME, "=~", ".+_info"), *written)
