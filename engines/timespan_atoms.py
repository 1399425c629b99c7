"""What time expressions are made of: days, parts of a day, clock times, durations and the words that link them."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Literal

Meridiem = Literal["am", "pm", "day", "night"]
Role = Literal["since", "between", "before", "until", "to", "and"]


@dataclass(frozen=True, slots=True)
class Context:
    """The asker's present (aware), and whether the sentence looks ahead: then a bare Friday is the coming one."""

    now: datetime
    future: bool = False

    @property
    def today(self) -> date:
        return self.now.date()

    @property
    def zone(self) -> tzinfo:
        assert self.now.tzinfo is not None
        return self.now.tzinfo


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time. Months and days count in the calendar, seconds on the physical clock."""

    months: int = 0
    days: float = 0.0
    seconds: float = 0.0
    vague: bool = False

    def __add__(self, other: Duration) -> Duration:
        return Duration(
            self.months + other.months, self.days + other.days, self.seconds + other.seconds, self.vague or other.vague
        )

    def scaled(self, factor: float) -> Duration:
        """`factor` times as long; a fraction of a month counts as 30 days."""
        months = self.months * factor
        return Duration(int(months), self.days * factor + (months % 1) * 30, self.seconds * factor, self.vague)

    @property
    def whole_days(self) -> bool:
        """Whether "… ago" means a day rather than a moment."""
        return self.seconds == 0 and self.days == int(self.days)

    def from_(self, moment: datetime, sign: int) -> datetime:
        """`moment` moved by this length, `sign` −1 into the past or +1 into the future."""
        moved = add_months(moment, sign * self.months)
        days = int(self.days)
        if days:  # adding nothing would forget which of two equal wall times it is
            moved += timedelta(days=sign * days)
        seconds = self.seconds + (self.days - days) * 86400
        return (moved.astimezone(UTC) + timedelta(seconds=sign * seconds)).astimezone(moment.tzinfo)


@dataclass(frozen=True, slots=True)
class Days:
    """Whole calendar days, `end` exclusive."""

    start: date
    end: date
    grain: Literal["day", "week", "month", "year"] = "day"


@dataclass(frozen=True, slots=True)
class Weekday:
    """A day of the week (Monday 0) that still looks for its week."""

    number: int
    week: Literal["last", "next", "this", "any"] = "any"


@dataclass(frozen=True, slots=True)
class DayOfMonth:
    """The 15th of a month that is said elsewhere or is the last one that had a 15th."""

    number: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a day in hours since its midnight; `last` may pass 24. `meridiem` places a bare hour beside it."""

    first: float
    last: float
    meridiem: Meridiem


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day. Without a meridiem an hour of 1–12 is open, unless `exact` (written 03:00 or 15:00)."""

    seconds: int
    meridiem: Meridiem | None = None
    exact: bool = False

    @property
    def open(self) -> bool:
        return self.meridiem is None and not self.exact and 3600 <= self.seconds < 13 * 3600


@dataclass(frozen=True, slots=True)
class SameTime:
    """ "At this time": the time of day that it is now."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone said with a clock time."""

    tz: tzinfo


@dataclass(frozen=True, slots=True)
class Fixed:
    """A stretch (or, with `end` None, a moment) that needs nothing else to be resolved."""

    start: datetime
    end: datetime | None = None
    vague: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A word between, before or after times: "since", "to", 부터, 까지."""

    role: Role
    after: bool = False
    """True for Korean particles, which follow what they govern."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Looks like a time and is none: a threshold on a duration, an interval, "95th percentile"."""


Value = Days | Weekday | DayOfMonth | Part | Clock | SameTime | Zone | Fixed | Link | Nothing
Maker = Callable[[re.Match[str], Context], Value | None]


@dataclass(frozen=True, slots=True)
class Atom:
    """A value with its place in the text."""

    value: Value
    i: int
    j: int


Pattern = tuple[re.Pattern[str], Maker]

