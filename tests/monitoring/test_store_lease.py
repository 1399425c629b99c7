"""What can be relied on of the lease: one holder, a soon successor, and no say for a holder that slept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from monitoring.errors import StoreUnavailable
from monitoring.store.lease import Holder, Lease, held
from monitoring.store.redis import SampleStore

TTL_S = 0.3


def work(log: list[tuple[str, int]], name: str) -> Callable[[int], Awaitable[None]]:
    """Notes when it begins and waits to be cancelled."""

    async def running(fence: int) -> None:
        log.append((name, fence))
        await asyncio.Event().wait()

    return running


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


async def end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_of_two_works_and_gives_the_lease_back_when_it_ends(store: SampleStore) -> None:
    log: list[tuple[str, int]] = []
    first, second = Lease(store.connection, 60.0), Lease(store.connection, 60.0)
    one = asyncio.create_task(first.lead(work(log, "one")))
    await until(lambda: log == [("one", 1)])
    two = asyncio.create_task(second.lead(work(log, "two")))
    await second.settled.wait()
    assert (second.fence, (await held(store.connection)).fence) == (None, 1)
    await end(one)
    third = asyncio.create_task(Lease(store.connection, 60.0).lead(work(log, "three")))
    await until(lambda: ("three", 2) in log)
    await end(two, third)
    assert (await held(store.connection)).holder is None


async def test_a_holder_that_falls_silent_is_followed_when_its_time_is_over(store: SampleStore) -> None:
    log: list[tuple[str, int]] = []
    silent = Holder("elsewhere", "", 1, 0.0, "other")
    await store.connection.redis.set("{om}:leader", silent.text(), px=200)
    await store.connection.redis.set("{om}:fence", 6)
    task = asyncio.create_task(Lease(store.connection, TTL_S).lead(work(log, "next")))
    await until(lambda: log == [("next", 7)])
    await end(task)


async def test_the_lease_of_a_dead_process_of_this_machine_is_taken_at_once(store: SampleStore) -> None:
    log: list[tuple[str, int]] = []
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    dead = Holder.here()._replace(pid=process.pid, key="dead")
    assert dead.surely_dead()
    assert not dead._replace(pid=os.getpid()).surely_dead()
    await store.connection.redis.set("{om}:leader", dead.text(), px=60_000)
    task = asyncio.create_task(Lease(store.connection, 60.0).lead(work(log, "next")))
    await until(lambda: log == [("next", 1)])
    await end(task)


async def test_work_ends_when_another_took_the_lease_and_begins_again_under_a_new_number(store: SampleStore) -> None:
    log: list[tuple[str, int]] = []
    lease = Lease(store.connection, TTL_S)
    task = asyncio.create_task(lease.lead(work(log, "one")))
    await until(lambda: log == [("one", 1)])
    other = Holder("elsewhere", "", 1, 0.0, "other")
    await store.connection.redis.set("{om}:leader", other.text(), px=200)
    await store.connection.redis.incr("{om}:fence")
    await until(lambda: log == [("one", 1), ("one", 3)])
    await end(task)


async def test_a_lease_that_ended_while_nobody_took_it_goes_on(store: SampleStore) -> None:
    log: list[tuple[str, int]] = []
    task = asyncio.create_task(Lease(store.connection, TTL_S).lead(work(log, "one")))
    await until(lambda: log == [("one", 1)])
    await store.connection.redis.delete("{om}:leader")
    async with asyncio.timeout(5):
        while (await held(store.connection)).holder is None:
            await asyncio.sleep(0.01)
    assert log == [("one", 1)]
    await end(task)


async def test_work_that_fails_gives_the_lease_back_and_says_so(store: SampleStore) -> None:
    async def fails(_fence: int) -> None:
        raise StoreUnavailable("full", "no room")

    with pytest.raises(StoreUnavailable, match="no room"):
        await Lease(store.connection, 60.0).lead(fails)
    assert (await held(store.connection)).holder is None
