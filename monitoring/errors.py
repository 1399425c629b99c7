"""What can go wrong, and who can act on it.

OpenManagerError
├── StoreUnavailable   the operator: Redis is away, loading or read-only; `cause` is a short fixed name
├── BackendUnavailable the operator: the remote Prometheus does not answer
├── TargetDown         the owner of a scrape target
├── BadSample          the sender of samples: a page or a body that cannot be read
├── BadQuery           the asker: PromQL or arguments that cannot be evaluated
│   ├── FailedQuery    … whose PromQL is sound, but not with the series that are there
│   ├── UnknownServer  … that name a server that is not there (carries the closest names)
│   └── UnknownMetric  … that name a metric that is not there (carries the closest names)
├── DemoOff            the operator: what is asked for needs the simulated fleet (--demo)
├── QueryTooExpensive  the asker: more samples, points or time than allowed
└── BadSetting         the operator: a setting or a targets file that cannot be used
    └── BadRule        … a rule of a rule file (names file, group, rule and reason)
"""

from __future__ import annotations


class OpenManagerError(Exception):
    """Base of every error that this project raises on purpose."""


class StoreUnavailable(OpenManagerError):
    """The store cannot be read or written now. `cause` is a fixed short name, fit for a counter."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class BackendUnavailable(OpenManagerError):
    """The remote Prometheus-compatible server does not answer. `cause` as above."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class TargetDown(OpenManagerError):
    """A scrape target did not answer with metrics in time."""


class BadSample(OpenManagerError):
    """A body of samples cannot be read: the message names the line, field or byte."""


class BadQuery(OpenManagerError):
    """The question put to the data cannot be evaluated; the message names the thing and the way out."""


class FailedQuery(BadQuery):
    """PromQL that can be read but not computed over the series that it found."""


class UnknownServer(BadQuery):
    """A server that is not there. `closest` are names that are, best first."""

    def __init__(self, name: str, closest: tuple[str, ...]) -> None:
        hint = f"; closest: {', '.join(closest)}" if closest else ""
        super().__init__(f"no server '{name}'{hint}")
        self.name = name
        self.closest = closest


class UnknownMetric(BadQuery):
    """A metric or concept that is not there. `closest` are names that are, best first."""

    def __init__(self, name: str, closest: tuple[str, ...]) -> None:
        hint = f"; did you mean {', '.join(repr(c) for c in closest)}?" if closest else ""
        super().__init__(f"no metric named '{name}'{hint}")
        self.name = name
        self.closest = closest


class DemoOff(OpenManagerError):
    """There is no simulated fleet; the message says how to get one."""


class QueryTooExpensive(OpenManagerError):
    """The query would touch more samples or points, or take longer, than is allowed."""


class BadSetting(OpenManagerError):
    """A setting or a file of the operator cannot be used; the message names it and the way out."""


class BadRule(BadSetting):
    """A rule, group or file of rules that cannot be used; None where the fault is not in one group or rule."""

    def __init__(self, file: str, group: str | None, rule: str | None, reason: str) -> None:
        place = "".join(
            (f"rule file '{file}'", f", group '{group}'" if group else "", f", rule '{rule}'" if rule else "")
        )
        super().__init__(f"{place}: {reason}")
        self.file = file
        self.group = group
        self.rule = rule
        self.reason = reason
