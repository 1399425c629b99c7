"""Korean words for times, as patterns that make atoms; the first pattern that matches a place wins."""

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
    Nothing,
    Part,
    Pattern,
    Role,
    SameTime,
    Value,
    Weekday,
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
)

_NATIVE = {
    "한": 1, "하나": 1, "두": 2, "세": 3, "석": 3, "네": 4, "넉": 4, "다섯": 5, "여섯": 6, "일곱": 7, "여덟": 8,
    "아홉": 9,    "열": 10, "열한": 11, "열하나": 11, "열두": 12, "열둘": 12, "열다섯": 15, "스물": 20, "스물네": 24, "두세": 3, "서너": 4,
}  # fmt: skip
_SINO = {"일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "육": 6, "칠": 7, "팔": 8, "구": 9}
_DAY_WORDS = {
    "하루": 1, "이틀": 2, "사흘": 3, "나흘": 4, "닷새": 5, "엿새": 6, "이레": 7, "여드레": 8, "아흐레": 9, "열흘": 10,
    "보름": 15, "며칠": 3, "일주일": 7, "이주일": 14,
}  # fmt: skip
_VAGUE = frozenset({"몇", "두세", "서너", "수"})
_NATIVE_WORDS = "|".join(sorted([*_NATIVE, "몇"], key=len, reverse=True))
_SINO_WORD = r"(?:[이삼사오육칠팔구]?십[일이삼사오육칠팔구]?|백|[일이삼사오육칠팔구])"
_L = (  # a digit after no other digit or name; a syllable at the start of a word or glued to a time word
    r"(?:(?<![a-z0-9_.:/])(?=\d)|(?:(?<![가-힣])|(?<=어제|오늘|내일|그제|모레|오전|오후|새벽|아침|저녁|지난|최근|난주|번주|요일|\d일))"
    r"(?=[가-힣]))"
)
_NUM = rf"(?:\d+(?:\.\d+)?|{_NATIVE_WORDS}|{_SINO_WORD})"
_UNIT = (
    r"(?:시간|분(?![기의석류산야명당포])|초(?![과기])|주일|주(?![말요의소차])|개월|달|년(?!도)|"
    r"일(?![요월곱이치])|hours?|hrs?|minutes?|mins?|days?|weeks?|months?|h|d|w)"
)
_ONE = rf"(?:{_NUM}\s*{_UNIT}(?:\s*반(?![가-힣]))?)"
_WHOLE = rf"(?:{'|'.join(sorted(_DAY_WORDS, key=len, reverse=True))}|반년|반나절|한나절)"
DUR = rf"(?:{_WHOLE}(?:\s*반(?![가-힣]))?|{_ONE}(?:\s*{_ONE}){{0,2}})"
_LAST = r"(?:지난|최근|과거|직전|이전|저번|요|앞선)"
_SINCE_LENGTH = r"\s*(?:동안|간의?|내내|연속|이내에?|안에|내에?|치(?=\s|$))"
_WEEK = {"월": 0, "화": 1, "수": 2, "목": 3, "금": 4, "토": 5, "일": 6}
_THIS = r"(?:이번|금|요번|이)"
_PARTS: dict[str, Part] = {
    "새벽": Part(0, 6, "am"), "이른 아침": Part(5, 8, "am"), "아침": Part(6, 12, "am"), "오전": Part(0, 12, "am"),
    "점심": Part(12, 13, "pm"), "낮": Part(12, 18, "day"), "오후": Part(12, 18, "pm"), "저녁": Part(18, 22, "pm"),
    "밤": Part(18, 30, "night"), "야간": Part(18, 30, "night"), "심야": Part(22, 30, "night"), "한밤": Part(22, 30, "night"),
    "업무시간": Part(9, 18, "pm"), "업무 시간": Part(9, 18, "pm"), "근무시간": Part(9, 18, "pm"),
}  # fmt: skip
_PART = (
    "|".join(sorted(_PARTS.keys() - {"낮", "밤"}, key=len, reverse=True))
    + r"|[낮밤](?![가-힣])|[낮밤](?=에|시간|동안|중|부터|까지)"
)
_UNITS = {
    "시": Duration(seconds=3600), "분": Duration(seconds=60), "초": Duration(seconds=1), "주": Duration(days=7),
    "개": Duration(months=1), "달": Duration(months=1), "년": Duration(months=12), "일": Duration(days=1),
    "h": Duration(seconds=3600), "m": Duration(seconds=60), "d": Duration(days=1), "w": Duration(days=7),
}  # fmt: skip


def number(word: str) -> float:
    """The value of "15", 열두, 이십사 or 삼십."""
    if re.fullmatch(r"\d+(?:\.\d+)?", word):
        return float(word)
    if word in _NATIVE:
        return _NATIVE[word]
    if word in ("몇", "수"):
        return 3
    if word == "백":
        return 100
    tens, ten, ones = word.rpartition("십")
    return (_SINO.get(tens, 1) * 10 if ten else 0) + _SINO.get(ones, 0)


def length(text: str) -> Duration:
    """The length that words like "2시간 반", "한 시간 30분" or "사흘" say."""
    total = Duration()
    for match in re.finditer(rf"({_WHOLE})|({_NUM})\s*({_UNIT})(\s*반(?![가-힣]))?", text):
        if match[1]:
            total += _whole(match[1])
            continue
        unit = _UNITS["개" if match[3].startswith("month") else match[3][0]]
        total += unit.scaled(number(match[2]) + (0.5 if match[4] else 0))
        total += Duration(vague=match[2] in _VAGUE)
    return total


def _whole(word: str) -> Duration:
    if word in ("반나절", "한나절"):
        return Duration(seconds=6 * 3600 if word == "반나절" else 12 * 3600)
    return Duration(months=6) if word == "반년" else Duration(days=_DAY_WORDS[word], vague=word == "며칠")


def _day(days: int) -> Maker:
    return lambda _, context: one_day(context.today + timedelta(days=days))


def _week(weeks: int) -> Maker:
    return lambda _, context: week_of(context.today, weeks)


def _month(months: int) -> Maker:
    return lambda _, context: month_of(context.today, months)


def _weekend(weeks: int) -> Maker:
    def make(_: re.Match[str], context: Context) -> Value:
        saturday = week_of(context.today, weeks).start + timedelta(days=5)
        if weeks == 0 and saturday > context.today and not context.future:
            saturday -= timedelta(weeks=1)
        return Days(saturday, saturday + timedelta(days=2))

    return make


def _night(_: re.Match[str], context: Context) -> Value:
    """From six in the evening to six in the morning: the night that ended last, or the running one."""
    yesterday = context.today - timedelta(days=1)
    start = datetime.combine(yesterday, datetime.min.time(), context.zone) + timedelta(hours=18)
    return Fixed(start, start + timedelta(hours=12))


def _date(match: re.Match[str], context: Context) -> Value | None:
    return calendar_day(context, int(match["y"]) if match["y"] else None, int(match["mo"]), int(match["d"]))


def _bare_month(match: re.Match[str], context: Context) -> Value | None:
    month = int(match["mo"])
    return named_month(context, month, int(match["y"]) if match["y"] else None) if 1 <= month <= 12 else None


def _weekday(match: re.Match[str], _: Context) -> Value:
    return Weekday(_WEEK[match["day"]], "last" if match["last"] else "any")


def _clock(match: re.Match[str], _: Context) -> Value | None:
    """An hour with 시; a part of the day before it, which says which of two, is an atom of its own."""
    hour = int(number(match["h"]))
    minute = 30 if match["half"] else int(number(match["m"])) if match["m"] else 0
    return clock(hour, minute, int(match["s"] or 0), exact=match["h"].startswith("0"))


def _between_ago(match: re.Match[str], context: Context) -> Value:
    unit = _UNITS[match["unit"][0]]
    amounts = sorted((number(match["a"]), number(match["b"])))
    return Fixed(unit.scaled(amounts[1]).from_(context.now, -1), unit.scaled(amounts[0]).from_(context.now, -1))


def _later(match: re.Match[str], context: Context) -> Value:
    return Fixed(length(match["dur"]).from_(context.now, +1))


def _within(match: re.Match[str], context: Context) -> Value:
    return (ahead if context.future else back)(length(match["dur"]), context)


def _bare(match: re.Match[str], context: Context) -> Value | None:
    """The last such length (the next, where the sentence looks ahead); seconds alone are a latency."""
    if re.fullmatch(r"[\d.]+\s*초|며칠", match["dur"]):
        return None
    return _within(match, context)


def _link(role: Role) -> Maker:
    return lambda _, __: Link(role, after=True)


def _nothing(_: re.Match[str], __: Context) -> Value:
    return Nothing()


def _rule(pattern: str, make: Maker) -> Pattern:
    return re.compile(_L + pattern), make


_HOUR = rf"(?:\d{{1,2}}|{_NATIVE_WORDS}|{_SINO_WORD})"
_MINUTE = rf"(?:\s*(?:(?P<m>\d{{1,2}}|{_SINO_WORD})\s*분(?![기])|(?P<half>반)(?![가-힣]{{2}})))?"
_CLOCK = rf"(?P<h>{_HOUR})\s*시(?![간스작나점리도])(?:각)?{_MINUTE}(?:\s*(?P<s>\d{{1,2}})초)?"
_COMPARED = r"\s*(?:이상|초과|미만|이하|넘|마다|간격|단위|주기|짜리|보다\s*(?:오래|길|짧))"

PATTERNS: tuple[Pattern, ...] = (
    # what only looks like a time
    _rule(rf"{DUR}{_COMPARED}", _nothing),
    _rule(
        r"실시간|시간대(?:별|로)?|(?:일|주|월|시간|분)별|몇\s*시(?!간)|몇\s*시간(?!\s*(?:전|동안|째))|좋은\s*아침|매(?:일|주|달|월|시간)",
        _nothing,
    ),
    _rule(r"\d+(?:\.\d+)?\s*(?:번째|퍼센타일|퍼센트|백분위|프로|번|대|개(?!월)|위|건|명)", _nothing),
    _rule(r"[1-4]\s*분기", _nothing),
    # whole points and stretches
    _rule(rf"(?P<a>{_NUM})\s*[-~]\s*(?P<b>{_NUM})\s*(?P<unit>시간|분|일|주|개월|달)\s*전(?!체)", _between_ago),
    _rule(r"(?:(?P<y>20\d\d)\s*년\s*)?(?P<mo>\d{1,2})\s*월\s*(?P<d>\d{1,2})\s*일(?!간)(?:날)?", _date),
    _rule(r"(?:(?P<y>20\d\d)\s*년\s*)?(?P<mo>\d{1,2})\s*월(?!요)(?:달)?", _bare_month),
    _rule(r"(?P<y>20\d\d)\s*년도?", lambda m, _: year_of(int(m["y"]))),
    _rule(r"(?:그저께|그제|엊그제|엊그저께)", _day(-2)),
    _rule(r"(?:그끄저께|그끄제)", _day(-3)),
    _rule(r"(?:어제|전일|작일|어저께)(?:\s*하루)?", _day(-1)),
    _rule(r"(?:오늘|금일|당일)(?:\s*하루)?", _day(0)),
    _rule(r"(?:내일|익일|명일)(?!\s*모레)", _day(1)),
    _rule(r"(?:내일\s*)?모레", _day(2)),
    _rule(r"글피", _day(3)),
    _rule(r"(?:어젯\s*밤|지난\s*밤|간밤|어제\s*밤|밤\s?새|밤\s?사이|밤\s*동안)", _night),
    _rule(r"하루\s*종일", _day(0)),
    _rule(
        r"(?:지금|이)\s*(?:이\s*)?(?:시간|시각)(?=에|의|대|이랑|과|보다|하고|은|이|부터|까지|\s|$|[?,.])|이맘\s*때|같은\s*(?:시간|시각)|동\s?시간",
        lambda _, __: SameTime(),
    ),
    _rule(r"지지난\s*주(?!말)|저저번\s*주(?!말)", _week(-2)),
    _rule(r"지지난\s*달", _month(-2)),
    _rule(r"(?:지난|저번|전)\s*주말", _weekend(-1)),
    _rule(rf"(?:{_THIS}\s*)?주말", _weekend(0)),
    _rule(r"(?:다음|차)\s*주말", _weekend(1)),
    _rule(r"(?:지난|저번|전번)\s*주(?!일)|전\s?주(?=에|의|\s|대비)", _week(-1)),
    _rule(r"(?:이번|금|요번)\s*주(?!일)", _week(0)),
    _rule(r"(?:다음|담|차)\s*주(?!일)", _week(1)),
    _rule(r"다다음\s*주", _week(2)),
    _rule(r"(?:지난|저번|전)\s*달|전월", _month(-1)),
    _rule(r"(?:이번|이|요번)\s*달|금월|당월", _month(0)),
    _rule(r"(?:다음|담)\s*달|익월", _month(1)),
    _rule(r"(?:지난|저번|전)\s*분기", lambda _, c: quarter_of(c.today, -1)),
    _rule(r"(?:이번)\s*분기", lambda _, c: quarter_of(c.today)),
    _rule(r"(?:다음)\s*분기", lambda _, c: quarter_of(c.today, 1)),
    _rule(r"(?:작년|지난\s*해|전년)", lambda _, c: year_of(c.today.year - 1)),
    _rule(r"(?:올해|금년|이번\s*해)", lambda _, c: year_of(c.today.year)),
    _rule(r"내년", lambda _, c: year_of(c.today.year + 1)),
    _rule(r"(?P<last>지난\s*)?(?P<day>[월화수목금토일])요일", _weekday),
    _rule(
        rf"(?:앞으로|향후|다음|이후|금후)\s*(?P<dur>{DUR})(?:\s*(?:동안|간|이내에?|안에|내에?|뒤|후))?",
        lambda m, c: ahead(length(m["dur"]), c),
    ),
    _rule(rf"{_LAST}\s*(?:약\s*)?(?P<dur>{DUR})(?:{_SINCE_LENGTH})?(?!\s*전)", lambda m, c: back(length(m["dur"]), c)),
    _rule(
        rf"(?:약|한|대략)?\s*(?P<dur>{DUR})\s*(?:정도\s*)?전(?![체반]|부(?!터))(?:쯤)?",
        lambda m, c: ago(length(m["dur"]), c),
    ),
    _rule(rf"(?P<dur>{DUR})\s*(?:정도\s*)?(?:뒤|후|있다가|지나면)(?:에|의|쯤|면)?", _later),
    _rule(rf"(?P<dur>{DUR}){_SINCE_LENGTH}", _within),
    _rule(r"방금(?:\s*전)?|조금\s*전|좀\s*전", lambda _, c: back(Duration(seconds=300, vague=True), c)),
    _rule(r"아까", lambda _, c: back(Duration(seconds=3 * 3600, vague=True), c)),
    _rule(r"(?:최근|요즘|근래)(?:에|의)?(?=\s|$|[?,.])", lambda _, c: back(Duration(days=1, vague=True), c)),
    _rule(r"(?:지금|현재|현\s?시점|현\s?시각|당장)", lambda _, c: Fixed(c.now)),
    # clock times
    _rule(r"(?P<h>\d{1,2})(?P<m>(?!))?(?P<half>(?!))?(?P<s>(?!))?(?=\s*(?:~|-|–|에서)\s*\d{1,2}\s*시(?!간))", _clock),
    _rule(_CLOCK, _clock),
    _rule(r"정오|한낮", lambda _, __: clock(12, exact=True)),
    _rule(r"자정", lambda _, __: clock(0, exact=True)),
    _rule(rf"(?P<part>{_PART})(?![가-힣]*(?:을|를)?\s*(?:먹|메뉴))(?:나절)?", lambda m, _: _PARTS[m["part"]]),
    _rule(
        r"(?P<d>\d{1,2})일(?=\s*(?:에|부터|까지|자|날|오전|오후|새벽|아침|저녁|밤|\d{1,2}\s*시|\d{1,2}:))",
        lambda m, _: DayOfMonth(int(m["d"])),
    ),
    _rule(
        r"(?:(?<=달)|(?<=달\s))(?P<d>\d{1,2})일(?!간|\s*(?:동안|치))",
        lambda m, _: DayOfMonth(int(m["d"])),
    ),
    _rule(rf"(?P<dur>{DUR})", _bare),
    # links: particles follow what they govern
    (re.compile(r"\s*(?:부터|에서(?=\s*(?:\d|오|새|아|저|밤|정|자|지금|현재|어|그)))"), _link("since")),
    (re.compile(r"\s*까지"), _link("until")),
    (re.compile(r"\s*사이"), _link("between")),
    (re.compile(r"\s*(?:이후|이래|지나서|넘어서)"), _link("since")),
    (re.compile(r"\s*이전"), _link("before")),
    (re.compile(r"(?<=[시분일제늘금])(?:와|과|이랑|랑|하고)(?=\s)"), _link("and")),
)
