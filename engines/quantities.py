"""Thresholds, limits, orders and statistics in English and Korean questions, each with its place in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Op = Literal[">", ">=", "<", "<=", "==", "!="]
Direction = Literal["desc", "asc"]
StatisticName = Literal["avg", "max", "min", "sum", "count", "median", "quantile", "stddev"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound on a value. `value` is in the base unit (`unit`): "%", "s", "B", "B/s", "/s", "celsius" or None as said."""

    op: Op
    value: float
    unit: str | None
    i: int
    j: int


@dataclass(frozen=True, slots=True)
class Limit:
    """How many are wanted: "top 3", 세 대."""

    n: int
    i: int
    j: int


@dataclass(frozen=True, slots=True)
class Order:
    """Which end is wanted first. `judged`: the word judges ("worst", "busiest") rather than measures ("highest")."""

    direction: Direction
    i: int
    j: int
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Statistic:
    """How values are to be folded; `q` (0–1) for a quantile."""

    name: StatisticName
    i: int
    j: int
    q: float | None = None


@dataclass(frozen=True, slots=True)
class Quantities:
    """All of them, each kind in the order of the text."""

    thresholds: tuple[Threshold, ...] = ()
    limits: tuple[Limit, ...] = ()
    orders: tuple[Order, ...] = ()
    statistics: tuple[Statistic, ...] = ()


_UNITS: dict[str, tuple[str, float]] = {
    "%": ("%", 1), "percent": ("%", 1), "pct": ("%", 1), "퍼센트": ("%", 1), "프로": ("%", 1), "퍼": ("%", 1), "프로센트": ("%", 1),
    "us": ("s", 1e-6), "µs": ("s", 1e-6), "ms": ("s", 1e-3), "msec": ("s", 1e-3), "milliseconds": ("s", 1e-3),
    "millisecond": ("s", 1e-3), "밀리초": ("s", 1e-3), "s": ("s", 1), "sec": ("s", 1), "secs": ("s", 1), "second": ("s", 1),
    "seconds": ("s", 1), "초": ("s", 1), "min": ("s", 60), "mins": ("s", 60), "minute": ("s", 60), "minutes": ("s", 60),
    "분": ("s", 60), "h": ("s", 3600), "hr": ("s", 3600), "hrs": ("s", 3600), "hour": ("s", 3600), "hours": ("s", 3600),
    "시간": ("s", 3600), "d": ("s", 86400), "day": ("s", 86400), "days": ("s", 86400), "일": ("s", 86400),
    "week": ("s", 604800), "weeks": ("s", 604800), "주": ("s", 604800),
    "b": ("B", 1), "byte": ("B", 1), "bytes": ("B", 1), "바이트": ("B", 1),
    "kb": ("B", 1e3), "mb": ("B", 1e6), "gb": ("B", 1e9), "tb": ("B", 1e12), "kib": ("B", 2**10), "mib": ("B", 2**20),
    "gib": ("B", 2**30), "tib": ("B", 2**40), "메가": ("B", 1e6), "기가": ("B", 1e9), "테라": ("B", 1e12), "메가바이트": ("B", 1e6),
    "기가바이트": ("B", 1e9), "테라바이트": ("B", 1e12), "m": ("", 1e6), "k": ("", 1e3), "g": ("B", 1e9),
    "b/s": ("B/s", 1), "kb/s": ("B/s", 1e3), "mb/s": ("B/s", 1e6), "gb/s": ("B/s", 1e9), "kib/s": ("B/s", 2**10),
    "mib/s": ("B/s", 2**20), "gib/s": ("B/s", 2**30), "kbps": ("B/s", 125), "mbps": ("B/s", 125e3), "gbps": ("B/s", 125e6),
    "kbit/s": ("B/s", 125), "mbit/s": ("B/s", 125e3), "gbit/s": ("B/s", 125e6), "메가비피에스": ("B/s", 125e3),
    "/s": ("/s", 1), "/sec": ("/s", 1), "/min": ("/s", 1 / 60), "rps": ("/s", 1), "qps": ("/s", 1), "tps": ("/s", 1),
    "iops": ("/s", 1), "req/s": ("/s", 1), "reqs/s": ("/s", 1), "requests/s": ("/s", 1), "requests per second": ("/s", 1),
    "per second": ("/s", 1), "c": ("celsius", 1), "°c": ("celsius", 1), "도": ("celsius", 1), "degrees": ("celsius", 1),
}  # fmt: skip
_UNIT = "|".join(sorted((re.escape(unit) for unit in _UNITS), key=len, reverse=True))

