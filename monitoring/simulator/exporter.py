"""The simulated fleet's exporter: one page per server on a loopback port, scraped like any other target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from monitoring.model import Labels

PAGE_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def line_starts(series: Sequence[Labels]) -> list[str]:
    """Each series as a page writes it, up to its value.

    >>> line_starts([{"__name__": "up"}, {"__name__": "disk", "path": 'C:\\\\"x"'}])
    ['up ', 'disk{path="C:\\\\\\\\\\\\"x\\\\""} ']
    """
    return [f"{labels['__name__']}{_braces(labels)} " for labels in series]


def _braces(labels: Labels) -> str:
    pairs = [f'{name}="{_escaped(value)}"' for name, value in labels.items() if name != "__name__"]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Exporter:
    """An HTTP server on 127.0.0.1 at a free port: `/servers/NAME/metrics`."""

    def __init__(self, pages: Mapping[str, Callable[[], bytes | None]]) -> None:
        """A page that is None is refused: that server is down."""
        self._pages = pages
        self._runner: web.AppRunner | None = None
        self.port: int | None = None

    async def start(self) -> int:
        """Begins to serve and returns the port."""
        app = web.Application()
        app.router.add_get("/servers/{name}/metrics", self._page)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        self.port = port
        return port

    async def stop(self) -> None:
        """Ends serving; harmless where nothing was started."""
        runner, self._runner, self.port = self._runner, None, None
        if runner is not None:
            await runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        page = self._pages.get(request.match_info["name"])
        if page is None:
            return web.Response(status=404, text="no such server\n")
        body = page()
        if body is None:
            return web.Response(status=503, text="simulated: this server is down\n")
        return web.Response(body=body, headers={"Content-Type": PAGE_TYPE})
