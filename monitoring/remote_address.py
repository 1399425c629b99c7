"""Where a Prometheus-compatible server is, who we are to it, and what of that may be shown."""

from __future__ import annotations

import base64
import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from monitoring.errors import BackendUnavailable, BadSetting

TENANT = "X-Scope-OrgID"
"""The header by which Mimir, Cortex and Loki tell tenants apart."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server's base URL without credentials. Whatever is secret stays out of `repr`."""

    url: str
    tls: bool
    context: ssl.SSLContext | None = field(default=None, repr=False)
    tenant: str | None = None
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    password_file: Path | None = None
    token_file: Path | None = None

    def headers(self) -> dict[str, str]:
        """The headers of a request; the files of secrets are read anew. Raises BackendUnavailable."""
        found = {"User-Agent": "OpenManager", "Accept": "application/json"}
        if self.tenant:
            found[TENANT] = self.tenant
        if self.token_file is not None:
            found["Authorization"] = f"Bearer {_secret(self.token_file, 'prometheus_token_file')}"
        elif self.user:
            file = self.password_file
            password = self.password if file is None else _secret(file, "prometheus_password_file")
            found["Authorization"] = f"Basic {base64.b64encode(f'{self.user}:{password}'.encode()).decode()}"
        return found


def place(
    url: str,
    *,
    user: str | None = None,
    password_file: Path | None = None,
    token_file: Path | None = None,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    tenant: str | None = None,
) -> Place:
    """The place that settings name. Raises BadSetting, which never repeats a password.

    >>> place("https://reader:s3cret@metrics.example/prometheus/api/v1/").url
    'https://metrics.example/prometheus'
    """
    parts = _split(url)
    userinfo, _, host = parts.netloc.rpartition("@")
    name, _, password = userinfo.partition(":")
    name, password = unquote(name), unquote(password)
    if user and name and user != name:
        raise BadSetting("prometheus_user and the URL in prometheus name two users; keep one of them")
    if token_file is not None and (user or name):
        raise BadSetting("prometheus_token_file excludes a user; keep one of them")
    if password_file is not None and not (user or name):
        raise BadSetting("prometheus_password_file needs prometheus_user")
    if user and not name and password_file is None:
        raise BadSetting("prometheus_user needs prometheus_password_file")
    for setting, file in (("password_file", password_file), ("token_file", token_file)):
        if file is not None:
            _readable(file, f"prometheus_{setting}")
    if tenant is not None and not re.fullmatch(r"[\x21-\x7e]+", tenant):
        raise BadSetting("prometheus_tenant is no header value; write printable ASCII without spaces")
    tls = parts.scheme == "https"
    path = re.sub(r"/api/v1/?$", "", parts.path).rstrip("/")
    return Place(
        f"{parts.scheme}://{host}{path}",
        tls,
        _context(tls, ca, cert, key),
        tenant,
        user or name,
        password,
        password_file,
        token_file,
    )


def in_clear(where: Place) -> bool:
    """True where credentials would cross a network unencrypted."""
    secret = bool(where.user or where.token_file)
    return secret and not where.tls and not _loopback(urlsplit(where.url).hostname or "")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadSetting("prometheus is not a URL; write for example http://prometheus.example:9090") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadSetting("prometheus is not an http or https URL; write for example http://prometheus.example:9090")
    if parts.query or parts.fragment:
        raise BadSetting("prometheus takes a URL without '?' and '#'; a tenant goes into prometheus_tenant")
    return parts


def _context(tls: bool, ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    files = {"prometheus_ca": ca, "prometheus_cert": cert, "prometheus_key": key}
    named = {name: file for name, file in files.items() if file is not None}
    if not tls:
        if named:
            raise BadSetting(f"{min(named)} needs TLS; write https:// in prometheus")
        return None
    if (cert is None) != (key is None):
        raise BadSetting("prometheus_cert and prometheus_key go together")
    for name, file in named.items():
        if not file.is_file():
            raise BadSetting(f"no file '{file}' for {name}")
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as error:
        raise BadSetting(f"{', '.join(named)} cannot be used: {error}") from None
    return context


def _readable(file: Path, setting: str) -> None:
    try:
        _secret(file, setting)
    except BackendUnavailable as error:
        raise BadSetting(str(error)) from None


def _secret(file: Path, setting: str) -> str:
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise BackendUnavailable("no_secret", f"{setting} '{file}' cannot be read: {error}") from None
    if not text or not text.isprintable():
        raise BackendUnavailable("no_secret", f"{setting} '{file}' holds no single line of text")
    return text


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
