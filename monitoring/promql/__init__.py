"""PromQL with Prometheus 3 semantics, evaluated on numpy: `plan` a query, read `Plan.selections`, `run` it."""

from monitoring.promql.longrange import LongRange
from monitoring.promql.query import Plan, most_steps, plan, run
from monitoring.promql.values import TIMED_OUT, Limits, Result

__all__ = ["TIMED_OUT", "Limits", "LongRange", "Plan", "Result", "most_steps", "plan", "run"]