ZONES = {
    "utc": 0, "gmt": 0, "z": 0, "kst": 9, "jst": 9, "ist": 5.5, "cet": 1, "cest": 2, "bst": 1,
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip


def zone_named(name: str) -> tzinfo:
    """The zone of "kst", "Z" or "+09:00"."""
    lower = name.lower()
    if lower in ZONES:
        return timezone(timedelta(hours=ZONES[lower]))
    digits = lower[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]))
    return timezone(-offset if lower[0] == "-" else offset)


def add_months(moment: datetime, months: int) -> datetime:
    """`moment` some months on, its day cut to the length of that month."""
    index = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(index, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def one_day(day: date) -> Days:
    """That day."""
    return Days(day, day + timedelta(days=1))


def week_of(day: date, weeks: int = 0) -> Days:
    """The week from Monday that `day` lies in, `weeks` later."""
    monday = day - timedelta(days=day.weekday()) + timedelta(weeks=weeks)
    return Days(monday, monday + timedelta(weeks=1), "week")


def month_of(day: date, months: int = 0) -> Days:
    """The calendar month that `day` lies in, `months` later."""
    return _months(day.year * 12 + day.month - 1 + months, 1, "month")


def quarter_of(day: date, quarters: int = 0) -> Days:
    """The calendar quarter that `day` lies in, `quarters` later."""
    return _months((day.year * 12 + day.month - 1) // 3 * 3 + 3 * quarters, 3, "month")


def year_of(year: int) -> Days:
    """That calendar year."""
    return Days(date(year, 1, 1), date(year + 1, 1, 1), "year")


def _months(index: int, length: int, grain: Literal["month"]) -> Days:
    first, last = divmod(index, 12), divmod(index + length, 12)
    return Days(date(first[0], first[1] + 1, 1), date(last[0], last[1] + 1, 1), grain)


def calendar_day(context: Context, year: int | None, month: int, day: int) -> Days | None:
    """That date; without a year the last one (or, looking ahead, the next one). None where there is no such date."""
    try:
        found = date(year or context.today.year, month, day)
        if year is None and found > context.today and not context.future:
            found = found.replace(year=found.year - 1)
        if year is None and found < context.today and context.future:
            found = found.replace(year=found.year + 1)
    except ValueError:
        return None
    return one_day(found)


def named_month(context: Context, month: int, year: int | None = None) -> Days:
    """That calendar month; without a year the last one that has begun."""
    months = month - context.today.month
    if months > 0 and not context.future:
        months -= 12
    return month_of(date(year, month, 1)) if year else month_of(context.today, months)


def clock(
    hour: int, minute: int = 0, second: int = 0, meridiem: Meridiem | None = None, exact: bool = False
) -> Clock | None:
    """A clock time, None where no clock shows it (25:00, 3:75)."""
    if hour > 24 or minute > 59 or second > 59 or (hour == 24 and minute + second):
        return None
    if meridiem is not None and hour <= 12:
        hour = _twelve_hour(hour, meridiem)
        exact = True
    return Clock(hour * 3600 + minute * 60 + second, meridiem, exact or hour == 0 or hour > 12)


def _twelve_hour(hour: int, meridiem: Meridiem) -> int:
    """The hour since midnight; 낮 11시 is before noon, and at night 12–5 belong to the day after."""
    if meridiem == "am" or (meridiem == "day" and hour in (10, 11)):
        return hour % 12
    if meridiem in ("pm", "day"):
        return hour % 12 + 12
    return hour % 12 + 24 if hour % 12 < 6 else hour + 12


def ahead(length: Duration, context: Context) -> Fixed:
    """From now until `length` later."""
    return Fixed(context.now, length.from_(context.now, +1), length.vague)


def back(length: Duration, context: Context) -> Fixed:
    """From `length` ago until now."""
    return Fixed(length.from_(context.now, -1), context.now, length.vague)


def ago(length: Duration, context: Context) -> Days | Fixed:
    """A whole day for lengths in days, weeks and months; a moment for hours and less."""
    moment = length.from_(context.now, -1)
    return one_day(moment.date()) if length.whole_days else Fixed(moment, None, length.vague)
