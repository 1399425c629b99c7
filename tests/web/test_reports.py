"""Reports as documents and as answers: the same at the same time, each figure with its query, in both languages."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")
HOUR = 3600.0
FOOTNOTE = re.compile(r"^\[\^(\d+)\]: `(.+)` \((.+)\)$", re.MULTILINE)


async def document(fleet: Any, kind: str, form: str = "md", **more: Any) -> str:
    asked = {"kind": kind, "format": form, "now": fleet.now, "timezone": "UTC", **more}
    reply = await fleet.client.get("/api/reports", params=asked)
    assert reply.status_code == 200, reply.text
    return str(reply.text)


async def test_an_incident_report_tells_who_was_hit_from_when_and_how_badly(fleet: Any) -> None:
    text = await document(fleet, "incident", start=fleet.now - HOUR)
    assert "bravo-01 | CPU | 08:3" in text
    assert "95 %" in text
    for section in ("Impact", "Timeline", "What to check next", "Charts"):
        assert f"## {section}\n" in text


async def test_an_incident_report_without_a_time_is_about_the_last_incident(fleet: Any) -> None:
    found = (
        await fleet.client.get("/api/reports", params={"kind": "incident", "format": "json", "now": fleet.now})
    ).json()
    asked = found["data"]["asked"]
    assert fleet.now - 2 * HOUR < asked["start"] < fleet.now - 0.5 * HOUR
    assert {one["server"] for one in found["data"]["impact"]} >= {"bravo-01", "delta-01"}


async def test_every_note_of_a_report_is_a_query_that_runs_again(fleet: Any) -> None:
    for kind in ("incident", "daily", "handover", "capacity"):
        text = await document(fleet, kind)
        notes = {int(number): query for number, query, _ in FOOTNOTE.findall(text)}
        body = text.split("\n---\n")[0]
        used = {int(number) for number in re.findall(r"\[\^(\d+)\]", body)}
        assert used, kind
        assert used <= notes.keys()
        for number in sorted(used):
            await fleet.query(notes[number])


@pytest.mark.parametrize("kind", ["incident", "daily", "handover", "capacity"])
async def test_a_report_is_the_same_whenever_it_is_asked_as_of_the_same_time(fleet: Any, kind: str) -> None:
    for form in ("md", "html"):
        assert await document(fleet, kind, form) == await document(fleet, kind, form)


async def test_the_daily_report_names_what_needs_attention_in_both_languages(fleet: Any) -> None:
    english, korean = await document(fleet, "daily"), await document(fleet, "daily", lang="ko")
    for text in (english, korean):
        assert "bravo-01" in text
        assert "delta-01" in text
    assert english.count("[^") == korean.count("[^")
    assert "조치가 필요합니다" in korean
    assert not re.search(r"[가-힣]", english)


async def test_a_hand_over_says_who_took_care_and_what_is_silent(
    make_product: Any, make_servers: Any, tmp_path: Path
) -> None:
    async with make_product(tmp_path / "data", retention="36500d") as product:
        await product.write(make_servers(product.now))
        await product.client.get("/api/v1/rules")  # a round of evaluation
        alerts = (await product.client.get("/api/alerts")).json()["data"]["alerts"]
        one = next(row for row in alerts if row["server"] == "bravo-01" and row["fingerprint"])
        await product.client.post(f"/api/alerts/{one['fingerprint']}/ack", json={"by": "kim"})
        silence = {
            "matchers": [{"name": "server", "value": "delta-01"}],
            "duration": "2h",
            "createdBy": "lee",
            "comment": "disk swap",
        }
        assert (await product.client.post("/api/alerts/silences", json=silence)).status_code == 201
        text = await document(product, "handover")
        assert "acknowledged by kim" in text
        assert 'server="delta-01" until 11:00 UTC, by lee (disk swap)' in text
        answer = await product.ask("hand-over notes please")
        assert 'server="delta-01" until 11:00 UTC, by lee (disk swap)' in answer["response"]
        assert answer["report"]["kind"] == "handover"


async def test_capacity_says_what_is_too_small_and_what_too_big_with_its_use(fleet: Any) -> None:
    answer = await fleet.ask("which servers are too big?")
    assert answer["intent"] == "capacity"
    assert "charlie-01 (cache): CPU p95 12 %" in answer["response"]
    assert "bravo-01" not in answer["response"]
    small = await fleet.ask("용량 보고서")
    assert "자원이 부족한 서버: bravo-01" in small["response"]


async def test_without_enough_history_nothing_is_said_about_sizes(make_product: Any, tmp_path: Path) -> None:
    async with make_product(tmp_path / "data", retention="36500d") as product:
        values = [(product.now - 60 * k, 95.0) for k in range(60, -1, -1)]
        await product.write([({"__name__": "server_cpu_usage", "server_id": "new-01"}, values)])
        answer = await product.ask("which servers are too small?")
        assert answer["response"].startswith("There is too little history to judge sizes")


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("incident report for the last hour", "incident"),
        ("장애 보고서 써줘", "incident"),
        ("what happened in the last hour?", "incident"),
        ("daily report", "daily"),
        ("일일 보고서", "daily"),
        ("hand-over notes for the night shift", "handover"),
        ("인수인계", "handover"),
        ("capacity report", "capacity"),
    ],
)
async def test_an_answer_leads_to_the_document_that_says_the_same(fleet: Any, question: str, kind: str) -> None:
    answer = await fleet.ask(question)
    assert answer["status"] == "answered"
    assert answer["report"]["kind"] == kind
    first = answer["response"].split("\n")[0]
    link = urlsplit(answer["report"]["markdown"])
    text = (await fleet.client.get(f"{link.path}?{link.query}")).text
    assert re.split(r"(?<=\.) ", first)[0] in re.sub(r"\[\^\d+\]", "", text)
    page = await fleet.client.get(answer["report"]["url"])
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert f'lang="{answer["language"]}"' in page.text


async def test_the_page_of_a_report_needs_nothing_but_itself(fleet: Any) -> None:
    reply = await fleet.client.get("/api/reports", params={"kind": "daily", "now": fleet.now})
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in reply.text
    assert not re.search(r"""(?:src|href)=["'](?!#)""", reply.text)
    assert not re.search(r"\sstyle=|@import|url\(", reply.text)
    assert reply.text.count("<svg") >= 2


