"""What one query may cost: time. Beyond it the asker is told in Prometheus' words, and the server goes on."""

from __future__ import annotations

from typing import Any

import pytest

from monitoring.errors import QueryTooExpensive

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_query_is_cut_when_its_time_is_over_and_the_next_one_is_answered(fleet: Any) -> None:
    backend = fleet.app.state.parts.backend
    with pytest.raises(QueryTooExpensive, match="query timed out in expression evaluation"):
        await backend.evaluate("server_cpu_usage", fleet.now, fleet.now, 1, timeout_s=0)
    result, _ = await backend.evaluate("count(server_cpu_usage)", fleet.now, fleet.now, 1, timeout_s=30)
    assert result.values.tolist() == [[4]]


async def test_a_fine_subquery_over_few_samples_is_cut_too(fleet: Any) -> None:
    backend = fleet.app.state.parts.backend
    with pytest.raises(QueryTooExpensive, match="query timed out in expression evaluation"):
        await backend.evaluate("sum_over_time(server_cpu_usage[6h:10ms])", fleet.now, fleet.now, 1, timeout_s=0.05)
