"""English words for times, as patterns that make atoms; the first pattern that matches a place wins."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from engines.timespan_atoms import (
    Context,
    DayOfMonth,
    Days,
    Duration,
    Fixed,
    Link,
    Maker,
    Meridiem,
    Nothing,
    Part,
    Pattern,
    Role,
    SameTime,
    Value,
    Weekday,
    Zone,
    ago,
    ahead,
    back,
    calendar_day,
    clock,
    month_of,
    named_month,
    one_day,
    quarter_of,
    week_of,
    year_of,
    zone_named,
)

NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "twenty-four": 24, "twenty four": 24,
    "thirty": 30, "forty": 40, "forty-five": 45, "forty five": 45, "forty-eight": 48, "fifty": 50, "sixty": 60,
    "seventy-two": 72, "ninety": 90, "half an": 0.5, "half a": 0.5, "half": 0.5, "a half": 0.5,
    "a couple of": 2, "a couple": 2, "couple of": 2, "couple": 2, "a few": 3, "few": 3, "several": 3,
}  # fmt: skip
_VAGUE = frozenset({"a few", "few", "several"})
_WORDS = "|".join(sorted((re.escape(word) for word in NUMBERS), key=len, reverse=True))
NUM = rf"(?:\d+(?:\.\d+)?|(?:{_WORDS})(?![a-z]))"
_PLAIN = r"(?:\d+(?:\.\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|twelve)"
_LONG = r"seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|wks?|fortnights?|months?|years?|yrs?"
_UNIT = rf"(?:{_LONG}|[smhdwy])"
_L = r"(?<![a-z0-9_.:/])"
_R = r"(?![a-z0-9_])"
_ONE = rf"{NUM}(?:\s+and\s+a\s+half)?[\s-]*{_UNIT}{_R}(?:\s+and\s+a\s+half)?"
_ONE_GLUED = rf"\d+[wdhm](?:\s*\d+[dhms]){{1,3}}{_R}"
DUR = rf"(?:{_ONE_GLUED}|{_ONE}(?:(?:\s*,\s*|\s+and\s+|\s+)(?=\d|an?\s|half){_ONE}){{0,2}})"
_LAST = r"(?:last|past|previous|prior|preceding|trailing|recent|latest)"
_NEXT = r"(?:next|coming|following|upcoming)"

_UNITS = {
    "s": Duration(seconds=1), "m": Duration(seconds=60), "h": Duration(seconds=3600), "d": Duration(days=1),
    "w": Duration(days=7), "f": Duration(days=14), "mo": Duration(months=1), "y": Duration(months=12),
}  # fmt: skip
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY = r"(?:mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?|tues|thurs|thur)"
_SHORT_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_SURE_MONTH = r"(?:january|february|april|june|july|august|september|october|november|december)"
_AMPM = r"(?P<ap>[ap])\.?\s?m\.?(?![a-z])"
_PARTS: dict[str, Part] = {
    "early morning": Part(0, 6, "am"), "morning": Part(6, 12, "am"), "afternoon": Part(12, 18, "pm"),
    "evening": Part(18, 22, "pm"), "night": Part(18, 30, "night"), "lunchtime": Part(12, 13, "pm"),
    "lunch": Part(12, 13, "pm"), "business hours": Part(9, 18, "pm"), "working hours": Part(9, 18, "pm"),
}  # fmt: skip
_PART = r"(?:early morning|morning|afternoon|evening|night|lunchtime|lunch|business hours|working hours)"


def length(text: str) -> Duration:
    """The length that words like "two and a half hours" or "1h30m" say."""
    total = Duration()
    for match in re.finditer(rf"({NUM})(\s+and\s+a\s+half)?[\s-]*({_UNIT})(?![a-z])(\s+and\s+a\s+half)?", text):
        number, word = match[1].strip(), match[3]
        value = NUMBERS[number] if number in NUMBERS else float(number)
        value += 0.5 if match[2] or match[4] else 0
        key = "mo" if word.startswith("mo") else word[0]
        total += _UNITS[key].scaled(value)
        if number in _VAGUE:
            total += Duration(vague=True)
    return total


def _unit(word: str) -> Duration:
    return _UNITS["mo" if word.startswith("mo") else word[0]]


def _last_bare(match: re.Match[str], context: Context) -> Value:
    """ "Last hour" rolls, "last week" is the calendar's; "over the last week" rolls too."""
    unit, word = match["unit"], match["last"]
    rolling = (
        word in ("past", "trailing", "recent", "latest", "preceding") or match["the"] or unit in ("hour", "minute")
    )
    if unit == "day" or (rolling and unit != "quarter"):
        return back(_unit(unit), context)
    return _calendar(unit, context, -1)


