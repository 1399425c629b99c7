"""The page in a real browser, against a small scripted server under the strict CSP."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parents[2] / "web" / "static"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'"
)
QUERY = 'topk(1, avg_over_time(server_cpu_usage{type="web"}[1h]))'
ANSWER = "**web-a** has the highest CPU: 93.4 %."


def test_both_languages_say_the_same_things_with_the_same_blanks() -> None:
    english, korean = locale("en"), locale("ko")
    assert english.keys() == korean.keys()
    assert {key: blanks(text) for key, text in english.items()} == {key: blanks(text) for key, text in korean.items()}


def test_every_sentence_that_the_code_names_exists() -> None:
    named = {key for path in STATIC.glob("app/**/*.js") for key in re.findall(r"\bt\('([a-z_.]+)'", path.read_text())}
    assert named - locale("en").keys() == set()


def test_the_vendored_bundle_is_the_one_that_its_versions_name() -> None:
    stated = json.loads((STATIC / "vendor" / "VERSIONS.json").read_text())["sha256"]
    found = {name: hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() for name in stated}
    assert found == stated


@pytest.mark.browser
def test_cards_show_the_servers_and_an_answer_comes_with_its_query_one_click_away(page: Any, origin: str) -> None:
    page.goto(origin)
    page.locator(".card h2").first.wait_for()
    assert page.locator(".card h2").all_inner_texts() == ["web-a", "db-b"], "worst first"
    page.get_by_role("textbox", name="Ask about your servers").fill("Which web server is the hottest?")
    page.keyboard.press("Enter")
    page.get_by_text("has the highest CPU: 93.4 %.").first.wait_for()
    page.get_by_role("button", name="Evidence").click()
    assert page.locator(".proof code").inner_text() == QUERY


@pytest.mark.browser
def test_a_server_opens_with_its_charts_and_closes_with_escape(page: Any, origin: str) -> None:
    page.goto(origin)
    page.get_by_role("button", name="web-a", exact=True).click()
    page.locator("dialog").get_by_role("figure", name="CPU").locator("canvas").wait_for()
    assert "server=web-a" in page.url
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert "server=" not in page.url


@pytest.mark.browser
def test_when_requests_fail_the_old_cards_stay_and_a_line_tells_their_age(page: Any, origin: str) -> None:
    page.goto(origin)
    page.locator(".card h2").first.wait_for()
    page.route("**/api/**", lambda route: route.abort())
    page.get_by_role("button", name="Refresh").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert re.search(
        r"Could not refresh\..*Showing data from \d\d:\d\d:\d\d \(\d+\w ago\)", alert.inner_text(), re.DOTALL
    )
    assert page.locator(".card h2").all_inner_texts() == ["web-a", "db-b"]


@pytest.mark.browser
@pytest.mark.parametrize(
    "path", ["/?lang=ko", "/?lang=en", "/chat?lang=ko", "/admin?lang=ko", "/?server=web-a&lang=ko"]
)
def test_no_page_scrolls_sideways_on_a_phone(page: Any, origin: str, path: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(origin + path)
    page.get_by_role("heading").first.wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The address of the scripted server, on a free port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(scripted_app(), log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(5)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    with api.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, origin: str) -> Iterator[Any]:
    """A fresh page that fails its test on a CSP report, an error in a script or a request to another host."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.set_default_timeout(5_000)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
    opened.on("request", lambda request: None if request.url.startswith(origin) else faults.append(request.url))
    yield opened
    context.close()
    assert faults == []


def locale(language: str) -> dict[str, str]:
    """The sentences of a language, by key."""
    text = (STATIC / "app" / "locales" / f"{language}.js").read_text("utf-8")
    return dict(re.findall(r"^  '([^']+)': '((?:[^'\\]|\\.)*)',$", text, re.MULTILINE))


