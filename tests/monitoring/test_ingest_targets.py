"""Groups of targets: relabelling, credentials, limits, prometheus.yml, and targets found by files and by DNS."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import pytest
from aiohttp import web

from monitoring.errors import BadSetting
from monitoring.ingest.dns_names import resolver
from monitoring.ingest.relabel import Rule, relabel
from monitoring.ingest.scrape import ScrapeLoop
from monitoring.ingest.targets_file import TargetsFile
from monitoring.model import Batch


def rule(**fields: Any) -> Rule:
    return Rule.model_validate(fields)


# Expected labels as of Prometheus 2.42's model/relabel.
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"source_labels": ["a", "b"], "target_label": "c", "separator": "-"}, {"a": "x", "b": "y1", "c": "x-y1"}),
        ({"source_labels": ["b"], "regex": "y", "target_label": "c"}, {"a": "x", "b": "y1"}),
        ({"source_labels": ["b"], "regex": "(.)(?P<n>.)", "target_label": "${1}_l", "replacement": "$n"},
         {"a": "x", "b": "y1", "y_l": "1"}),
        ({"source_labels": ["b"], "regex": "y(.)", "target_label": "$1"}, {"a": "x", "b": "y1"}),
        ({"target_label": "a", "replacement": ""}, {"b": "y1"}),
        ({"source_labels": ["a"], "regex": "x", "action": "keep"}, {"a": "x", "b": "y1"}),
        ({"source_labels": ["a"], "regex": "x|y", "action": "Drop"}, None),
        ({"regex": "(b)", "replacement": "meta_$1", "action": "labelmap"}, {"a": "x", "b": "y1", "meta_b": "y1"}),
        ({"regex": "b", "action": "labeldrop"}, {"a": "x"}),
        ({"regex": "b", "action": "labelkeep"}, {"b": "y1"}),
        ({"source_labels": ["b"], "target_label": "a", "action": "uppercase"}, {"a": "Y1", "b": "y1"}),
        ({"source_labels": ["a"], "target_label": "b", "action": "keepequal"}, None),
        ({"source_labels": ["a"], "target_label": "b", "action": "dropequal"}, {"a": "x", "b": "y1"}),
        ({"source_labels": ["b"], "target_label": "b", "replacement": "", "action": "REPLACE"}, {"a": "x"}),
    ],
)  # fmt: skip
def test_each_action_does_what_prometheus_does(fields: dict[str, Any], expected: dict[str, str] | None):
    assert relabel([rule(**fields)], {"a": "x", "b": "y1"}) == expected


def test_hashmod_spreads_targets_as_prometheus_does():
    """The pair of Prometheus' own test, so that two servers that share targets by hash agree."""
    one = rule(source_labels=["c"], target_label="d", modulus=1000, action="hashmod")
    assert relabel([one], {"c": "baz"}) == {"c": "baz", "d": "976"}


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"relabel_configs": [{"action": "keep"}, {"regex": "("}]}, "group 2: relabel_configs 2: .*target_label"),
        ({"relabel_configs": [{"action": "keep", "regex": "("}]}, r"group 2: relabel_configs 1: regex '\('"),
        ({"metric_relabel_configs": [{"action": "kepe"}]}, "group 2: metric_relabel_configs 1 action: "),
        ({"relabel_configs": [{"action": "hashmod", "target_label": "x"}]}, "needs a modulus"),
        ({"relabel_configs": [{"action": "labeldrop", "source_labels": ["x"]}]}, "takes no source_labels"),
        ({"interval": "10s", "timeout": "10s"}, "timeout 10s is not shorter than interval 10s"),
        ({"basic_auth": {"username": "u", "password": "p"}}, "write password_file or password_env"),
        ({"bearer_token": "t"}, "write bearer_token_file or bearer_token_env"),
        ({"ca_file": "none.pem"}, "ca_file .*none.pem' cannot be used"),
        ({"body_limit": "much"}, "group 2: body_limit: 'much' is not a size"),
        ({"dns_sd": [{"names": ["x"], "type": "A"}]}, "carry no port"),
    ],
)
def test_a_mistake_is_named_with_its_file_group_and_rule(tmp_path: Path, entry: dict[str, Any], complaint: str):
    path = tmp_path / "targets.json"
    path.write_text(json.dumps([{"targets": ["a:1"]}, {"targets": ["b:1"], **entry}]))
    with pytest.raises(BadSetting, match=complaint) as raised:
        TargetsFile(path)
    assert str(path) in str(raised.value)