async def test_a_name_that_is_markup_stays_a_name(make_product: Any, tmp_path: Path) -> None:
    async with make_product(tmp_path / "data", retention="36500d") as product:
        labels = {"server_id": "<b>&web|01", "type": "web"}
        values = [(product.now - 60 * k, 95.0) for k in range(60, -1, -1)]
        await product.write([({"__name__": "server_cpu_usage", **labels}, values)])
        text = await document(product, "daily", "html")
        assert "&lt;b&gt;&amp;web|01" in text
        assert "<b>" not in text
        assert "\\<b>&web\\|01 |" in await document(product, "daily", "md")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"kind": "weekly"}, 422),
        ({"format": "pdf"}, 422),
        ({"timezone": "Mars/Olympus"}, 400),
        ({"start": "soon"}, 400),
        ({"start": "2020-01-01T00:00:00Z"}, 400),
        ({"server": "nobody-99"}, 404),
    ],
)
async def test_what_cannot_be_reported_is_refused_with_the_reason(
    fleet: Any, given: dict[str, str], status: int
) -> None:
    reply = await fleet.client.get("/api/reports", params={"now": str(fleet.now), **given})
    assert reply.status_code == status
    assert reply.json()["error"]["message"]


async def test_chromium_draws_a_report_in_its_own_style(fleet: Any, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium on this machine; .ci/run installs Debian's")
    page = tmp_path / "report.html"
    reply = await fleet.client.get("/api/reports", params={"kind": "daily", "now": fleet.now})
    policy = reply.headers["content-security-policy"].replace(" frame-ancestors 'none'", "").rstrip("; ")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    page.write_text(reply.text.replace("<head>", f"<head>{meta}"), "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'chrome'}", "--no-first-run"]
    shot = tmp_path / "report.png"
    done = await asyncio.to_thread(
        subprocess.run,
        [chromium, *flags, "--enable-logging=stderr", f"--screenshot={shot}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shot.stat().st_size > 20_000
    assert "Content Security Policy" not in done.stderr
