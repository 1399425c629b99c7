"""Real Redis servers for tests: one alone, with TLS, as replica, under sentinels, as a cluster. Loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server on PATH; Debian: apt-get install redis-server"
)


def free_port() -> int:
    """A port that nothing listens on; below 50,000, since a cluster node's bus is 10,000 above."""
    for _ in range(100):
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            port: int = door.getsockname()[1]
        if port < 50_000 and _is_free(port + 10_000):
            return port
    raise OSError("no free port")


def _is_free(port: int) -> bool:
    with socket.socket() as door, contextlib.suppress(OSError):
        door.bind(("127.0.0.1", port))
        return True
    return False


@dataclass(slots=True)
class Server:
    """A running redis-server or sentinel."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    def cli(self, *words: str) -> str:
        """What `redis-cli` says to one command."""
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout.strip()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def server(folder: Path, *options: str, port: int | None = None, sentinel: bool = False) -> Iterator[Server]:
    """A server that keeps its files in `folder`. It ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    words = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *options]
    if not sentinel:
        words += ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
    conf = folder / "redis.conf"
    conf.write_text(conf.read_text() if conf.exists() else "")
    command = ["redis-server", str(conf), *words, *(["--sentinel"] if sentinel else [])]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        yield Server(process, port, folder)
    finally:
        process.kill()
        process.wait()


async def listens(port: int) -> None:
    """Returns when something accepts connections there."""
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            return


@contextlib.asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[list[Server]]:
    """Three masters that know each other."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(server(folder / f"node{k}", *options)) for k in range(3)]
        for node in nodes:
            await listens(node.port)
        places = [f"127.0.0.1:{node.port}" for node in nodes]
        create = ["redis-cli", "--cluster", "create", *places, "--cluster-replicas", "0", "--cluster-yes"]
        made = await asyncio.to_thread(subprocess.run, create, capture_output=True, text=True, timeout=30)
        assert made.returncode == 0, made.stdout + made.stderr
        async with asyncio.timeout(20):
            while any("cluster_state:ok" not in node.cli("cluster", "info") for node in nodes):
                await asyncio.sleep(0.05)
        yield nodes


@contextlib.asynccontextmanager
async def sentinels(folder: Path, *options: str) -> AsyncIterator[tuple[Server, Server, Server]]:
    """(master, replica, sentinel); the sentinel takes a master for dead after half a second."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(server(folder / "master", *options))
        await listens(master.port)
        follow = ("--replicaof", "127.0.0.1", str(master.port), "--repl-diskless-sync-delay", "0")
        replica = stack.enter_context(server(folder / "replica", *follow, *options))
        await listens(replica.port)
        (folder / "sentinel").mkdir()
        (folder / "sentinel/redis.conf").write_text(
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds mymaster 500\n"
            "sentinel failover-timeout mymaster 3000\n"
        )
        watcher = stack.enter_context(server(folder / "sentinel", sentinel=True))
        await listens(watcher.port)
        async with asyncio.timeout(20):
            while "master_link_status:up" not in replica.cli("info", "replication"):
                await asyncio.sleep(0.05)
            while "slaves=1" not in watcher.cli("info", "sentinel"):
                await asyncio.sleep(0.05)
        yield master, replica, watcher


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a test CA and of a server's and client's certificate that it signed."""

    ca: Path
    cert: Path
    key: Path


def certificates(folder: Path) -> Certificates:
    """A new CA, and a certificate for 127.0.0.1."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test CA {folder.name}")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    root = _signed(ca_name, ca_name, ca_key.public_key(), ca_key, x509.BasicConstraints(ca=True, path_length=None))
    leaf = _signed(name, ca_name, key.public_key(), ca_key, here)
    found = Certificates(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    found.ca.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    found.cert.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return found


def _signed(
    name: x509.Name,
    by: x509.Name,
    public: ec.EllipticCurvePublicKey,
    key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(by, name, public, x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    return builder.add_extension(extension, critical=True).sign(key, hashes.SHA256())


def tls(files: Certificates, port: int) -> tuple[str, ...]:
    """Options of a server that speaks only TLS on `port` and wants a client certificate."""
    return (
        *("--tls-port", str(port), "--tls-ca-cert-file", str(files.ca), "--tls-cert-file", str(files.cert)),
        *("--tls-key-file", str(files.key), "--tls-auth-clients", "yes"),
    )