def blanks(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


def scripted_app() -> Starlette:
    """What the page needs of the real server, with two servers and one answer."""
    routes = [
        Route("/api/dashboard", dashboard),
        Route("/api/servers/realtime", realtime),
        Route("/api/servers/{id}", one_server),
        Route("/api/ai-agent/stream", answer, methods=["POST"]),
        Route("/api/redis/status", lambda _: enveloped({"connected": True})),
        Route("/readyz", lambda _: JSONResponse({"status": "ready"})),
        Mount("/static", StaticFiles(directory=STATIC)),
        *(Route(path, shell) for path in ("/", "/chat", "/admin")),
    ]
    return Starlette(routes=routes)


def shell(_: Request) -> Response:
    text = (STATIC / "index.html").read_text("utf-8").replace("__V__", "test")
    return HTMLResponse(text, headers={"Content-Security-Policy": CSP})


def enveloped(data: Any) -> Response:
    return JSONResponse({"success": True, "data": data, "timestamp": "2026-01-01T00:00:00Z", "version": "test"})


def server(name: str, cpu: float, status: str) -> dict[str, Any]:
    reason = {"concept": "cpu", "value": cpu, "unit": "percent", "threshold": 90, "level": "critical"}
    values = {"cpu": cpu, "memory": 40.0, "disk": None, "network_in": 1e5, "network_out": 2e5, "load": 1.0}
    about = {"id": name, "type": name.split("-")[0], "type_guessed": True, "status": status, "simulated": True}
    return (
        about
        | values
        | {
            "reasons": [reason] if status == "critical" else [],
            "disk_mount": None,
            "uptime_s": 86_400.0,
            "last_seen": "2026-01-01T00:00:00Z",
            "age_s": 2.0,
            "spark": [cpu, None, cpu],
        }
    )


SERVERS = [server("db-b", 20.0, "healthy"), server("web-a", 93.4, "critical")]
COUNTS = {"healthy": 1, "warning": 0, "critical": 1, "offline": 0, "unknown": 0}


def dashboard(_: Request) -> Response:
    freshness = {"timestamp": "2026-01-01T00:00:00Z", "cached": False, "stale": False, "age_s": 2.0}
    return enveloped({"servers": SERVERS, "total": 2, "counts": COUNTS, **freshness})


def one_server(request: Request) -> Response:
    found = next(one for one in SERVERS if one["id"] == request.path_params["id"])
    now = int(time.time())
    times = list(range(now - 3600, now, 60))
    cpu = {"unit": "percent", "times": times, "values": [None, *[50.0] * (len(times) - 1)]}
    return enveloped({"server": found, "metrics": {"cpu": cpu, "disk:/": cpu, "disk:/var": cpu}, "alerts": []})


def realtime(_: Request) -> Response:
    async def events() -> AsyncIterator[str]:
        yield frame("hello", {"seq": 1})
        await asyncio.Event().wait()  # nothing changes; the server cancels it when the page leaves

    return StreamingResponse(events(), media_type="text/event-stream")


async def answer(request: Request) -> Response:
    assert (await request.json()).keys() == {"query", "session_id", "context"}
    proof = {"query": QUERY, "time": 1_767_225_600, "source": "local", "age_s": 2.0}
    proof |= {"columns": ["server", "value"], "rows": [["web-a", 93.4]]}
    done = {"response": ANSWER, "status": "answered", "engine": "mcp", "fallbacks": [], "confidence": 0.9}
    done |= {"processingTime": 12, "evidence": [proof], "charts": [], "steps": [], "suggestions": ["And memory?"]}

    async def events() -> AsyncIterator[str]:
        yield frame("step", {"name": "understood", "detail": "ranking", "ms": 3, "status": "done"})
        yield frame("evidence", proof)
        yield frame("delta", {"text": ANSWER[:20]})
        yield frame("done", done)

    return StreamingResponse(events(), media_type="text/event-stream")


def frame(event: str, data: Any) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"