def test_a_prometheus_yml_is_read_and_what_it_has_beyond_us_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path, found = tmp_path / "prometheus.yml", tmp_path / "found"
    found.mkdir()
    (found / "a.json").write_text('[{"targets": ["later:1"], "labels": {"role": "db"}}]')
    path.write_text(
        """
global: {scrape_interval: 5s, external_labels: {dc: x}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: node
    scheme: https
    metrics_path: /m
    params: {collect: [cpu, disk]}
    scrape_timeout: 5s
    honor_labels: true
    body_size_limit: 1MB
    tls_config: {insecure_skip_verify: true, server_name: x}
    authorization: {credentials_file: token}
    static_configs:
      - targets: ['web-01:9100', 'web-02:9100']
    file_sd_configs: [{files: ['found/*.json']}]
    relabel_configs:
      - {source_labels: [__address__], regex: 'web-02:.*', action: drop}
      - {source_labels: [__address__], regex: '([^:]+):.*', target_label: host}
    kubernetes_sd_configs: []
"""
    )
    file = TargetsFile(path)
    first, later = file.current()
    assert first.url == "https://web-01:9100/m?collect=cpu&collect=disk"
    assert first.labels == {"instance": "web-01:9100", "job": "node", "host": "web-01"}
    terms = first.terms
    assert (terms.interval_s, terms.timeout_s, terms.honor_labels, terms.body_limit) == (5.0, 4.5, True, 2**20)
    assert later.labels == {"instance": "later:1", "job": "node", "host": "later", "role": "db"}
    (dropped,) = file.dropped
    assert dict(dropped.discovered)["__address__"] == "web-02:9100"
    for name in ("rule_files", "global.external_labels", "kubernetes_sd_configs", "tls_config.server_name"):
        assert name in caplog.text
    (found / "b.json").write_text('[{"targets": ["new:1"]}]')
    (found / "a.json").write_text("[broken")
    assert [one.labels["instance"] for one in file.current()] == ["web-01:9100", "later:1", "new:1"]
    (found / "b.json").unlink()
    assert [one.labels["instance"] for one in file.current()] == ["web-01:9100", "later:1"]


async def test_a_group_s_terms_hold_for_its_scrapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[web.Request] = []

    async def page(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(text='temp{job="page"} 1\ngo_threads 2\n')

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"127.0.0.1:{runner.addresses[0][1]}"
    monkeypatch.setenv("OM_TEST_TOKEN", "from-env")
    (tmp_path / "password").write_text("geheim\n")
    drop = {"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"}
    user = {"username": "om", "password_file": "password"}
    groups = [
        {"targets": [address], "job": "kept", "honor_labels": True, "metric_relabel_configs": [drop],
         "basic_auth": user, "params": {"x": ["1"]}, "path": "/p"},
        {"targets": [address], "job": "limited", "sample_limit": 1, "bearer_token_env": "OM_TEST_TOKEN"},
    ]  # fmt: skip
    path = tmp_path / "targets.json"
    path.write_text(json.dumps(groups))
    batches: list[Batch] = []

    async def append(batch: Batch) -> int:
        batches.append(batch)
        return len(batch)

    loop = ScrapeLoop(append, TargetsFile(path).current)
    try:
        await loop.scrape_once()
    finally:
        await runner.cleanup()
    by_path = {request.path_qs: request.headers["Authorization"] for request in asked}
    assert by_path == {
        "/p?x=1": "Basic " + base64.b64encode(b"om:geheim").decode(),
        "/metrics": "Bearer from-env",
    }
    values = {
        (batch.series[k]["__name__"], batch.series[k]["job"]): value
        for batch in batches
        for k, value in zip(batch.index.tolist(), batch.values.tolist(), strict=True)
    }
    assert values["temp", "page"] == 1.0
    assert [values[f"scrape_samples_{kind}", "kept"] for kind in ("scraped", "post_metric_relabeling")] == [2.0, 1.0]
    assert (values["up", "kept"], values["up", "limited"]) == (1.0, 0.0)
    assert "over the limit 1" in loop.targets()[1].last_error
    assert "geheim" not in repr(loop.targets())


class Zone(asyncio.DatagramProtocol):
    """A DNS server with records of the test's own; `broken` answers SERVFAIL."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.broken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        found = self.records.get((question.name.to_text(omit_final_dot=True), kind))
        if self.broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif found is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            reply.answer.append(dns.rrset.from_text(question.name, 0, "IN", kind, *found))
        self.transport.sendto(reply.to_wire(), addr)


@asynccontextmanager
async def zone() -> AsyncIterator[tuple[Zone, int]]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Zone, local_addr=("127.0.0.1", 0), family=socket.AF_INET
    )
    try:
        yield protocol, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


async def test_dns_names_become_targets_and_stay_while_dns_is_broken(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "targets.toml"
    path.write_text(
        """
[[group]]
job = "node"
[[group.dns_sd]]
names = ["_node._tcp.example.test"]
[[group.dns_sd]]
names = ["db.example.test"]
type = "A"
port = 9187
[[group.relabel_configs]]
source_labels = ["__meta_dns_name"]
target_label = "found_by"
"""
    )
    async with zone() as (records, port):
        records.records = {
            ("_node._tcp.example.test", "SRV"): ["0 0 9100 web-01.example.test.", "0 0 9101 web-02.example.test."],
            ("db.example.test", "A"): ["10.0.0.7"],
        }
        file = TargetsFile(path, resolver("127.0.0.1", port))
        queries = [query for job in file._jobs for query in job.names]
        assert file.current() == ()
        await file.names.refresh(queries)
        urls = ["web-01.example.test:9100", "web-02.example.test:9101", "10.0.0.7:9187"]
        assert [one.labels["instance"] for one in file.current()] == urls
        assert file.current()[2].labels["found_by"] == "db.example.test"
        records.broken = True
        await file.names.refresh(queries)
        assert len(file.current()) == 3
        assert file.names.failures == {"_node._tcp.example.test": 1, "db.example.test": 1}
        assert "dns.failed name=db.example.test type=A kept=1" in caplog.text
        records.broken = False
        del records.records["db.example.test", "A"]
        await file.names.refresh(queries)
        assert [one.labels["instance"] for one in file.current()] == urls[:2]
