"""Which node began it: what is odd now against its own past, and who calls whom."""

import numpy as np
import pytest

from engines.departures import blame, by_node, oddness

ROWS, ONSET = 400, 395
CALLS = [("shop", "search"), ("shop", "pay"), ("search", "index"), ("lists", "search"), ("pay", "bank")]


def latencies(**slower: float) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(7)
    nodes = ["shop", "search", "pay", "index", "lists", "bank"]
    values = np.stack([0.1 + rng.exponential(0.01, ROWS) for _ in nodes], axis=1)
    for node, by in slower.items():
        values[ONSET:, nodes.index(node)] += by
    return nodes, values


def ranked(nodes: list[str], values: np.ndarray) -> list[str]:
    odd = oddness(values, ONSET, np.ones(len(nodes)))
    return list(blame(by_node([f"{node}|latency|avg" for node in nodes], odd), CALLS, "shop"))


def test_the_service_that_slows_its_callers_is_named_before_them():
    assert ranked(*latencies(search=0.2, shop=0.2, lists=0.2))[0] == "search"


def test_the_deepest_slow_service_of_a_chain_is_named_before_the_middle_one():
    assert ranked(*latencies(bank=0.3, pay=0.3, shop=0.3))[0] == "bank"


def test_what_the_symptom_does_not_call_comes_after_what_it_calls():
    calls = [*CALLS, ("batch", "tape")]
    odd = {"shop": 1.0, "search": 2.0, "tape": 3.0}
    assert next(iter(blame(odd, calls, "shop"))) == "search"


def test_a_fall_is_odd_only_where_less_is_worse():
    values = np.random.default_rng(1).normal(100.0, 1.0, (ROWS, 3))
    values[ONSET:] -= 20
    odd = oddness(values, ONSET, np.array([-1.0, 1.0, 0.0]))
    assert odd[0] > 2
    assert odd[1:] == pytest.approx([0, 0])


def test_a_constant_that_moves_is_odd_and_a_series_of_gaps_is_not():
    values = np.full((ROWS, 2), 100.0)
    values[ONSET:, 0] = 120.0
    values[:, 1] = np.nan
    odd = oddness(values, ONSET, np.ones(2))
    assert odd[0] > 2
    assert odd[1] == 0
