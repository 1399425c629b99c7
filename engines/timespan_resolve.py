"""From atoms to instants: which day a clock time belongs to, where a range begins and ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo

from engines.timespan_atoms import (
    Clock,
    Context,
    DayOfMonth,
    Days,
    Fixed,
    Part,
    SameTime,
    Value,
    Weekday,
    Zone,
    clock,
    month_of,
    one_day,
    week_of,
)

DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Stretch:
    """A resolved time; without `end` a moment."""

    start: datetime
    end: datetime | None = None
    vague: bool = False

    @property
    def until(self) -> datetime:
        return self.start if self.end is None else self.end


@dataclass(frozen=True, slots=True)
class Place:
    """One time as said: each part at most once, in whatever order the words came."""

    days: Days | None = None
    weekday: Weekday | None = None
    of_month: DayOfMonth | None = None
    part: Part | None = None
    clock: Clock | None = None
    same: bool = False
    zone: tzinfo | None = None
    fixed: Fixed | None = None

    def joined(self, value: Value) -> Place | None:
        """This with `value` said beside it, or None where the two cannot belong together."""
        empty = self == Place()
        if isinstance(value, Fixed):
            return replace(self, fixed=value) if empty else None
        if self.fixed is not None:
            return self._joined_to_fixed(value)
        if isinstance(value, Days):
            return self._joined_days(value)
        if isinstance(value, Weekday) and self.weekday is None and (self.days is None or self.days.grain == "week"):
            return replace(self, weekday=value)
        if isinstance(value, DayOfMonth) and self.of_month is None and (not self.days or self.days.grain == "month"):
            return replace(self, of_month=value)
        if isinstance(value, Part) and self.part is None:
            return replace(self, part=value)
        if isinstance(value, Clock) and self.clock is None and not self.same:
            return replace(self, clock=value)
        if isinstance(value, SameTime) and self.clock is None:
            return replace(self, same=True)
        return replace(self, zone=value.tz) if isinstance(value, Zone) and self.zone is None else None

    def _joined_days(self, value: Days) -> Place | None:
        if self.days is None:
            return replace(self, days=value)
        if self.days.grain == "week" and value.grain == "day":
            return None
        inside = self.days.start <= value.start and value.end <= self.days.end
        return replace(self, days=value) if inside else None

    def _joined_to_fixed(self, value: Value) -> Place | None:
        """ "3 hours ago" takes a zone; "last night at 2" and "tonight at 9" take a clock time."""
        assert self.fixed is not None
        if isinstance(value, Zone):
            return self
        if isinstance(value, Clock) and self.clock is None and self.fixed.end is not None and _is_night(self.fixed):
            return replace(self, clock=value)
        return None

    @property
    def has_day(self) -> bool:
        return any((self.days, self.weekday, self.of_month, self.fixed))

    @property
    def has_clock(self) -> bool:
        return self.clock is not None and self.fixed is None


def place_single(place: Place, context: Context) -> Stretch | None:
    """The time that stands alone: a moment where a clock time is said, else the whole day or part of it."""
    if place.fixed is not None:
        return _within_fixed(place, context)
    day = _days(place, context)
    if place.same:
        return _same_time(place, day, context)
    if place.clock is not None:
        return _moment(place.clock, place, day, context)
    if place.part is not None:
        return _part(place.part, day, place, context)
    if day is None:
        return None
    return Stretch(_midnight(day.start, place, context), _midnight(day.end, place, context))


def place_range(left: Place, right: Place, context: Context) -> Stretch | None:
    """From `left` to the end of `right`; each lends the other the day or the half of the day that it lacks."""
    if left.has_clock and right.has_clock and not (right.has_day and left.has_day):
        return _clock_range(left, right, context)
    if left.days and right.of_month and not right.days:
        right = replace(right, days=month_of(left.days.start))
    if left.has_clock and right.fixed is None and right.has_day and not left.has_day and _is_one_day(right, context):
        left = replace(left, days=right.days, weekday=right.weekday, of_month=right.of_month)
    start, end = place_single(left, context), place_single(right, context)
    if start is None or end is None:
        return None
    if end.until <= start.start and not right.has_day:
        end = place_single(replace(right, days=one_day(start.start.date())), context)
    if end is None or end.until <= start.start:
        return None
    return Stretch(start.start, end.until, start.vague or end.vague)


def until(place: Place, role: str, context: Context) -> Stretch | None:
    """A half-open time: "since" runs to now, "until" and "before" to the time said; None where no start can be known."""
    looking = context if role == "since" or place.has_day else Context(context.now, context.future or role == "until")
    found = place_single(place, looking)
    if found is None:
        return None
    if role == "since":
        return Stretch(found.start, context.now, found.vague) if found.start < context.now else Stretch(found.start)
    limit = found.start if role == "before" else found.until
    if limit > context.now:
        return Stretch(context.now, limit, found.vague)
    if role == "until" and place.weekday and place.weekday.week == "any":
        return until(replace(place, days=_days(place, Context(context.now, True)), weekday=None), role, context)
    if not place.has_clock:
        return None
    midnight = limit.replace(hour=0, minute=0, second=0, microsecond=0)
    return Stretch(midnight, limit) if midnight < limit else None


def _days(place: Place, context: Context) -> Days | None:
    """The days said, the weekday or the day of the month placed within them."""
    if place.weekday is not None:
        return _weekday(place.weekday, place.days, context)
    if place.of_month is not None:
        return _day_of_month(place.of_month.number, place.days, context)
    return place.days


def _weekday(weekday: Weekday, week: Days | None, context: Context) -> Days:
    """Monday of the week said; else the last one (today counts, unless "last Monday"), or the next one looking ahead."""
    today = context.today
    if week is not None:
        return one_day(week.start + timedelta(days=weekday.number))
    if weekday.week == "this":
        return one_day(week_of(today).start + timedelta(days=weekday.number))
    if weekday.week == "next" or (context.future and weekday.week == "any"):
        return one_day(today + timedelta(days=(weekday.number - today.weekday() - 1) % 7 + 1))
    gap = (today.weekday() - weekday.number) % 7
    return one_day(today - timedelta(days=7 if gap == 0 and weekday.week == "last" else gap))


def _day_of_month(number: int, month: Days | None, context: Context) -> Days | None:
    """That day of the month said, else of the last month in which it has come (looking ahead: the next)."""
    if month is None:
        step = 1 if context.future and number < context.today.day else 0
        month = month_of(context.today, -1 if number > context.today.day and not context.future else step)
    day = month.start + timedelta(days=number - 1)
    return one_day(day) if month.start <= day < month.end else None


def _midnight(day: date, place: Place, context: Context) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=place.zone or context.zone)


def _at(day: date, seconds: float, place: Place, context: Context) -> datetime:
    """`seconds` after the midnight of `day` by the wall clock, shown in the asker's zone."""
    moment = _midnight(day, place, context) + timedelta(seconds=seconds)
    return moment.astimezone(context.zone) if place.zone else moment