_SINO = {"일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "육": 6, "칠": 7, "팔": 8, "구": 9}
_NATIVE = {
    "한": 1, "하나": 1, "두": 2, "둘": 2, "세": 3, "셋": 3, "네": 4, "넷": 4, "다섯": 5, "여섯": 6, "일곱": 7, "여덟": 8,
    "아홉": 9, "열": 10, "열두": 12, "열다섯": 15, "스무": 20, "스물": 20,
}  # fmt: skip
_ENGLISH = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60,
    "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "a hundred": 100, "half": 50,
}  # fmt: skip
_TENS = r"(?:[이삼사오육칠팔구]?십[일이삼사오육칠팔구]?|백)"
_ENGLISH_WORDS = (
    r"(?:(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)[\s-](?:one|two|three|four|five|six|seven|eight|nine)"
    rf"|{'|'.join(sorted(_ENGLISH, key=len, reverse=True))})(?![a-z])"
)
_NATIVE_WORDS = "|".join(sorted(_NATIVE, key=len, reverse=True))
_DIGITS = r"(?<![a-z0-9_.:/\-])\d+(?:,\d{3})*(?:\.\d+)?(?![\d:]|xx)"
_NUM = rf"(?:{_DIGITS}|(?<![a-z]){_ENGLISH_WORDS}|(?<![가-힣]){_TENS})"
_SIGNED = rf"(?:-\s?)?{_NUM}"
_UNITED = rf"(?P<n>{_SIGNED})\s*(?P<u>(?:{_UNIT})(?![a-z])(?!\s*(?:servers?|hosts?|서버)\s*(?:at|서버)))?(?!\s*(?:th|st|nd|rd)\b|번|대(?!로))"


def number(word: str) -> float:
    """The value of "1,500", "ninety-five", 팔십, 세 or 다섯.

    >>> number("1,500"), number("ninety-five"), number("팔십오"), number("다섯")
    (1500.0, 95.0, 85.0, 5.0)
    """
    word = word.strip()
    sign = -1.0 if word.startswith("-") and word[1:].strip()[:1].isdigit() else 1.0
    plain = word.lstrip("- ").replace(",", "")
    if re.fullmatch(r"\d+(?:\.\d+)?", plain):
        return sign * float(plain)
    if plain in _NATIVE:
        return float(_NATIVE[plain])
    if plain in _ENGLISH:
        return float(_ENGLISH[plain])
    if re.fullmatch(r"[a-z]+[\s-][a-z]+", plain):
        tens, ones = re.split(r"[\s-]", plain)
        return float(_ENGLISH.get(tens, 0) + _ENGLISH.get(ones, 0))
    if plain == "백":
        return 100.0
    tens, ten, ones = plain.rpartition("십")
    return float((_SINO.get(tens, 1) * 10 if ten else 0) + _SINO.get(ones, 0))


def parse(text: str) -> Quantities:
    """What `text` says about how much, how many, which end and which statistic.

    >>> found = parse("top 3 servers with cpu above 80%")
    >>> found.limits[0].n, found.thresholds[0].op, found.thresholds[0].value, found.thresholds[0].unit
    (3, '>', 80.0, '%')
    >>> parse("이상 있는 서버").thresholds, parse("80% 이상인 서버").thresholds[0].op
    ((), '>=')
    """
    lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    thresholds = tuple(_thresholds(lower))
    taken = [(t.i, t.j) for t in thresholds]
    limits = tuple(limit for limit in _limits(lower) if not _inside(limit.i, limit.j, taken))
    statistics = tuple(_statistics(lower, [*taken, *((limit.i, limit.j) for limit in limits)]))
    return Quantities(thresholds, limits, tuple(_orders(lower)), statistics)


def _inside(i: int, j: int, taken: list[tuple[int, int]]) -> bool:
    return any(a < j and i < b for a, b in taken)


