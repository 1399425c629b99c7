"""Metrics that a file adds to the simulated servers, without code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monitoring.errors import BadSetting
from monitoring.simulator import EPOCH, SimulatedFleet
from monitoring.simulator.registry import read

NOW = EPOCH + 9 * 86_400.0 + 13 * 3600
FILE = """
[metrics.tickets_open]
roles = ["web"]
level = 40
noise = 0
follows = "nothing"
labels = { desk = "first" }
suffers = { errors = 4 }

[metrics.mails_sent_total]
kind = "counter"
servers = ["queue-01"]
level = 2.0
whole = true
"""


def test_a_metric_of_a_file_is_shown_by_the_servers_that_it_names_and_suffers_with_them(tmp_path: Path) -> None:
    path = tmp_path / "metrics.toml"
    path.write_text(FILE)
    fleet = SimulatedFleet(size=6, schedule=False, registry=read(path))
    assert b'\ntickets_open{desk="first"} 40.0\n' in fleet.page("web-01", NOW)
    assert b"tickets_open" not in fleet.page("api-01", NOW)
    assert fleet.value("queue-01", "mails_sent_total", NOW) > fleet.value("queue-01", "mails_sent_total", NOW - 60) > 0
    fleet.begin("bad_deploy", NOW, "web-01")
    assert fleet.value("web-01", "tickets_open", NOW + 600) == pytest.approx(40 * (1 - 4 * 0.12))


def test_every_server_has_the_metrics_of_its_type() -> None:
    fleet = SimulatedFleet(size=6)
    for server, names in {
        "web-01": "http_requests_total http_request_duration_seconds_sum active_users carts_open",
        "api-01": "http_requests_total db_pool_connections orders_per_minute payments_failed_per_minute",
        "db-01": "pg_stat_activity_count pg_stat_database_xact_commit pg_stat_database_blks_hit",
        "cache-01": "redis_keyspace_hits_total redis_connected_clients redis_evicted_keys_total",
        "queue-01": "rabbitmq_queue_messages rabbitmq_queue_messages_published_total",
        "batch-01": "batch_jobs_running batch_jobs_total batch_job_duration_seconds",
    }.items():
        shown = set(re.findall(r"^([a-z_0-9]+)", fleet.page(server, NOW).decode(), re.MULTILINE))
        assert {"node_cpu_seconds_total", "node_boot_time_seconds", *names.split()} <= shown
    assert b'server_depends_on{on="db-01"} 1.0\n' in fleet.page("api-01", NOW)
    assert b"server_depends_on" not in SimulatedFleet(size=6, topology=()).page("api-01", NOW)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[metrics.a]\nlevel = 1\nroles = ['nas']", "roles.0"),
        ("[metrics.a]\nfloor = 0.5", "level: Field required"),
        ("[metrics.'a b']\nlevel = 1", "name"),
        ("[metric.a]\nlevel = 1", "tables .metrics.NAME. and nothing else"),
        ("[metrics", "Expected"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_the_name_of_its_field(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "metrics.toml"
    path.write_text(text)
    with pytest.raises(BadSetting, match=said):
        read(path)
