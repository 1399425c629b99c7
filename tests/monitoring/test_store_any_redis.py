"""What can be relied on of every kind of Redis: TLS, sockets, passwords, sentinels, clusters; and of their refusals."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from monitoring.errors import BadSetting, StoreUnavailable
from monitoring.model import Batch, Matcher, Selection
from monitoring.store.address import address, secured
from monitoring.store.redis import SampleStore
from tests.redis_servers import certificates, cluster, free_port, listens, needs_redis, sentinels, server, tls

CPU = {"__name__": "cpu", "server_id": "web-01"}
ALL = Selection((Matcher("__name__", "=", "cpu"),), -1, 1 << 52)
SECRET = "p%40ss%2Fword"


@contextlib.asynccontextmanager
async def with_password(folder: Path) -> AsyncIterator[str]:
    with server(folder, "--requirepass", "p@ss/word") as one:
        await listens(one.port)
        yield f"redis://:{SECRET}@127.0.0.1:{one.port}/0"


@contextlib.asynccontextmanager
async def on_a_socket(folder: Path) -> AsyncIterator[str]:
    with server(folder, "--unixsocket", str(folder / "redis.sock")) as one:
        await listens(one.port)
        yield f"unix://{folder / 'redis.sock'}"


@contextlib.asynccontextmanager
async def with_tls(folder: Path) -> AsyncIterator[str]:
    files, port = certificates(folder / "tls"), free_port()
    with server(folder, *tls(files, port)):
        await listens(port)
        url = f"rediss://127.0.0.1:{port}"
        yield secured(url, ca=files.ca, cert=files.cert, key=files.key, required=True)


@contextlib.asynccontextmanager
async def by_sentinel(folder: Path) -> AsyncIterator[str]:
    async with sentinels(folder) as (_, _, watcher):
        yield f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{watcher.port}/mymaster"


@contextlib.asynccontextmanager
async def in_a_cluster(folder: Path) -> AsyncIterator[str]:
    async with cluster(folder) as nodes:
        yield f"redis+cluster://127.0.0.1:{nodes[0].port}"


@contextlib.asynccontextmanager
async def opened(url: str, timeout_s: float = 2.0) -> AsyncIterator[SampleStore]:
    store = SampleStore(url, timeout_s=timeout_s)
    try:
        yield store
    finally:
        await store.close()


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.02)


@needs_redis
@pytest.mark.parametrize("kind", [with_password, on_a_socket, with_tls, by_sentinel, in_a_cluster])
async def test_samples_and_json_are_kept_in_every_kind_of_redis(
    kind: Callable[[Path], contextlib.AbstractAsyncContextManager[str]], tmp_path: Path
) -> None:
    async with kind(tmp_path) as url, opened(url) as store, opened(url) as other:
        await store.append(Batch.at(60.0, [(CPU, 1.0), ({"__name__": "mem"}, 2.0)]))
        await store.append(Batch.at(3_700.0, [(CPU, 3.0)]))
        assert await store.seal(now=100_000.0) == 3
        [[series]] = await other.select([ALL])
        assert (series.times_ms.tolist(), series.values.tolist()) == ([60_000, 3_700_000], [1.0, 3.0])
        await store.put_json("answer", "a1", {"text": "그래"}, ttl_s=60)
        assert await other.get_json("answer", "a1") == {"text": "그래"}
        assert await store.delete(ALL.matchers, 0, 70_000) == 1
        assert [s.values.tolist() for s in (await other.select([ALL]))[0]] == [[3.0]]
        assert await store.trim(3_600.0, 3_600.0, now=100_000.0) > 0
        assert await other.labels() == []
        async with other.connection.redis.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe("om:tick")
            await channel.get_message(timeout=2)
            await store.connection.redis.publish("om:tick", b"1")
            async with asyncio.timeout(5):
                while (heard := await channel.get_message(timeout=1)) is None:
                    pass
        assert heard["data"] == b"1"
        status = await store.status()
        assert (status["connected"], store.connection.state) == (True, "connected")
        assert "p@ss" not in str(status)


@needs_redis
async def test_a_certificate_of_another_authority_is_refused_and_said(tmp_path: Path) -> None:
    async with with_tls(tmp_path) as url:
        other = certificates(tmp_path / "other")
        plain = url.partition("?")[0]
        wrong = secured(plain, ca=other.ca, cert=other.cert, key=other.key, required=True)
        for refused in (wrong, plain):
            async with opened(refused) as store:
                with pytest.raises(StoreUnavailable, match="certificate is not accepted") as failure:
                    await store.labels()
                assert (failure.value.cause, store.connection.state) == ("tls", "error")


def test_what_is_not_encrypted_is_refused_where_tls_is_required(tmp_path: Path) -> None:
    ca = certificates(tmp_path).ca
    for url in ("redis://u:s3cret@a:1", "redis+sentinel://a/m", "redis+cluster://a:1"):
        with pytest.raises(BadSetting, match="write rediss://") as failure:
            secured(url, ca=None, cert=None, key=None, required=True)
        assert "s3cret" not in str(failure.value)
    with pytest.raises(BadSetting, match="need TLS"):
        secured("redis://a", ca=ca, cert=None, key=None, required=False)
    with pytest.raises(BadSetting, match="no file"):
        secured("rediss://a", ca=tmp_path / "none.pem", cert=None, key=None, required=False)
    assert secured("unix:///run/r.sock", ca=None, cert=None, key=None, required=True) == "unix:///run/r.sock"


@pytest.mark.parametrize("url", ["http://a", "redis://", "redis://a:b:1", "redis+sentinel://a:1", "redis://a?x=1"])
def test_a_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(BadSetting, match="redis_url"):
        address(url)


@needs_redis
async def test_a_wrong_password_is_said_and_never_shown(tmp_path: Path) -> None:
    async with with_password(tmp_path) as url:
        for wrong in (url.replace(SECRET, "h1dden"), url.replace(f":{SECRET}@", "")):
            async with opened(wrong) as store:
                with pytest.raises(StoreUnavailable, match="password") as failure:
                    await store.labels()
                assert failure.value.cause == "denied"
                assert "h1dden" not in f"{failure.value}{failure.value.__cause__}{store.connection.last_error}"


@needs_redis
async def test_after_the_master_died_its_successor_takes_the_samples(tmp_path: Path) -> None:
    async with sentinels(tmp_path) as (master, replica, watcher):
        url = f"redis+sentinel://127.0.0.1:{watcher.port}/mymaster"
        async with opened(url) as store:
            await store.append(Batch.at(60.0, [(CPU, 1.0)]))
            assert master.cli("wait", "1", "2000") == "1"
            master.kill()

            async def kept() -> bool:
                try:
                    return await store.append(Batch.at(61.0, [(CPU, 2.0)])) == 1
                except StoreUnavailable:
                    return False

            await until(kept, 20.0)
            assert "role:master" in replica.cli("info", "replication")
            assert [s.values.tolist() for s in (await store.select([ALL]))[0]] == [[1.0, 2.0]]


@needs_redis
async def test_a_read_only_replica_is_read_and_its_refusal_says_the_way_out(tmp_path: Path) -> None:
    with server(tmp_path / "one") as one:
        await listens(one.port)
        async with opened(f"redis://127.0.0.1:{one.port}") as store:
            await store.append(Batch.at(60.0, [(CPU, 1.0)]))
            one.cli("replicaof", "127.0.0.1", str(free_port()))
            one.cli("config", "set", "replica-serve-stale-data", "yes")
            with pytest.raises(StoreUnavailable, match="name its master") as refusal:
                await store.append(Batch.at(61.0, [(CPU, 2.0)]))
            assert (refusal.value.cause, store.connection.state) == ("readonly", "error")
            assert [s.values.tolist() for s in (await store.select([ALL]))[0]] == [[1.0]]
            assert store.connection.state == "error", "reads do not prove that writes are taken"

            one.cli("replicaof", "no", "one")
            await store.append(Batch.at(61.0, [(CPU, 2.0)]))
            assert store.connection.state == "connected"


@needs_redis
async def test_a_redis_without_room_says_so_and_goes_on_when_it_has_some(tmp_path: Path) -> None:
    with server(tmp_path / "one", "--maxmemory-policy", "noeviction") as one:
        await listens(one.port)
        async with opened(f"redis://127.0.0.1:{one.port}") as store:
            await store.append(Batch.at(60.0, [(CPU, 1.0)]))
            one.cli("config", "set", "maxmemory", "1")
            with pytest.raises(StoreUnavailable, match="maxmemory") as refusal:
                await store.append(Batch.at(61.0, [(CPU, 2.0)]))
            assert refusal.value.cause == "full"
            one.cli("config", "set", "maxmemory", "0")
            await store.append(Batch.at(61.0, [(CPU, 2.0)]))
            assert [s.values.tolist() for s in (await store.select([ALL]))[0]] == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("reply", "cause", "way"),
    [
        (b"-LOADING Redis is loading the dataset in memory", "loading", "when that is done"),
        (b"-MISCONF Errors writing to the AOF file: No space left on device", "disk", "make room"),
        (b"-CLUSTERDOWN The cluster is down", "cluster", "bring that node back"),
        (b"-MASTERDOWN Link with MASTER is down", "loading", "lost its master"),
        (b"-NOREPLICAS Not enough good replicas to write.", "replicas", "min-replicas-to-write"),
        (b"-NOPERM User u has no permissions to run the 'evalsha' command", "denied", "operations.md"),
        (b"-BUSY Redis is busy running a script.", "busy", "SCRIPT KILL"),
    ],
)
async def test_a_refusal_has_a_cause_and_a_way_out(reply: bytes, cause: str, way: str) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                writer.write((reply + b"\r\n") * 8)
                await writer.drain()
        writer.close()

    peer = await asyncio.start_server(answers, "127.0.0.1", 0)
    port = peer.sockets[0].getsockname()[1]
    async with peer, opened(f"redis://127.0.0.1:{port}") as store:
        with pytest.raises(StoreUnavailable) as refusal:
            await store.append(Batch.at(60.0, [(CPU, 1.0)]))
    assert refusal.value.cause == cause
    assert way in str(refusal.value)
    assert store.connection.state == "error"


@needs_redis
async def test_states_follow_each_other_when_redis_dies_and_returns(tmp_path: Path) -> None:
    port = free_port()

    async def fails(store: SampleStore) -> None:
        with pytest.raises(StoreUnavailable):
            await store.labels()

    async with opened(f"redis://127.0.0.1:{port}") as store:
        assert store.connection.state == "disconnected"
        with server(tmp_path / "first", port=port):
            await listens(port)
            await store.labels()
            since = store.connection.connected_since
            assert since is not None
        await fails(store)
        await fails(store)
        assert (store.connection.state, store.connection.connected_since) == ("reconnecting", None)
        assert f"redis://127.0.0.1:{port}" in (store.connection.last_error or "")
        with server(tmp_path / "second", port=port):
            await listens(port)
            await store.labels()
    states = [state for _, state in store.connection.changes]
    assert states == ["connected", "disconnected", "reconnecting", "connected"]
    times = [at for at, _ in store.connection.changes]
    assert times == sorted(times)


@needs_redis
async def test_many_commands_at_once_share_few_connections_and_a_hung_redis_costs_one_timeout(tmp_path: Path) -> None:
    with server(tmp_path / "one") as one:
        await listens(one.port)
        async with opened(f"redis://127.0.0.1:{one.port}", timeout_s=0.5) as store:
            await asyncio.gather(*(store.get_json("x", str(k)) for k in range(200)))
            assert len([line for line in one.cli("client", "list").splitlines() if "cmd=get" in line]) <= 16
            one.process.send_signal(19)  # SIGSTOP
            began = asyncio.get_running_loop().time()
            with pytest.raises(StoreUnavailable) as hung:
                await store.get_json("x", "1")
            assert hung.value.cause == "timeout"
            assert asyncio.get_running_loop().time() - began < 5
            one.process.send_signal(18)  # SIGCONT
            assert await store.get_json("x", "1") is None
