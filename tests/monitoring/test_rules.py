"""Rule files: Prometheus' own format, every fault named by file, group and rule, the sound rules kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from monitoring.catalog import load
from monitoring.errors import BadRule
from monitoring.inventory import build
from monitoring.rules import Rule, RuleGroup, parse_groups
from monitoring.rules_default import default_groups
from monitoring.rules_files import RuleFiles
from monitoring.rules_template import Template
from web.alone import check_rules
from web.settings import load as load_settings

SOUND = """
groups:
  - name: web
    interval: 1m
    limit: 20
    labels: {team: shop}
    rules:
      - alert: TooBusy
        expr: server_cpu_usage > 90
        for: 5m
        keep_firing_for: 2m
        labels: {severity: critical}
        annotations:
          summary: "{{ $labels.server_id }} is at {{ $value | humanize }} %"
          summary_ko: "{{ $labels.server_id }} CPU {{ $value | humanize }} %"
      - record: fleet:cpu:mean
        expr: avg(server_cpu_usage)
"""


def test_a_file_of_prometheus_is_read_with_all_its_fields() -> None:
    groups, problems = parse_groups(SOUND, "web.yml")
    notes = {
        "summary": "{{ $labels.server_id }} is at {{ $value | humanize }} %",
        "summary_ko": "{{ $labels.server_id }} CPU {{ $value | humanize }} %",
    }
    labels = {"team": "shop", "severity": "critical"}
    busy = Rule("alerting", "TooBusy", "server_cpu_usage > 90", 300, 120, labels, notes)
    mean = Rule("recording", "fleet:cpu:mean", "avg(server_cpu_usage)", labels={"team": "shop"})
    assert (groups, problems) == ([RuleGroup("web", "web.yml", (busy, mean), 60.0, 20)], [])


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("alert: X\n        expr: up ==", "expr: 1:6: parse error"),
        ("alert: X\n        expr: up[5m]", "expr gives a matrix; an instant vector is needed"),
        ("alert: X", "'expr' is missing"),
        ("alert: X\n        expr: up\n        for: soon", "for: 'soon' is not a duration"),
        ("alert: X\n        expr: up\n        severity: high", "takes no 'severity'"),
        ("record: a-b\n        expr: up", "'a-b' is not the name of a metric"),
        ("record: a\n        expr: up\n        for: 5m", "takes no 'for'"),
        ("alert: X\n        record: y\n        expr: up", "either 'alert' or 'record'"),
        ("alert: X\n        expr: up\n        labels: {alertname: y}", "'alertname' cannot be a name here"),
        ("alert: X\n        expr: up\n        annotations: {s: '{{ $lables.x }}'}", "'$lables.x'"),
        ("alert: X\n        expr: up\n        annotations: {s: '{{ range query }}'}", "is not understood"),
        ("alert: X\n        expr: up\n        annotations: {s: '{{ $value '}", "is not closed"),
    ],
)
def test_a_bad_rule_is_named_with_its_place_and_the_good_ones_stay(rule: str, reason: str) -> None:
    groups, [problem] = parse_groups(f"{SOUND}      - {rule}\n", "web.yml")
    assert [one.name for one in groups[0].rules] == ["TooBusy", "fleet:cpu:mean"]
    assert (problem.file, problem.group) == ("web.yml", "web")
    assert "rule file 'web.yml', group 'web', rule '" in str(problem)
    assert reason in problem.reason


@pytest.mark.parametrize("text", ["groups: {a: 1}", "- a", "a: [", "rules: []"])
def test_what_is_no_file_of_rules_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(BadRule, match=r"rule file 'web\.yml'"):
        parse_groups(text, "web.yml")


def test_files_are_read_again_when_they_change_and_keep_their_rules_when_they_break(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(SOUND)
    files = RuleFiles([str(tmp_path / "*.yml"), str(tmp_path / "none.yml")])
    assert [group.name for group in files.current()] == ["web"]
    assert [problem.reason for problem in files.problems] == ["there is no such file; check the path"]
    written(file, "groups: [")
    assert [group.name for group in files.current()] == ["web"]
    assert [problem.file for problem in files.problems] == [str(tmp_path / "none.yml"), str(file)]
    written(file, SOUND.replace("name: web", "name: shop"))
    written(tmp_path / "db.yml", SOUND)
    assert [group.name for group in files.current()] == ["web", "shop"]
    file.unlink()
    assert [group.name for group in files.current()] == ["web"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{ $value }}", "1234.5"),
        ("{{ .Value | humanize }} and {{ humanize1024 $value }}B", "1.234k and 1.206kiB"),
        ('{{ printf "%.1f of %s" $value $labels.disk }}', "1234.5 of /data"),
        ('{{ $value | printf "%05.0f" }}', "01234"),
        ("{{ $value | humanizeDuration }}", "20m 34s"),
        ("{{ $labels.share | humanizePercentage }}", "12.5%"),
        ('{{ $labels.disk | toUpper }}{{ index $labels "none" }}{{ "x" | title }}', "/DATAX"),
        ("{{- $labels.disk -}} free", "/data free"),
        ("{{ $labels.at | humanizeTimestamp }}", "1970-01-01T00:01:00Z"),
    ],
)
def test_a_template_fills_labels_and_values(text: str, shown: str) -> None:
    assert Template(text).fill({"disk": "/data", "share": "0.125", "at": "60"}, 1234.5) == shown


def test_the_default_rules_are_the_catalogues_thresholds_for_what_the_fleet_reports() -> None:
    series = [{"__name__": "server_cpu_usage", "server_id": "a"}, {"__name__": "up", "instance": "b:9100"}]
    groups = default_groups(load(), build(series, load()))
    assert {group.name: [rule.name for rule in group.rules] for group in groups} == {
        "cpu": ["cpu_critical", "cpu_warning"],
        "up": ["up_critical"],
        "scraping": ["target_down"],
    }
    cpu = groups[0].rules[0]
    assert cpu.expr.endswith(f">= {load().concepts['cpu'].critical:g}")
    assert all({"summary", "summary_ko"} == rule.annotations.keys() for group in groups for rule in group.rules)


def test_the_example_of_the_guide_can_be_used_here_and_by_prometheus(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/alerts.md").read_text("utf-8")
    example = guide.partition("```yaml\n")[2].partition("```")[0]
    [group], problems = parse_groups(example, "shop.yml")
    assert ([rule.name for rule in group.rules], problems) == (["shop:errors:ratio", "ShopErrors"], [])
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: install Debian's prometheus")
    (tmp_path / "shop.yml").write_text(example)
    checked = subprocess.run([promtool, "check", "rules", str(tmp_path / "shop.yml")], capture_output=True, text=True)
    assert (checked.returncode, "2 rules found" in checked.stdout) == (0, True), checked.stderr


def test_check_names_what_is_wrong_in_rule_files(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(SOUND)
    (tmp_path / "b.yml").write_text("groups: [{name: g, rules: [{alert: X, expr: 'up =='}]}]")
    assert check_rules(load_settings(rules=[str(tmp_path / "a.yml")])) == {"rules": f"2 rules in {tmp_path / 'a.yml'}"}
    facts = check_rules(load_settings(rules=[str(tmp_path / "*.yml")]))
    assert facts["rules"] == "2 rules, 1 problems"
    assert facts["problem 1"].startswith(
        f"rule file '{tmp_path / 'b.yml'}', group 'g', rule 'X': expr: 1:6: parse error"
    )


def written(file: Path, text: str) -> None:
    """Writes a file so that its time of change differs, however quick the test."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(text)
    os.utime(file, ns=(before + 1_000_000_000, before + 1_000_000_000))
