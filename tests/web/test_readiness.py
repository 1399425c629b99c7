"""What `/readyz` says while Redis answers and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.redis_servers import listens, needs_redis, server


@needs_redis
async def test_a_redis_that_takes_no_writes_leaves_the_product_degraded_until_it_does_again(
    tmp_path: Path, make_product: Any, until: Any
) -> None:
    with server(tmp_path / "one", "--maxmemory-policy", "noeviction") as one:
        await listens(one.port)
        url = f"redis://127.0.0.1:{one.port}"
        async with make_product(tmp_path / "data", redis_url=url, lease_ttl=1.0) as product:

            async def says(*words: str) -> bool:
                body = (await product.client.get("/readyz")).json()["data"]
                return bool((body["status"], body["dependencies"]["store"]) == words)

            await until(lambda: says("ready", "connected"))
            one.cli("config", "set", "maxmemory", "1")
            await until(lambda: says("degraded", "error"))
            one.cli("config", "set", "maxmemory", "0")
            await until(lambda: says("ready", "connected"))
