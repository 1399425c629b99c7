"""What a failure of Redis means: a named cause, and a message that says the way out."""

from __future__ import annotations

import re
import ssl

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterError,
    MaxConnectionsError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from monitoring.errors import StoreUnavailable

FAILURES = (RedisError, RedisClusterException, OSError)
"""What the client raises."""
LOST = ("refused", "closed", "timeout")
"""Causes by which Redis is not there at all; by the others it answers, and refuses."""
READ_ONLY = ("readonly", "full", "disk", "replicas")
"""Causes by which it still answers reads."""

_REPLIES = {
    "LOADING": ("loading", "is reading its data back; it answers when that is done"),
    "READONLY": ("readonly", "is a read-only replica; name its master, or its sentinels by redis+sentinel://"),
    "OOM": ("full", "has reached its maxmemory; raise that, or shorten --retention"),
    "MISCONF": ("disk", "cannot write to its disk; make room there (its log says more)"),
    "NOREPLICAS": (
        "replicas",
        "has too few replicas to accept writes; bring them back, or lower min-replicas-to-write",
    ),
    "MASTERDOWN": ("loading", "is a replica that lost its master; it answers when that is back"),
    "CLUSTERDOWN": ("cluster", "is a cluster of which a part has no master; bring that node back"),
    "NOAUTH": ("denied", "wants a password; write it into OPENMANAGER_REDIS_URL"),
    "WRONGPASS": ("denied", "refuses user or password; correct them in OPENMANAGER_REDIS_URL"),
    "NOPERM": ("denied", "does not allow this user what is needed; see docs/operations.md"),
    "BUSY": ("busy", "is held up by a script of somebody else; end it there by SCRIPT KILL"),
}
_REPLY = re.compile(rf"(?:^|-|\b)({'|'.join(_REPLIES)})\b")


def unavailable(exc: Exception, where: str = "Redis") -> StoreUnavailable:
    """What a failure of the client means; `where` names the server. What our own scripts did wrong is raised."""
    if (known := _reply(exc)) is not None:
        cause, said = known
        return StoreUnavailable(cause, f"{where} {said} ({_short(exc)})")
    if (broken := _tls(exc)) is not None:
        hint = "check redis_ca, redis_cert, redis_key and the name in redis_url"
        return StoreUnavailable("tls", f"no trusted TLS to {where}: {broken}; {hint}")
    match exc:
        case AuthenticationError() | AuthorizationError():
            cause, said = _REPLIES["WRONGPASS"]
            return StoreUnavailable(cause, f"{where} {said} ({_short(exc)})")
        case MasterNotFoundError():
            return StoreUnavailable("refused", f"the sentinels of {where} know no master that answers: {_short(exc)}")
        case MaxConnectionsError():
            return StoreUnavailable("busy", f"all connections to {where} are in use")
        case RedisTimeoutError() | TimeoutError():
            return StoreUnavailable("timeout", f"{where} did not answer in time")
        case RedisConnectionError() | OSError():
            return StoreUnavailable("refused" if _never_connected(exc) else "closed", f"{where}: {_short(exc)}")
        case ClusterError() | RedisClusterException():
            return StoreUnavailable("cluster", f"{where} does not work as a cluster now: {_short(exc)}")
    raise exc


def _reply(exc: Exception) -> tuple[str, str] | None:
    """What the server said, where it is one of the known refusals. The client cuts the first word off some."""
    if isinstance(exc, BusyLoadingError):
        return _REPLIES["LOADING"]
    for kind, name in _BY_TYPE.items():
        if type(exc).__name__ == kind:
            return _REPLIES[name]
    if isinstance(exc, (ResponseError, AuthenticationError)) and (found := _REPLY.search(str(exc)[:300])):
        return _REPLIES[found[1]]
    return None


_BY_TYPE = {
    "ReadOnlyError": "READONLY",
    "OutOfMemoryError": "OOM",
    "NoPermissionError": "NOPERM",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
}


def _tls(exc: BaseException | None) -> str | None:
    """The TLS failure below `exc`."""
    for _ in range(5):
        if exc is None:
            return None
        if isinstance(exc, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted ({exc.verify_message})"
        if isinstance(exc, ssl.SSLError):
            return str(exc.reason or exc)
        exc = exc.__cause__ or exc.__context__
    return None


def _never_connected(exc: Exception) -> bool:
    below = exc if isinstance(exc, OSError) else exc.__context__
    return isinstance(below, OSError) and not isinstance(below, (ConnectionResetError, BrokenPipeError))


def _short(exc: Exception) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0][:200]