_OPS_BEFORE: tuple[tuple[str, Op], ...] = (
    (r"(?:no|not)\s+(?:more|higher|greater|larger|longer)\s+than|at most|up to|max(?:imum)?\s+of|<=|≤|=<|not (?:above|over)", "<="),
    (r"(?:no|not)\s+(?:less|lower|fewer)\s+than|at least|min(?:imum)?\s+of|>=|≥|=>|not (?:below|under)|reach(?:es|ed|ing)?|hits?", ">="),
    (r"(?:more|higher|greater|larger|bigger|longer|slower|worse|hotter)\s+than|above|over|exceed(?:s|ed|ing)?|beyond|past|"
     r"surpass(?:es|ed|ing)?|north of|upwards of|in excess of|cross(?:es|ed|ing)?|>|gt", ">"),
    (r"(?:less|lower|fewer|smaller|shorter|faster)\s+than|below|under|beneath|south of|<|lt", "<"),
    (r"!=|<>|not equal to", "!="),
    (r"==|equal(?:s| to)|exactly", "=="),
)  # fmt: skip
_OPS_AFTER: tuple[tuple[str, Op], ...] = (
    (r"\s*(?:을|를|보다|이|가)?\s*(?:이상|or (?:more|higher|above|over|greater)|and (?:above|up|over|higher)|\+|plus\b)", ">="),
    (r"\s*(?:을|를|보다|이|가)?\s*(?:이하|or (?:less|lower|below|under|fewer)|and (?:below|under|lower)|안쪽|이내)", "<="),
    (r"\s*(?:을|를|보다|이|가)?\s*(?:초과|넘|위로|위인|위의|위에|위\b|상회|돌파|웃도|(?:보다)\s*(?:높|크|많|큰|느)|\s(?:높|많)은)", ">"),
    (r"\s*(?:을|를|보다|도|이|가)?\s*(?:미만|밑|아래|안\s?되|못\s?미치|하회|밑도|(?:보다)\s*(?:낮|작|적))", "<"),
)  # fmt: skip
_BETWEEN = re.compile(
    rf"(?:between|from)\s+(?P<a>{_NUM})\s*(?P<ua>{_UNIT})?(?![a-z])\s*(?:and|to|-|~)\s*(?P<b>{_NUM})\s*(?P<ub>{_UNIT})?(?![a-z])"
    rf"|(?P<c>{_NUM})\s*(?P<uc>{_UNIT})?\s*(?:에서|부터|~|-|–|to)\s*(?P<d>\d+(?:\.\d+)?)\s*(?P<ud>{_UNIT})(?![a-z])\s*(?:까지)?\s*(?:사이|범위|구간|정도|인|range)?"
    rf"|(?P<e>{_NUM})\s*(?P<ue>{_UNIT})?\s*(?:와|과|이랑|하고)\s*(?P<f>{_NUM})\s*(?P<uf>{_UNIT})?\s*사이"
)
_TIME_UNITS = frozenset(
    {"시간", "분", "초", "일", "주", "h", "hour", "hours", "min", "minutes", "day", "days", "d", "week", "weeks"}
)
_NOT_COUNTED = r"(?!\s*(?:o'?clock|[ap]\.?m\b|시(?!간)|월|년|번|hours? ago|days? ago|minutes? ago))"


_BEGIN = r"(?:(?<![a-z])(?=[a-z])|(?<![<>=!])(?=[<>=!≤≥]))"
_BEFORE = [
    (words, op, re.compile(rf"{_BEGIN}(?:{words})(?![a-z=])\s*(?:the\s+|of\s+|about\s+)?{_UNITED}{_NOT_COUNTED}"))
    for words, op in _OPS_BEFORE
]
_AFTER = [(op, re.compile(rf"{_UNITED}(?:{words})")) for words, op in _OPS_AFTER]


def _thresholds(text: str) -> Iterator[Threshold]:
    """Bounds in order; a range gives two."""
    found: list[Threshold] = []
    for match in _BETWEEN.finditer(text):
        found += _range(match)
    for words, op, pattern in _BEFORE:
        found += [_bound(match, op) for match in pattern.finditer(text) if not _timelike(match, words)]
    for op, pattern in _AFTER:
        found += [_bound(match, op) for match in pattern.finditer(text)]
    kept: list[Threshold] = []
    for bound in sorted(found, key=lambda b: (b.i, -b.j)):
        if not _inside(bound.i, bound.j, [(k.i, k.j) for k in kept if (k.i, k.j) != (bound.i, bound.j)]):
            kept.append(bound)
    yield from kept


def _timelike(match: re.Match[str], words: str) -> bool:
    """ "Over 24h" and "past 2 hours" speak of a time, "over 500ms" and "uptime over 3 days" of a value."""
    if "past" not in words or match["u"] is None or not match[0].startswith(("over", "past")):
        return match[0].startswith("past") and match["u"] is None
    before = match.string[: match.start()]
    return match["u"] in _TIME_UNITS and not re.search(r"(?:up|uptime|running|older|age|lasting)\b[^,]*$", before)


