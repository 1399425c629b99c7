"""The OpenAPI document, held against the running product: sound, complete, and true of whatever is sent."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openapi_spec_validator
import pytest
import pytest_asyncio
import uvicorn

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = float(os.environ.get("OPENMANAGER_API_TEST_SECONDS", "10"))
"""How long schemathesis may look for errors; give it minutes after changes to routes."""
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
ENDLESS = "/realtime$"
BINARY = "/write$|/v1/metrics$"
"""Bodies of which schemathesis knows nothing; tests/web/test_fuzz.py sends them."""
METHODS = ("get", "post", "put", "delete", "patch")


@pytest_asyncio.fixture(loop_scope="session")
async def address(make_product: Any, make_servers: Any, tmp_path: Path) -> AsyncIterator[str]:
    """A product that may be written to and deleted from, behind a real port of this machine."""
    async with make_product(tmp_path / "data", retention="36500d", admin_api=True) as product:
        await product.write(make_servers(product.now))
        server = uvicorn.Server(uvicorn.Config(product.app, port=0, lifespan="off", log_level="critical"))
        task = asyncio.create_task(server.serve())
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        await task


async def document(product: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await product.client.get("/openapi.json")).json()
    return found


async def test_the_document_is_one_that_a_client_generator_reads(fleet: Any) -> None:
    found = await document(fleet)
    openapi_spec_validator.validate(found)
    operations = [one for path in found["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names) > 60
    assert [name for name in names if not name.isidentifier()] == []
    assert [one["operationId"] for one in operations if not (one.get("summary") and one.get("tags"))] == []
    assert {tag for one in operations for tag in one["tags"]} <= {tag["name"] for tag in found["tags"]}


async def test_every_operation_says_what_it_gives_and_how_it_fails(fleet: Any) -> None:
    found = await document(fleet)
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            replies = operation["responses"]
            good = next(reply for status, reply in replies.items() if status in ("200", "201", "204"))
            assert good.get("content") or "204" in replies, (method, path)
            assert [status for status in replies if status.startswith("4")], (method, path)
            schema = good.get("content", {}).get("application/json", {}).get("schema")
            assert schema != {}, (method, path)


async def test_every_route_of_ours_has_its_alias_and_prometheus_keeps_its_own(fleet: Any) -> None:
    found = await document(fleet)
    theirs = {path for path, methods in found["paths"].items() if "prometheus" in next(iter(methods.values()))["tags"]}
    for path in found["paths"]:
        if not path.startswith("/api/") or path.startswith("/api/v1/") or path == "/api/servers/realtime":
            continue
        alias = path.replace("/api/", "/api/v1/", 1)
        ours, other = [await fleet.client.options(re.sub("{.*?}", "x", p)) for p in (path, alias)]
        assert ours.status_code == 405, path
        if alias in theirs:
            plain, versioned = [(await fleet.client.get(p)).json() for p in (path, alias)]
            assert ("success" in plain, versioned.get("status")) == (True, "success"), path
        else:
            assert (other.status_code, other.headers["allow"]) == (405, ours.headers["allow"]), path


async def test_whatever_is_sent_nothing_answers_500_or_with_a_status_it_does_not_announce(address: str) -> None:
    line = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{address}/openapi.json"),
        *("--checks", ",".join(CHECKS), "--exclude-path-regex", f"{ENDLESS}|{BINARY}"),
        *("--phases", "coverage,fuzzing", "--max-examples", "5", "--max-time", f"{SECONDS:g}", "--no-color"),
        *("--generation-database", "none", "--continue-on-failure", "--warnings", "off", "--request-timeout", "20"),
        *("--generation-codec", "utf-8", "--workers", "1", "--no-shrink"),
    ]
    process = await asyncio.create_subprocess_exec(
        *line, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd="/tmp"
    )
    try:
        async with asyncio.timeout(SECONDS * 2 + 60):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, printed.decode()[-12_000:]
    async with httpx.AsyncClient(base_url=address) as client:
        assert (await client.get("/readyz")).json()["data"]["status"] == "ready"
