"""Reading the whole fleet for analysis: the matrix of the last tick beside PING and beside the founding layout.

The founding layout is three hashes a server (`server:`, `metrics:`, `status:`), read by 3N HGETALL in one pipeline.
One real Redis or Valkey on a Unix socket, one connection at a time. Read the ratios.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.store_dashboard import sparks, state
from monitoring.store.board import BoardStore
from monitoring.store.connection import Connection
from monitoring.store.server import EmbeddedValkey
from web.live import make


async def main(servers: int) -> None:
    """Prints the table for a fleet of `servers`."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder) / "store")
        await valkey.start()
        connection = Connection(valkey.url, 30.0)
        try:
            await compare(connection, servers)
        finally:
            await connection.close()
            await valkey.close()


async def compare(connection: Connection, servers: int) -> None:
    """Writes both layouts, reads them, prints medians."""
    boards, redis = BoardStore(connection), connection.redis
    made = make(state(servers, 1), sparks(servers, 1), None, 1)
    await boards.publish(1, 0, made.board.facts(), made.board.bodies, made.tick, made.delta)
    pipe = redis.pipeline(transaction=False)
    for server in made.board.data()["servers"]:
        flat = {name: str(value) for name, value in server.items() if name != "spark"}
        for kind in ("server", "metrics", "status"):
            pipe.hset(f"{kind}:{server['id']}", mapping=dict(list(flat.items())[:8]))
    await pipe.execute()

    async def founding() -> Any:
        pipe = redis.pipeline(transaction=False)
        for server in made.board.data()["servers"]:
            for kind in ("server", "metrics", "status"):
                pipe.hgetall(f"{kind}:{server['id']}")
        return await pipe.execute()

    ping = await median(lambda: redis.ping(), 500)
    tick = await median(boards.read_tick, 500)
    old = await median(founding, 7)
    print(f"{servers:,} servers: PING {ping:.3f} ms, matrix {tick:.3f} ms, founding layout {old:.1f} ms")
    print(f"matrix ÷ PING {tick / ping:.2f}; founding layout ÷ matrix {old / tick:.0f}")


async def median(act: Callable[[], Awaitable[Any]], rounds: int) -> float:
    """The median of some rounds, in ms."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await act()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
