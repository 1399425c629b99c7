"""The cache: one value for all who ask at once, never older than it says, and of the newest version."""

from __future__ import annotations

import asyncio

import pytest

from web.cache import Cache, requests_total


class Source:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.now, self.made = 0.0, 0
        self.open = asyncio.Event()
        self.open.set()

    async def make(self) -> bytes:
        self.made += 1
        await self.open.wait()
        return b"%d" % self.made

    def cache(self, name: str, max_bytes: int = 100) -> Cache[bytes]:
        return Cache(name, len, fresh_s=5, stale_s=10, max_bytes=max_bytes, clock=lambda: self.now)


async def test_a_hundred_who_ask_at_once_cause_one_fetch() -> None:
    source = Source()
    cache = source.cache("stampede")
    assert await asyncio.gather(*(cache.get("a", 1, source.make) for _ in range(100))) == [b"1"] * 100
    assert (requests_total["stampede", "miss"], requests_total["stampede", "joined"]) == (1, 99)


async def test_an_old_value_is_served_while_it_is_renewed_and_never_beyond_its_age() -> None:
    source = Source()
    cache = source.cache("ages")
    assert await cache.get("a", 1, source.make) == b"1"
    source.now = 7
    source.open.clear()
    assert await cache.get("a", 1, source.make) == b"1"
    source.now = 11
    asking = asyncio.create_task(cache.get("a", 1, source.make))
    await asyncio.sleep(0)
    source.open.set()
    assert await asking == b"2"
    assert [requests_total["ages", result] for result in ("miss", "stale", "joined")] == [1, 1, 1]


async def test_a_value_of_an_earlier_version_is_not_served() -> None:
    source = Source()
    cache = source.cache("versions")
    assert [await cache.get("a", version, source.make) for version in (1, 1, 2)] == [b"1", b"1", b"2"]


async def test_it_holds_no_more_bytes_than_it_may() -> None:
    source = Source()
    cache = source.cache("bytes", max_bytes=3)
    for key in "abcd":
        await cache.get(key, 1, source.make)
    assert cache.bytes == 3
    assert [await cache.get(key, 1, source.make) for key in "ba"] == [b"2", b"5"]


async def test_who_asked_first_may_leave_without_harm_to_the_others() -> None:
    source = Source()
    source.open.clear()
    cache = source.cache("leaving")
    first, second = (asyncio.create_task(cache.get("a", 1, source.make)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    source.open.set()
    assert await second == b"1"
    with pytest.raises(asyncio.CancelledError):
        await first