def _bound(match: re.Match[str], op: Op) -> Threshold:
    unit, factor = _base(match["u"])
    return Threshold(op, number(match["n"]) * factor, unit, match.start(), match.end())


def _base(unit: str | None) -> tuple[str | None, float]:
    if unit is None:
        return None, 1.0
    base, factor = _UNITS[unit]
    return base or None, factor


def _range(match: re.Match[str]) -> list[Threshold]:
    """Both bounds of a range; a clock range ("between 2 and 4", "9 to 11am") is none."""
    low, low_unit, high, high_unit = next(
        (match[a], match[ua], match[b], match[ub])
        for a, ua, b, ub in (("a", "ua", "b", "ub"), ("c", "uc", "d", "ud"), ("e", "ue", "f", "uf"))
        if match[a] is not None
    )
    said = high_unit or low_unit
    tail = match.string[match.end() :]
    if said in _TIME_UNITS or re.match(r"\s*(?:[ap]\.?m|:|시|월|일|o'clock)", tail):
        return []
    unit, factor = _base(said)
    values = sorted((number(low), number(high)))
    if (
        unit is None
        and values[1] <= 24
        and not re.search(r"(?:load|connections?|로드|부하|커넥션)\S*\s*$", match.string[: match.start()])
    ):
        return []
    ops: tuple[Op, Op] = (">=", "<=")
    return [
        Threshold(op, value * factor, unit, match.start(), match.end()) for op, value in zip(ops, values, strict=True)
    ]


_COUNTED = r"(?:servers?|hosts?|machines?|boxes|box|nodes?|instances?|vms?|ones|offenders|consumers|hogs|users|metrics|alerts|results|worst|best|hottest|busiest|slowest|highest|lowest|biggest|largest|most|least)"
_SMALL = rf"(?:\d{{1,3}}(?![\d.,:%]|xx)|(?:{'|'.join(sorted(_ENGLISH, key=len, reverse=True))})(?![a-z]))"
_LIMITS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![a-z])(?:top|bottom|first|worst|best|highest|lowest|busiest|hottest|slowest|largest|biggest|latest)[\s-]?(?P<n>{_SMALL})(?!\s*(?:%|percent|hours?|days?|weeks?|minutes?|months?|h\b|d\b|m\b))",
        rf"(?<![a-z0-9_.\-])(?P<n>{_SMALL})\s+(?:of the\s+)?(?:most\s+|least\s+)?(?:[a-z]+est|worst|best|top)\b",
        rf"(?<![a-z])(?:just|only|show|list|give me|limit(?: to)?|max)\s+(?:the\s+|me\s+)?(?P<n>{_SMALL})(?=\s+{_COUNTED}|\s*$|\s*[.,])",
        rf"(?:상위|하위|탑|톱|top|최고|최대|처음|최근|맨\s*위)\s*(?P<n>\d{{1,3}}|{_NATIVE_WORDS})\s*(?:대|개|곳|위|놈|건|서버)?(?!\s*(?:시간|분|일|주|달|개월|초|%|퍼|년))(?![가-힣\d]*시간)",
        rf"(?<![a-z0-9_.\-])(?P<n>\d{{1,3}}|(?<![가-힣])(?:{_NATIVE_WORDS}))\s*(?:대|개(?!월)|곳|놈|위까지|군데)(?!로|째|\s*(?:이상|넘|초과|미만|이하)|[가-힣]{{2,}})",
    )
)


def _limits(text: str) -> Iterator[Limit]:
    """Numbers that count things to show, each place once."""
    taken: list[tuple[int, int]] = []
    for pattern in _LIMITS:
        for match in pattern.finditer(text):
            n = int(number(match["n"]))
            if n > 0 and not _inside(*match.span(), taken):
                taken.append(match.span())
                yield Limit(n, *match.span())


