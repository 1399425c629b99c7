"""A series as inline SVG: no script, colours by the page's own classes, sharp on paper."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, tzinfo
from html import escape
from itertools import groupby

from assistant.document import Chart
from assistant.query import Language
from monitoring.briefing_facts import Course
from monitoring.units import figure

WIDTH, HEIGHT = 720.0, 200.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 12.0, 12.0, 26.0
MOST_LABELS = 6
STEPS_H = (0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 96)


def drawn(chart: Chart, zone: tzinfo, language: Language) -> str:
    """The `<svg>` of one series; empty where nothing was measured."""
    course = chart.course
    known = [value for _, value in course.points if value is not None and math.isfinite(value)]
    if not known or len(course.points) < 2:
        return ""
    times = course.points[0][0], course.points[-1][0]
    low, high, ticks = _scale(known, course.limit, chart.unit)
    parts = [*_band(course, times), *_levels(ticks, low, high, chart.unit, language), *_hours(times, zone)]
    if course.limit is not None and low <= course.limit <= high:
        y = _y(course.limit, low, high)
        parts.append(f'<line class="limit" x1="{LEFT:.0f}" x2="{WIDTH - RIGHT:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
    parts += _lines(course, times, low, high)
    label = escape(chart.title)
    return (
        f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{label}">'
        f"<title>{label}</title>{''.join(parts)}</svg>"
    )


def _scale(known: list[float], limit: float | None, unit: str) -> tuple[float, float, list[float]]:
    """Lowest and highest of the axis, and where it is marked."""
    low, high = min(known), max(known)
    if unit == "percent":
        low, high = 0.0, max(100.0, high)
        return low, high, [0.0, 25.0, 50.0, 75.0, 100.0]
    low = min(low, 0.0) if low >= 0 and low < 0.5 * high else low
    if limit is not None and limit < 2 * high:
        high = max(high, limit)
    size = high - low or max(abs(high), 1.0)
    step = 10 ** math.floor(math.log10(size / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if size / (factor * step) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = last if last > first else first + 1
    return first * step, last * step, [k * step for k in range(first, last + 1)]


def _levels(ticks: list[float], low: float, high: float, unit: str, language: Language) -> list[str]:
    parts = []
    for value in ticks:
        y = _y(value, low, high)
        parts.append(f'<line class="grid" x1="{LEFT:.0f}" x2="{WIDTH - RIGHT:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        label = escape(figure(value, unit, language))
        parts.append(f'<text class="axis" x="{LEFT - 6:.0f}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    return parts


def _hours(times: tuple[float, float], zone: tzinfo) -> list[str]:
    """Marks at whole hours or days of the reader's clock."""
    length_h = (times[1] - times[0]) / 3600
    step_h = next((one for one in STEPS_H if length_h / one <= MOST_LABELS), STEPS_H[-1])
    midnight = datetime.fromtimestamp(times[0], zone).replace(hour=0, minute=0, second=0, microsecond=0)
    parts = []
    for k in range(int((length_h + 24) / step_h) + 1):
        at = midnight + timedelta(hours=k * step_h)
        if times[0] <= at.timestamp() <= times[1]:
            x = _x(at.timestamp(), times)
            text = f"{at:%m-%d}" if (at.hour, at.minute) == (0, 0) else f"{at:%H:%M}"
            y = HEIGHT - BOTTOM
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP:.0f}" y2="{y:.0f}"/>')
            parts.append(f'<text class="axis" x="{x:.1f}" y="{y + 17:.0f}" text-anchor="middle">{text}</text>')
    return parts


def _band(course: Course, times: tuple[float, float]) -> list[str]:
    if course.marked is None:
        return []
    left, right = (_x(min(max(time, times[0]), times[1]), times) for time in course.marked)
    height = HEIGHT - TOP - BOTTOM
    return [
        f'<rect class="band" x="{left:.1f}" y="{TOP:.0f}" width="{max(right - left, 1):.1f}" height="{height:.0f}"/>'
    ]


def _lines(course: Course, times: tuple[float, float], low: float, high: float) -> list[str]:
    """A line for each stretch without a gap."""
    parts = []
    for there, group in groupby(course.points, key=lambda point: point[1] is not None and math.isfinite(point[1])):
        if there:
            places = [f"{_x(t, times):.1f},{_y(v, low, high):.1f}" for t, v in group if v is not None]
            parts.append(f'<polyline class="line" points="{" ".join(places)}"/>')
    return parts


def _x(time: float, times: tuple[float, float]) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (time - times[0]) / (times[1] - times[0])


def _y(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low))
