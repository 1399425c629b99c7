"""Where Redis is: one URL for a server, a socket, sentinels or a cluster, and what of it may be shown.

| URL | |
|---|---|
| `redis://[user:password@]host:port[/db]`, `rediss://…` | one server; with TLS |
| `unix://path` | one server on this machine |
| `redis+sentinel://host:26379,host2:26379/mymaster[/db]`, `rediss+sentinel://…` | the master that sentinels name |
| `redis+cluster://host:port[,host2:port2]`, `rediss+cluster://…` | a cluster, found from any of its nodes |
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from monitoring.errors import BadSetting

Kind = Literal["server", "socket", "sentinel", "cluster"]
_SCHEME = re.compile(r"(redis|rediss)(?:\+(sentinel|cluster))?|unix")
_PORTS = {"server": 6379, "cluster": 6379, "sentinel": 26379}
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_OPTIONS = {*_TLS_FILES, "sentinel_username", "sentinel_password", "db"}


@dataclass(frozen=True, slots=True)
class Address:
    """A URL, read. `options` are for every connection: user, password, TLS."""

    kind: Kind
    shown: str
    """The URL without user and password."""
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    tls: bool = False
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    sentinel_options: dict[str, Any] = field(default_factory=dict, repr=False)


def address(url: str) -> Address:
    """The address that a URL names. Raises BadSetting, which never repeats a password.

    >>> address("redis+sentinel://:secret@a,b:26380/main/2").shown
    'redis+sentinel://a:26379,b:26380/main/2'
    >>> address("redis://:secret@[::1]:6380").hosts
    (('::1', 6380),)
    """
    parts = urlsplit(url)
    match = _SCHEME.fullmatch(parts.scheme)
    if match is None:
        raise BadSetting(
            f"redis_url begins with '{parts.scheme}:'; it must begin with redis://, rediss://, unix://, "
            "redis+sentinel:// or redis+cluster:// (docs/operations.md)"
        )
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if other := query.keys() - _OPTIONS:
        raise BadSetting(f"redis_url: '{min(other)}' is not an option; there are {', '.join(sorted(_OPTIONS))}")
    userinfo, _, place = parts.netloc.rpartition("@")
    if parts.scheme == "unix":
        path = unquote(f"{place}{parts.path}")
        return Address("socket", f"unix://{path}", path=path, db=_db(query.get("db", "0")), options=_user(userinfo))
    kind: Kind = match[2] or "server"  # type: ignore[assignment]
    hosts = tuple(_host(text, _PORTS[kind]) for text in place.split(",") if text)
    if not hosts:
        raise BadSetting(f"redis_url names no host; write for example {parts.scheme}://127.0.0.1:{_PORTS[kind]}")
    words = [unquote(word) for word in parts.path.split("/") if word]
    service = words.pop(0) if kind == "sentinel" and words else ""
    if kind == "sentinel" and not service:
        raise BadSetting("redis_url names sentinels and no master; write redis+sentinel://host:26379/mymaster")
    tls = match[1] == "rediss"
    return Address(
        kind,
        _shown(parts.scheme, hosts, parts.path),
        hosts,
        service=service,
        db=_db(query.get("db") or (words[0] if words else "0")),
        tls=tls,
        options=_user(userinfo) | (_tls(query) if tls else {}),
        sentinel_options=_sentinel_user(query) | (_tls(query) if tls else {}),
    )


def secured(url: str, *, ca: Path | None, cert: Path | None, key: Path | None, required: bool) -> str:
    """The URL with the TLS files that settings name. Raises BadSetting where it cannot be as safe as they ask."""
    place = address(url)
    if required and not place.tls and place.kind != "socket":
        raise BadSetting(f"redis_tls_required is on and {place.shown} is not encrypted; write rediss:// in redis_url")
    files = {name: path for name, path in zip(_TLS_FILES, (ca, cert, key), strict=True) if path is not None}
    if not files:
        return url
    if not place.tls:
        raise BadSetting(f"redis_ca, redis_cert and redis_key need TLS; write rediss:// instead of {place.shown}")
    if cert is not None and key is None:
        raise BadSetting("redis_cert needs redis_key, the file of its private key")
    for name, path in files.items():
        if not path.is_file():
            raise BadSetting(f"no file '{path}' for {name.replace('ssl_', 'redis_')}")
    joint = "&" if urlsplit(url).query else "?"
    return url + joint + urlencode({name: str(path) for name, path in files.items()})


def _shown(scheme: str, hosts: tuple[tuple[str, int], ...], path: str) -> str:
    places = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts)
    return f"{scheme}://{places}{quote(path, safe='/%')}"


def _host(text: str, port: int) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(\d{1,5}))?", text)
    if match is None or int(match[2] or 0) > 65535:
        raise BadSetting(f"redis_url: '{text}' is not HOST or HOST:PORT")
    return unquote(match[1].strip("[]")), int(match[2] or port)


def _db(text: str) -> int:
    if not text.isdigit():
        raise BadSetting(f"redis_url: the database '{text}' is not a number")
    return int(text)


def _user(userinfo: str) -> dict[str, Any]:
    user, _, password = userinfo.partition(":")
    found = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in found.items() if value}


def _sentinel_user(query: dict[str, str]) -> dict[str, Any]:
    return {name: query[f"sentinel_{name}"] for name in ("username", "password") if f"sentinel_{name}" in query}


def _tls(query: dict[str, str]) -> dict[str, Any]:
    files = {name: query[name] for name in _TLS_FILES if name in query}
    return {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, **files}