_ORDERS: tuple[tuple[str, Direction, bool], ...] = (
    (r"(?<![a-z])(?:lowest|least|smallest|fewest|minimum|bottom|idlest|quietest|coolest|ascending|asc)(?![a-z])", "asc", False),
    (r"(?<![a-z])(?:highest|most|largest|biggest|greatest|top|descending|desc|max(?:imum)?|heaviest|hottest)(?![a-z])", "desc", False),
    (r"(?<![a-z])(?:worst|busiest|slowest|fullest|sickest)(?![a-z])", "desc", True),
    (r"(?<![a-z])(?:best|healthiest|fastest|emptiest)(?![a-z])", "asc", True),
    (r"(?:가장|제일|젤|최고로|순위\s*)\s*(?:[가-힣]+\s+){0,2}?(?:낮|적|작|한가|널널|여유|노는|놀|덜|안\s?쓰|느긋|조용)|하위|낮은\s*순|적은\s*순|오름차순|최저|최소", "asc", False),
    (r"(?:가장|제일|젤)\s*(?:[가-힣]+\s+){0,2}?(?:높|많|크|큰|뜨거|핫)|상위|높은\s*순|많은\s*순|큰\s*순|내림차순|탑|톱|최고|최대", "desc", False),
    (r"(?:가장|제일|젤)\s*(?:[가-힣]+\s+){0,2}?(?:바쁜|바쁘|심|나쁜|안\s?좋|느린|느려|힘들|위험|문제|빡센|먹)", "desc", True),
    (r"(?:바쁜|심한|느린|위험한)\s*순", "desc", True),
)  # fmt: skip
_ORDER_PATTERNS = tuple((re.compile(words), direction, judged) for words, direction, judged in _ORDERS)


def _orders(text: str) -> list[Order]:
    """Words for either end, in order; the first pattern that takes a place wins."""
    found: list[Order] = []
    for pattern, direction, judged in _ORDER_PATTERNS:
        for match in pattern.finditer(text):
            if not _inside(*match.span(), [(order.i, order.j) for order in found]):
                found.append(Order(direction, *match.span(), judged))
    return sorted(found, key=lambda order: order.i)


_QUANTILE = re.compile(
    r"(?<![a-z0-9_])p(?P<p>\d{2,3})(?:\.(?P<f>\d+))?(?![a-z0-9_])|(?P<q>\d{1,2})(?:\.(?P<g>\d+))?\s*(?:th|st|nd|rd)?[\s-]*(?:percentile|퍼센타일|백분위|분위)"
)
_STATISTICS: tuple[tuple[str, StatisticName], ...] = (
    (r"(?<![a-z])(?:averages?|avg|mean|typical)(?![a-z])|평균|평소", "avg"),
    (r"(?<![a-z])medians?(?![a-z])|중앙값|중간값|중위", "median"),
    (r"(?<![a-z])(?:max(?:imum)?|peak(?:ed|s)?)(?![a-z])|최고(?!로)|최대|피크|정점|맥스", "max"),
    (r"(?<![a-z])(?:min(?:imum)?|trough)(?![a-z])(?!\s*(?:ago|utes))|최저|최소|민(?=값)", "min"),
    (r"(?<![a-z])(?:sum|totals?|altogether|combined|aggregate)(?![a-z])|총합|합계|합산|다\s*합|전부\s*합|모두\s*합", "sum"),
    (r"(?<![a-z])(?:how many|count(?: of)?|number of)(?![a-z])|몇\s*(?:대|개(?!월)|건|곳|놈)|개수|댓수|대수|갯수", "count"),
    (r"(?<![a-z])(?:stddev|standard deviation|variance)(?![a-z])|표준\s*편차", "stddev"),
)  # fmt: skip
_STATISTIC_PATTERNS = tuple((re.compile(words), name) for words, name in _STATISTICS)


def _statistics(text: str, taken: list[tuple[int, int]]) -> list[Statistic]:
    """Statistics in order; "5 min" and "max 3" are none."""
    found = [
        Statistic("quantile", match.start(), match.end(), _q(match["p"] or match["q"], match["f"] or match["g"]))
        for match in _QUANTILE.finditer(text)
    ]
    for pattern, name in _STATISTIC_PATTERNS:
        for match in pattern.finditer(text):
            minutes = name == "min" and re.search(r"\d\s*$", text[: match.start()]) is not None
            if not minutes and not _inside(*match.span(), taken):
                found.append(Statistic(name, *match.span()))
    return sorted(found, key=lambda statistic: statistic.i)


def _q(digits: str, fraction: str | None) -> float:
    """0.95 of "95", 0.999 of "999" or "99.9"."""
    if fraction:
        return round(float(f"{digits}.{fraction}") / 100, 6)
    return int(digits) / 10 ** len(digits) if len(digits) > 1 else int(digits) / 100
