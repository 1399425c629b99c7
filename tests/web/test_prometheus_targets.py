"""Targets, metadata and the admin API in Prometheus' shape, over pages that are really scraped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from web.alone import restore_backup
from web.settings import Settings

PAGE = """\
# HELP jobs_total Jobs done.
# TYPE jobs_total counter
jobs_total{queue="a"} 3
# HELP took_seconds How long they took.
# TYPE took_seconds histogram
took_seconds_bucket{le="+Inf"} 2
took_seconds_sum 1.5
took_seconds_count 2
"""


@pytest.fixture
async def exporter() -> AsyncIterator[str]:
    """A page of metrics on a port of this machine."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def scraping(make_product: Any, exporter: str, until: Any, tmp_path: Path) -> AsyncIterator[Any]:
    """A product that scrapes the page as job "shop", and was told of a target that relabelling drops."""
    config = {
        "scrape_configs": [
            {"job_name": "shop", "static_configs": [{"targets": [exporter]}]},
            {
                "job_name": "other",
                "static_configs": [{"targets": ["127.0.0.1:9"]}],
                "relabel_configs": [{"action": "drop", "source_labels": ["job"], "regex": "other"}],
            },
        ]
    }
    file = tmp_path / "prometheus.yml"
    file.write_text(json.dumps(config))
    async with make_product(tmp_path / "data", targets=file, scrape_interval=1.0, admin_api=True) as product:

        async def scraped() -> bool:
            return bool(await data(product, "series", **{"match[]": "jobs_total"}))

        await until(scraped)
        yield product


async def data(product: Any, path: str, **given: Any) -> Any:
    reply = await product.client.get(f"/api/v1/{path}", params=given)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


async def test_targets_are_shown_by_state_and_pool(scraping: Any, exporter: str) -> None:
    found = await data(scraping, "targets")
    [target] = found["activeTargets"]
    assert (target["scrapePool"], target["scrapeUrl"]) == ("shop", f"http://{exporter}/metrics")
    assert (target["health"], target["lastError"], target["scrapeInterval"]) == ("up", "", "1s")
    assert target["labels"] == {"instance": exporter, "job": "shop"}
    assert [one["scrapePool"] for one in found["droppedTargets"]] == ["other"]
    assert found["droppedTargetCounts"] == {"other": 1}
    assert await data(scraping, "scrape_pools") == {"scrapePools": ["other", "shop"]}

    async def counted(**given: str) -> tuple[int, int]:
        part = await data(scraping, "targets", **given)
        return len(part["activeTargets"]), len(part["droppedTargets"])

    assert await counted(state="active") == (1, 0)
    assert await counted(state="dropped") == (0, 1)
    assert await counted(scrapePool="shop") == (1, 0)
    assert await counted(scrapePool="nobody") == (0, 0)


async def test_metadata_is_what_the_page_said(scraping: Any, exporter: str) -> None:
    jobs = {"type": "counter", "help": "Jobs done.", "unit": ""}
    took = {"type": "histogram", "help": "How long they took.", "unit": ""}
    every = await data(scraping, "metadata")
    assert (every["jobs_total"], every["took_seconds"]) == ([jobs], [took])
    assert await data(scraping, "metadata", metric="jobs_total") == {"jobs_total": [jobs]}
    assert await data(scraping, "metadata", metric="nothing") == {}
    assert len(await data(scraping, "metadata", limit=1, limit_per_metric=1)) == 1
    assert await data(scraping, "metadata", limit=0) == {}
    shop = {"instance": exporter, "job": "shop"}
    rows = await data(scraping, "targets/metadata", match_target='{job="shop"}')
    assert {"target": shop, "metric": "took_seconds", **took} in rows
    assert await data(scraping, "targets/metadata", metric="jobs_total") == [{"target": shop, **jobs}]
    assert await data(scraping, "targets/metadata", match_target='{job="other"}') == []
    assert len(await data(scraping, "targets/metadata", limit=1)) == 1


async def test_the_admin_api_deletes_and_says_nothing(scraping: Any) -> None:
    async def admin(path: str, method: str = "POST", **form: Any) -> Any:
        return await scraping.client.request(method, f"/api/v1/admin/tsdb/{path}", data=form)

    await scraping.write([({"__name__": "mine", "a": x}, [(scraping.now - 60, 1.0)]) for x in "xyz"])
    for method, one in (("POST", "x"), ("PUT", "y")):
        gone = await admin("delete_series", method, **{"match[]": f'mine{{a="{one}"}}', "start": scraping.now - 3600})
        assert (gone.status_code, gone.content) == (204, b"")
        assert (await admin("clean_tombstones", method)).status_code == 204
    assert [row["metric"]["a"] for row in await scraping.query("mine")] == ["z"]
    refused = [await admin("delete_series"), await admin("delete_series", **{"match[]": "1"})]
    assert [reply.status_code for reply in refused] == [400, 400]
    assert 'invalid parameter "match[]"' in refused[1].json()["error"]


async def test_a_snapshot_is_a_backup_that_can_be_restored(scraping: Any, tmp_path: Path) -> None:
    await scraping.write([({"__name__": "mine"}, [(scraping.now - 60, 1.0)])])
    wrong = await scraping.client.post("/api/v1/admin/tsdb/snapshot", params={"skip_head": "perhaps"})
    assert (wrong.status_code, wrong.json()["errorType"]) == (400, "bad_data")
    reply = await scraping.client.post("/api/v1/admin/tsdb/snapshot")
    file = tmp_path / "data" / "snapshots" / reply.json()["data"]["name"]
    assert file.is_file()
    said = await asyncio.wait_for(restore_backup(Settings(data_dir=tmp_path / "new"), file, replace=False), 30)
    assert said.startswith("restored")


async def test_the_admin_api_is_off_unless_it_is_asked_for(product: Any) -> None:
    for path in ("delete_series", "clean_tombstones", "snapshot"):
        for method in ("POST", "PUT"):
            reply = await product.client.request(method, f"/api/v1/admin/tsdb/{path}")
            assert (reply.status_code, reply.json()["errorType"]) == (403, "unavailable")
            assert "admin APIs disabled" in reply.json()["error"]
