"""Plain ASGI middleware: security headers, body limit, and `/api/v1/…` as another name of `/api/…`."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.envelope import failure, is_prometheus

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'"
)
HEADERS = [
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
MOST_BODY = 16 * 2**20
MOST_WRITE = 32 * 2**20


class Shortcut:
    """Answers GET and HEAD of some paths by bare applications that need nothing of the framework, headers included."""

    def __init__(self, app: ASGIApp, paths: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._paths = {**paths, **{path.replace("/api/", "/api/v1/", 1): found for path, found in paths.items()}}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        app = self._app
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            app = self._paths.get(scope["path"], app)
        await app(scope, receive, send)


class SecurityHeaders:
    """Adds the headers of `HEADERS` to every response that does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in HEADERS if h[0] not in have)]
            await send(message)

        await self._app(scope, receive, sent)


class VersionedPaths:
    """`/api/v1/servers` is `/api/servers`, except where Prometheus has the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["path"].startswith("/api/v1/") and not is_prometheus(scope["path"]):
            path = f"/api/{scope['path'].removeprefix('/api/v1/')}"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


class BodyLimit:
    """Refuses bodies over the limit with 413, by the declared length or while they arrive."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MOST_WRITE if scope["path"].endswith("/write") else MOST_BODY
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await failure(413, f"the body is over {limit // 2**20} MiB")(scope, receive, send)
            return
        seen = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise HTTPException(413, f"the body is over {limit // 2**20} MiB")
            return message

        await self._app(scope, counted, send)
