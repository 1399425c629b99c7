"""Who depends on whom, as servers say it, decides between causes that moved alike."""

from __future__ import annotations

from typing import Any

import pytest

NOW = 1_760_000_400.0
ONSET = NOW - 3000


def moved(server: str, concept: str, before: float, after: float, at: float) -> Any:
    wave = [(NOW - 60 * k, after if NOW - 60 * k >= at else before + (k * 7 % 5) * 0.2) for k in range(1500, -1, -1)]
    return {"__name__": f"server_{concept}_usage", "server_id": server}, wave


def errors(server: str) -> Any:
    """5xx from the onset on: the symptom."""
    total, bad = 0.0, 0.0
    fine, failed = [], []
    for k in range(1500, -1, -1):
        t = NOW - 60 * k
        share = 0.2 if t >= ONSET + 240 else 0.001
        total, bad = total + 600 * (1 - share), bad + 600 * share
        fine.append((t, total))
        failed.append((t, bad))
    labels = {"__name__": "http_requests_total", "server_id": server, "instance": f"{server}:80"}
    return [({**labels, "code": "200"}, fine), ({**labels, "code": "500"}, failed)]


@pytest.mark.parametrize("known", [False, True], ids=["no topology", "topology"])
async def test_of_two_that_moved_alike_the_one_that_others_depend_on_is_named(product: Any, known: bool) -> None:
    series = [*errors("shop-01")]
    for server, before, after in (("alpha-01", 20.0, 92.0), ("omega-01", 20.0, 90.0)):
        series.append(moved(server, "cpu", before, after, ONSET))
    for caller in ("shop-01", "alpha-01") if known else ():
        labels = {"__name__": "server_depends_on", "server_id": caller, "on": "omega-01"}
        series.append((labels, [(NOW - 60 * k, 1.0) for k in range(1500, -1, -1)]))
    await product.write(series)
    for text, words in (("Why does shop-01 return errors?", "Most likely cause: "), ("shop-01 왜 에러 나?", "원인: ")):
        answer = await product.ask(text)
        assert answer["response"].split(words)[1].startswith("omega-01" if known else "alpha-01"), answer["response"]
        assert any("server_depends_on" in one["query"] for one in answer["evidence"]) is known