def _same_time(place: Place, day: Days | None, context: Context) -> Stretch | None:
    """The time of day that it is now, on the day said ("last week": seven days ago)."""
    now = context.now
    if day is None:
        return Stretch(now)
    if day.grain == "day":
        return Stretch(now.replace(year=day.start.year, month=day.start.month, day=day.start.day))
    if day.grain == "week":
        return Stretch(now + (day.start - week_of(context.today).start))
    shown = min(now.day, (day.end - day.start).days)
    return Stretch(now.replace(year=day.start.year, month=day.start.month, day=shown))


def _moment(said: Clock, place: Place, day: Days | None, context: Context) -> Stretch | None:
    """A clock time on the day said, else the last (looking ahead: the next) time that it was that hour."""
    choices = _seconds(said, place.part)
    if day is not None:
        if day.grain != "day":
            return None
        return Stretch(_at(day.start, _likely(choices), place, context))
    moments = [_at(context.today + timedelta(days=d), s, place, context) for d in (-2, -1, 0, 1) for s in choices]
    if context.future:
        coming = [moment for moment in moments if moment > context.now]
        return Stretch(min(coming)) if coming else None
    return Stretch(max(moment for moment in moments if moment <= context.now))


def _seconds(said: Clock, part: Part | None) -> list[int]:
    """Seconds after midnight that the words can mean: one, or two for a bare "3"."""
    if part is not None and said.seconds < 13 * 3600 and said.meridiem is None:
        hour, rest = divmod(said.seconds, 3600)
        placed = clock(hour, meridiem=part.meridiem)
        return [(placed.seconds if placed else said.seconds) + rest]
    if said.open:
        half = 12 * 3600
        return (
            [said.seconds % half, said.seconds % half + half]
            if said.seconds >= half
            else [said.seconds, said.seconds + half]
        )
    return [said.seconds]


