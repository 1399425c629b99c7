"""The rules that hold without a rule file: the catalogue's thresholds, servers that are gone, what fills or drifts."""

from __future__ import annotations

from monitoring.catalog import Catalog, Concept
from monitoring.expressions import expression
from monitoring.inventory import SCORE, Inventory
from monitoring.rules import Rule, RuleGroup
from monitoring.thresholds import GONE, ThresholdRule, threshold_rules

FILE = "catalog.toml"
"""Where the thresholds stand: the catalogue of the product."""
SLOW_S = 300.0
"""Rules that look at hours are evaluated this often."""
_WORDS = {"warning": "경고", "critical": "심각"}
_FORECAST = "predict_linear(({query})[6h:10m], 86400) >= {limit:g} and ({query}) >= {least:g}"


def default_groups(catalog: Catalog, inventory: Inventory) -> list[RuleGroup]:
    """A group for each concept with thresholds, of those that this fleet reports, then the rest."""
    groups: dict[str, list[Rule]] = {}
    for one in threshold_rules(catalog, inventory):
        groups.setdefault(one.concept, []).append(_threshold(one, catalog.concepts[one.concept]))
    found = [RuleGroup(name, FILE, tuple(rules)) for name, rules in groups.items()]
    if rules := tuple(_scraping(inventory)):
        found.append(RuleGroup("scraping", FILE, rules))
    if rules := tuple(_slow(catalog, inventory)):
        found.append(RuleGroup("outlook", FILE, rules, SLOW_S))
    return found


def _threshold(one: ThresholdRule, concept: Concept) -> Rule:
    english, korean = one.summary, "서버가 응답하지 않습니다"
    if one.concept != GONE:
        limit = concept.critical if one.severity == "critical" else concept.warning
        unit = " %" if concept.unit == "percent" else ""
        value = f'{{{{ printf "%.1f" $value }}}}{unit}'
        english = f"{concept.title['en']} is at {value}, {one.severity} from {limit:g}{unit}"
        korean = f"{concept.title['ko']} {value} ({_WORDS[one.severity]} 기준 {limit:g}{unit})"
    notes, labels = {"summary": english, "summary_ko": korean}, {"concept": one.concept, "severity": one.severity}
    return Rule("alerting", one.name, one.query, 0, 0, labels, notes, one.concept)


def _scraping(inventory: Inventory) -> list[Rule]:
    """What concerns the collecting itself; each only where its metric exists."""
    found = []
    if "up" in inventory.metrics:
        notes = {
            "summary": "{{ $labels.job }} at {{ $labels.instance }} does not answer",
            "summary_ko": "{{ $labels.instance }}의 {{ $labels.job }} 수집 대상이 응답하지 않습니다",
        }
        found.append(Rule("alerting", "target_down", "up == 0", 120, 0, {"severity": "warning"}, notes))
    if "node_timex_offset_seconds" in inventory.metrics:
        notes = {
            "summary": "the clock is {{ $value | humanizeDuration }} off",
            "summary_ko": "시계가 {{ $value | humanizeDuration }} 어긋났습니다",
        }
        query = "abs(node_timex_offset_seconds) > 0.1"
        found.append(Rule("alerting", "clock_off", query, 600, 0, {"severity": "warning"}, notes))
    if SCORE in inventory.metrics:
        notes = {
            "summary": '{{ $labels.concept }} departs from its habit (score {{ $value | printf "%.2f" }})',
            "summary_ko": '{{ $labels.concept }} 값이 평소와 다릅니다 (점수 {{ $value | printf "%.2f" }})',
        }
        query = f"{SCORE} >= 0.5"
        found.append(Rule("alerting", "anomaly", query, 300, 300, {"severity": "warning"}, notes))
    return found


def _slow(catalog: Catalog, inventory: Inventory) -> list[Rule]:
    """A disk that is more than half full and will be full within a day, if the last six hours go on."""
    disk = catalog.concepts["disk"]
    query = expression(disk, inventory)
    if query is None or disk.scale is None:
        return []
    notes = {
        "summary": "the disk will be full within a day at the pace of the last six hours",
        "summary_ko": "최근 6시간 추세라면 하루 안에 디스크가 가득 찹니다",
    }
    asked = _FORECAST.format(query=query, limit=disk.scale, least=disk.scale / 2)
    return [
        Rule(
            "alerting", "disk_full_soon", asked, 3600, 0, {"concept": "disk", "severity": "warning"}, notes, dated=False
        )
    ]