def _calendar(unit: str, context: Context, step: int) -> Days:
    today = context.today
    if unit == "week":
        return week_of(today, step)
    if unit == "month":
        return month_of(today, step)
    return quarter_of(today, step) if unit == "quarter" else year_of(today.year + step)


def _this(match: re.Match[str], context: Context) -> Value:
    unit = match["unit"]
    if unit == "hour":
        return Fixed(context.now.replace(minute=0, second=0, microsecond=0), context.now)
    return _calendar(unit, context, 0)


def _next_bare(match: re.Match[str], context: Context) -> Value:
    unit = match["unit"]
    if unit in ("hour", "minute", "day") or match["the"]:
        return ahead(_UNITS["mo"].scaled(3) if unit == "quarter" else _unit(unit), context)
    return _calendar(unit, context, 1)


def _between_ago(match: re.Match[str], context: Context) -> Value:
    unit = _unit(match["unit"] or match["unit2"])
    said = (match["a"] or match["c"], match["b"] or match["d"])
    amounts = sorted(NUMBERS.get(number) or float(number) for number in said)
    return Fixed(unit.scaled(amounts[1]).from_(context.now, -1), unit.scaled(amounts[0]).from_(context.now, -1))


def _iso(match: re.Match[str], context: Context) -> Value | None:
    text = match[0].upper().replace(" ", "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return Fixed(moment if moment.tzinfo else moment.replace(tzinfo=context.zone))


def _date(match: re.Match[str], context: Context) -> Value | None:
    return calendar_day(context, int(match["y"]), int(match["mo"]), int(match["d"]))


def _slash_date(match: re.Match[str], context: Context) -> Value | None:
    first, second = int(match["a"]), int(match["b"])
    month, day = (second, first) if first > 12 else (first, second)
    return calendar_day(context, int(match["y"]) if match["y"] else None, month, day)


def _month_day(match: re.Match[str], context: Context) -> Value | None:
    year = int(match["y"]) if match["y"] else None
    return calendar_day(context, year, _MONTHS.index(match["mon"][:3]) + 1, int(match["d"]))


def _bare_month(match: re.Match[str], context: Context) -> Value:
    year = int(match["y"]) if match["y"] else None
    return named_month(context, _MONTHS.index(match["mon"][:3]) + 1, year)


def _weekday(match: re.Match[str], _: Context) -> Value:
    word = match["week"]
    number = _WEEKDAYS.index(match["day"][:3])
    if word in ("next", "coming", "upcoming", "following"):
        return Weekday(number, "next")
    return Weekday(number, "last" if word in ("last", "past", "previous") else "this" if word == "this" else "any")


def _clock12(match: re.Match[str], _: Context) -> Value | None:
    meridiem: Meridiem = "am" if match["ap"] == "a" else "pm"
    if not 1 <= int(match["h"]) <= 12:
        return clock(int(match["h"]), int(match["m"] or 0), exact=True)
    return clock(int(match["h"]), int(match["m"] or 0), int(match["s"] or 0), meridiem)


def _clock24(match: re.Match[str], _: Context) -> Value | None:
    return clock(int(match["h"]), int(match["m"]), int(match["s"] or 0), exact=True)


def _hour_word(match: re.Match[str], _: Context) -> Value | None:
    number = match["h"]
    return clock(int(number) if number.isdigit() else int(NUMBERS[number]))


def _bare_hour(match: re.Match[str], context: Context) -> Value | None:
    """The hours of "between 2 and 4", unless a load or a count stands before them."""
    before = match.string[: match.start()]
    counted = re.search(
        r"(?:loads?|load average|connections?|threads?|cores?|replicas?)\s+(?:is |was )?(?:between|from)\b", before
    )
    return None if counted else _hour_word(match, context)


def _past_to(match: re.Match[str], _: Context) -> Value | None:
    hour = match["h"]
    value = int(hour) if hour.isdigit() else int(NUMBERS[hour])
    minutes = {"half": 30, "quarter": 15}[match["q"]]
    if match["way"] == "past":
        return clock(value, minutes, meridiem=_meridiem(match["ap"]))
    return clock((value - 2) % 12 + 1, 60 - minutes, meridiem=_meridiem(match["ap"]))


def _meridiem(letter: str | None) -> Meridiem | None:
    return None if letter is None else "am" if letter == "a" else "pm"


def _day(days: int) -> Maker:
    return lambda _, context: one_day(context.today + timedelta(days=days))


def _part_of_today(match: re.Match[str], context: Context) -> Value:
    """ "This morning" and "tonight": a part of today, as a stretch."""
    part = _PARTS[match["part"]]
    midnight = datetime.combine(context.today, datetime.min.time(), context.zone)
    return Fixed(midnight + timedelta(hours=part.first), midnight + timedelta(hours=part.last))


def _night(match: re.Match[str], context: Context) -> Value:
    """From six in the evening to six in the morning: the night that ended last, or the running one."""
    yesterday = context.today - timedelta(days=1)
    start = datetime.combine(yesterday, datetime.min.time(), context.zone) + timedelta(hours=18)
    return Fixed(start, start + timedelta(hours=12))


def _weekend(match: re.Match[str], context: Context) -> Value:
    saturday = week_of(context.today).start + timedelta(days=5)
    word = match["week"]
    if word == "next" or (word == "this" and context.future):
        saturday += timedelta(weeks=1 if word == "next" else 0)
    elif word in ("last", "past") or saturday > context.today:
        saturday -= timedelta(weeks=1)
    return Days(saturday, saturday + timedelta(days=2))


def _part_of_tonight(context: Context) -> Value:
    midnight = datetime.combine(context.today, datetime.min.time(), context.zone)
    return Fixed(midnight + timedelta(hours=18), midnight + timedelta(hours=30))


def _now(word: str, context: Context) -> Value:
    """Now is a moment; "just now" is the last five minutes."""
    return back(Duration(seconds=300, vague=True), context) if word == "just now" else Fixed(context.now)


def _earlier(word: str, context: Context) -> Value:
    minutes = 10 if "moment" in word else 180
    return back(Duration(seconds=60 * minutes, vague=True), context)


def _bare(words: str, context: Context) -> Value | None:
    """The last `words`; a number of seconds alone is a latency or an interval, not a time."""
    if re.fullmatch(r"\d+(?:\.\d+)?\s*(?:s|secs?|seconds?)|\d+\.\d+[mdwy]|\D*", words) and "h" not in words:
        return None
    return (ahead if context.future else back)(length(words), context)


def _link(role: Role) -> Maker:
    return lambda _, __: Link(role)


def _nothing(_: re.Match[str], __: Context) -> Value:
    return Nothing()


def _rule(pattern: str, make: Maker) -> Pattern:
    return re.compile(_L + pattern), make


_AGO = r"\s+(?:ago|earlier|back)\b"
_RIGHT_HOUR = r"\s*(?:-|–|~|to|and|until|till)\s*\d{1,2}(?::\d\d)?\s*[ap]\.?m"
_AFTER_HOUR = (
    r"(?=\s*(?:$|[?.!,)]|on\b|yesterday|today|tomorrow|this|last|in the|for\b|was|were|is\b|what|how|and\b|until|to\b|-|~"
    rf"|o'?clock|{_DAY}))"
)

PATTERNS: tuple[Pattern, ...] = (
    # what only looks like a time
    _rule(rf"(?:every|per|each)\s+{DUR}", _nothing),
    _rule(rf"(?:less|more|fewer|longer|shorter|greater|older|newer|faster|slower|higher|lower) than\s+{DUR}", _nothing),
    _rule(rf"(?:above|below|under|exceed(?:s|ing)?|at least|at most|>=?|<=?)\s*{DUR}", _nothing),
    _rule(rf"(?:(?:uptime|up|latency|duration|running|lasting|lasted|for)\s+(?:is\s+|was\s+)?over)\s+{DUR}", _nothing),
    _rule(r"\d+(?:\.\d+)?\s*(?:st|nd|rd|th)?\s*(?:percentile|percent|%)", _nothing),
    _rule(r"(?:good|gm)\s+(?:morning|afternoon|evening|night)", _nothing),
    _rule(
        r"real[\s-]?time|time[\s-]?(?:series|out)|(?:up|down)time|run[\s-]?time|second(?=\s+(?:one|server|host|machine))",
        _nothing,
    ),
    # whole points and stretches
    _rule(r"\d{4}-\d\d-\d\dt\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?" + _R, _iso),
    _rule(r"(?P<y>20\d\d)[-/.](?P<mo>\d{1,2})[-/.](?P<d>\d{1,2})(?![\d-])", _date),
    _rule(r"(?P<a>\d{1,2})/(?P<b>\d{1,2})(?:/(?P<y>20\d\d))?(?![\d/])", _slash_date),
    _rule(rf"(?P<mon>{_MONTH})\.?\s*(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y>20\d\d))?(?![\d:])", _month_day),
    _rule(
        rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<mon>{_MONTH})\b\.?(?:,?\s+(?P<y>20\d\d))?(?!\d)", _month_day
    ),
    _rule(
        rf"(?:from\s+|between\s+)?(?P<a>{_PLAIN})\s*(?:-|–|~|to|or)\s*(?P<b>{_PLAIN})\s*(?P<unit>{_UNIT})\s+ago\b"
        rf"|between\s+(?P<c>{_PLAIN})\s+and\s+(?P<d>{_PLAIN})\s*(?P<unit2>{_UNIT})\s+ago\b",
        _between_ago,
    ),
    _rule(r"(?:the\s+)?day before yesterday\b", _day(-2)),
    _rule(r"(?:the\s+)?day after tomorrow\b", _day(2)),
    _rule(r"(?:yesterday'?s?|yday|yest)\b", _day(-1)),
    _rule(r"(?:today'?s?|so far today|earlier today|all day)\b", _day(0)),
    _rule(r"(?:tomorrow'?s?|tmrw|tmr)\b", _day(1)),
    _rule(r"(?:last night|overnight|during the night|through the night)\b", _night),
    _rule(r"tonight\b", lambda _, context: _part_of_tonight(context)),
    _rule(rf"this\s+(?P<part>{_PART})\b", _part_of_today),
    _rule(r"(?:at\s+)?(?:this|the same)\s+time(?:\s+of\s+(?:the\s+)?day)?\b", lambda _, __: SameTime()),
    _rule(
        rf"(?:(?:with)?in|for|over|during)?\s*(?:the\s+)?{_NEXT}\s+(?P<dur>{DUR})",
        lambda m, c: ahead(length(m["dur"]), c),
    ),
    _rule(rf"(?:with)?in(?:\s+the\s+{_LAST})\s+(?P<dur>{DUR})", lambda m, c: back(length(m["dur"]), c)),
    _rule(rf"within\s+(?P<dur>{DUR})", lambda m, c: (ahead if c.future else back)(length(m["dur"]), c)),
    _rule(rf"(?:in|after)\s+(?P<dur>{DUR})(?:\s+time)?", lambda m, c: Fixed(length(m["dur"]).from_(c.now, 1))),
    _rule(rf"(?P<dur>{DUR})\s+(?:from now|ahead|later|hence)\b", lambda m, c: Fixed(length(m["dur"]).from_(c.now, 1))),
    _rule(rf"(?:the\s+)?{_LAST}\s+(?P<dur>{DUR})", lambda m, c: back(length(m["dur"]), c)),
    _rule(
        rf"(?:about|around|roughly|approximately|some|like|~)?\s*(?P<dur>{DUR}){_AGO}",
        lambda m, c: ago(length(m["dur"]), c),
    ),
    _rule(
        r"(?P<the>(?:over|in|during|within|for|through)\s+(?:the\s+)?)?(?:the\s+)?"
        r"(?P<last>last|past|previous|prior|preceding|trailing|recent|latest)\s+(?P<unit>minute|hour|day|week|month|quarter|year)\b",
        _last_bare,
    ),
    _rule(r"(?:earlier\s+)?this\s+(?P<unit>hour|week|month|quarter|year)\b", _this),
    _rule(
        r"(?P<the>(?:over|in|during|within|for)\s+(?:the\s+)?)?(?:the\s+)?"
        r"(?:next|coming|upcoming)\s+(?P<unit>minute|hour|day|week|month|quarter|year)\b",
        _next_bare,
    ),
    _rule(r"(?:over\s+)?(?:the\s+)?(?P<week>last|past|this|next)?\s*weekend\b", _weekend),
    _rule(
        rf"(?:(?P<week>last|past|previous|this|next|coming|upcoming|following)\s+)?(?P<day>{_DAY})(?:'s)?\b", _weekday
    ),
    _rule(rf"(?<=on |st |xt |is |to |by |il |ce |om )(?P<week>(?!))?(?P<day>{_SHORT_DAY})\b", _weekday),
    _rule(rf"(?P<mon>{_MONTH})\s+(?P<y>20\d\d)(?!\d)", _bare_month),
    _rule(rf"(?P<mon>{_SURE_MONTH})\b(?P<y>(?!))?", _bare_month),
    _rule(rf"(?<=in |ce |om |to |st |is |ng |or )(?P<mon>{_MONTH})\b(?:\s+(?P<y>20\d\d))?", _bare_month),
    _rule(r"(?<=in |ce )(?P<y>20\d\d)\b(?!-)", lambda m, _: year_of(int(m["y"]))),
    _rule(
        r"the\s+(?P<d>\d{1,2})(?:st|nd|rd|th)\b", lambda m, _: DayOfMonth(int(m["d"])) if 0 < int(m["d"]) < 32 else None
    ),
    # clock times
    _rule(rf"(?P<q>half|quarter)\s+(?P<way>past|to)\s+(?P<h>\d{{1,2}}|{_WORDS})(?:\s*(?P<ap>[ap])m)?\b", _past_to),
    _rule(rf"(?<=between )(?P<h>\d{{1,2}})(?=\s+and\s+\d{{1,2}}{_AFTER_HOUR})", _bare_hour),
    _rule(rf"(?<=from )(?P<h>\d{{1,2}})(?=\s+(?:to|until|till)\s+\d{{1,2}}{_AFTER_HOUR})", _bare_hour),
    _rule(rf"(?:(?<=between \d and )|(?<=between \d\d and ))(?P<h>\d{{1,2}}){_AFTER_HOUR}", _bare_hour),
    _rule(rf"(?:(?<=from \d to )|(?<=from \d\d to ))(?P<h>\d{{1,2}}){_AFTER_HOUR}", _bare_hour),
    _rule(rf"(?P<h>\d{{1,2}})(?:[:.](?P<m>\d\d))?(?::(?P<s>\d\d))?\s*{_AMPM}", _clock12),
    _rule(r"(?P<h>\d{1,2}):(?P<m>\d\d)(?::(?P<s>\d\d))?(?![\d:])", _clock24),
    _rule(rf"(?P<h>\d{{1,2}})(?={_RIGHT_HOUR})", _hour_word),
    _rule(r"(?P<h>\d{1,2})\s*h(?P<m>\d\d)(?!\d)(?P<s>(?!))?", _clock24),
    _rule(rf"(?P<h>\d{{1,2}}|{_WORDS})\s*o'?\s?clock\b", _hour_word),
    _rule(rf"(?<=at )(?P<h>\d{{1,2}}){_AFTER_HOUR}", _hour_word),
    _rule(r"(?:mid-?day|(?:high\s+)?noon)\b", lambda _, __: clock(12, exact=True)),
    _rule(r"midnight\b", lambda _, __: clock(0, exact=True)),
    _rule(rf"(?:in|during|at|of)?\s*(?:the\s+)?(?P<part>{_PART})s?\b", lambda m, _: _PARTS[m["part"]]),
    _rule(r"(?:right now|just now|as we speak|at the moment|at present|currently|now)\b", lambda m, c: _now(m[0], c)),
    _rule(r"(?:utc|gmt|kst|jst|ist|ce?st|[ecmp][sd]t|z)\b|[+-]\d\d:\d\d", lambda m, _: Zone(zone_named(m[0]))),
    _rule(r"(?:lately|recently|these days)\b", lambda _, c: back(Duration(days=1, vague=True), c)),
    _rule(r"(?:earlier|a while ago|a moment ago|moments ago)\b", lambda m, c: _earlier(m[0], c)),
    # a length alone: until now, or from now where the sentence looks ahead
    _rule(rf"(?:(?:for|over|during)\s+)?(?:the\s+)?(?P<dur>{DUR})", lambda m, c: _bare(m["dur"], c)),
    # links
    _rule(r"(?:since|starting(?: from| at)?|after|from|as from|beginning)\b", _link("since")),
    _rule(r"between\b", _link("between")),
    _rule(r"before\b", _link("before")),
    _rule(r"(?:until|till|up to|by|through)\b", _link("until")),
    _rule(r"to\b", _link("to")),
    _rule(r"(?:and|&)(?=\s)", _link("and")),
    (re.compile(r"\s*(?:->|→|[-–—~/])\s*(?=[\da-z가-힣])"), _link("to")),
)