def _likely(choices: list[int]) -> int:
    """With a day and no half of the day said: 1–6 is the afternoon, 7–11 the morning, 12 noon."""
    if len(choices) == 1:
        return choices[0]
    return choices[1] if choices[0] < 7 * 3600 else choices[0]


def _part(part: Part, day: Days | None, place: Place, context: Context) -> Stretch | None:
    """A part of the day said, else the last one that has begun (looking ahead: the next)."""
    if day is not None and day.grain != "day":
        return None
    if day is None:
        start = _at(context.today, part.first * 3600, place, context)
        shift = (
            -1 if start > context.now and not context.future else 1 if start <= context.now and context.future else 0
        )
        day = one_day(context.today + timedelta(days=shift))
    return Stretch(_at(day.start, part.first * 3600, place, context), _at(day.start, part.last * 3600, place, context))


def _clock_range(left: Place, right: Place, context: Context) -> Stretch | None:
    """Between two clock times, on the day that either half names or on the last on which both have passed."""
    assert left.clock is not None
    assert right.clock is not None
    day = _days(left, context) or (_days(right, context) if not right.fixed else None)
    if day is not None and day.grain != "day":
        return None
    zone = left.zone or right.zone
    said = replace(left, zone=zone)
    pairs = [_pair(first, right, left) for first in _left_seconds(left, right)]
    if day is not None:
        first, last = pairs[-1] if pairs[0][0] < 7 * 3600 else pairs[0]
        return Stretch(_at(day.start, first, said, context), _at(day.start, last, said, context))
    offsets = (-2, -1, 0, 1, 2)
    found = [
        (
            _at(context.today + timedelta(days=d), a, said, context),
            _at(context.today + timedelta(days=d), b, said, context),
        )
        for d in offsets
        for a, b in pairs
    ]
    if context.future:
        return Stretch(*min(pair for pair in found if pair[0] >= context.now))
    past = [pair for pair in found if (pair[1] if len(pairs) > 1 else pair[0]) <= context.now]
    return Stretch(*max(past))


def _left_seconds(left: Place, right: Place) -> list[int]:
    """What the first time can mean, seen from the second: "2 to 4pm" starts in the afternoon."""
    assert left.clock is not None
    assert right.clock is not None
    choices = _seconds(left.clock, left.part)
    limits = _seconds(right.clock, right.part)
    if len(choices) == 2 and len(limits) == 1:
        fitting = [choice for choice in choices if choice < limits[0]]
        return [max(fitting)] if fitting else choices[1:]
    return choices


def _pair(first: int, right: Place, left: Place) -> tuple[int, int]:
    """`first` with the nearest reading of the second time after it, on the next day if need be."""
    assert right.clock is not None
    later = [second for second in _seconds(right.clock, right.part) if second > first]
    if later:
        return first, min(later)
    return first, min(_seconds(right.clock, right.part)) + DAY_S


def _is_one_day(place: Place, context: Context) -> bool:
    day = _days(place, context)
    return day is not None and day.grain == "day" and (day.end - day.start).days == 1


def _is_night(fixed: Fixed) -> bool:
    return fixed.end is not None and fixed.start.hour == 18 and fixed.end - fixed.start == timedelta(hours=12)


def _within_fixed(place: Place, context: Context) -> Stretch | None:
    """A stretch of its own, or a clock time inside last night."""
    fixed = place.fixed
    assert fixed is not None
    if place.clock is None:
        start = fixed.start.astimezone(context.zone)
        return Stretch(start, fixed.end.astimezone(context.zone) if fixed.end else None, fixed.vague)
    assert fixed.end is not None
    evening = fixed.start.date()
    for seconds in sorted(s + d for s in _seconds(place.clock, place.part) for d in (0, DAY_S)):
        moment = _at(evening, seconds, place, context)
        if fixed.start <= moment <= fixed.end:
            return Stretch(moment)
    return None
