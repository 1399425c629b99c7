"""Which kind of question it is: cues and slots first, the classifier where they leave it open."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.query import Kind, Query, Question
from assistant.understanding.slots import Slots
from engines.quantities import Statistic
from monitoring.errors import BadQuery
from monitoring.inventory import Inventory
from monitoring.promql import plan

CUES: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "help": r"what can (?:you|i) (?:do|ask)|^\s*help\s*[?!.]*$|how do i use (?:you|this)|뭘 ?물어|무엇을 ?물어|뭐 ?물어|뭘 ?할 수|뭐 ?할 수|무엇을 할 수|도움말|사용법",
        "smalltalk": r"^\s*(?:hi|hello|hey|thanks?(?: you)?|thx|good (?:morning|evening|job|night)|안녕(?:하세요)?|고마워|감사합니다|감사해요|수고(?:했어|하셨습니다|해)?)\b[\s!.~]*$",
        "howto": r"\bhow (?:do|can|should|would) (?:i|we|you|one)\b|\bhow to\b|what should (?:i|we) do|steps to|best (?:way|practice)|runbook|어떻게 ?(?:해결|조치|대처|대응|고치|고쳐|처리|해야|줄이|줄여|늘리|하면|확인)|(?:조치|해결|대응|대처|처리) ?(?:방법|법)|하는 ?(?:법|방법)|방법 ?(?:좀 ?)?(?:알려|있)|어떡해",
        "action": r"^\s*(?:please |can you |could you |pls )?(?:restart|reboot|kill|stop|start|delete|remove|deploy|scale|shut ?down|turn (?:off|on)|drop|roll ?back|patch|upgrade|install|purge|resize|clean up|add|create|move|migrate|format|wipe|free up)\b|(?:재시작|재부팅|리부팅|삭제|종료|중지|중단|배포|롤백|설치|업그레이드|패치|정리|증설|초기화|이전)\s*(?:좀\s*)?(?:해|시켜|하)\s*(?:줘|주세요|라|봐)|(?:꺼|켜|죽여|지워|늘려|줄여|비워|내려|올려)\s*(?:줘|주세요|버려)",
        "report": r"\breport\b|post-?mortem|hand-?over|\bhand(?:ing)? over\b|what happened(?! to)|보고서|리포트|인수 ?인계|일일 ?점검|무슨 ?일",
        "capacity": r"over-?provision|under-?provision|over-?siz|under-?siz|right-?siz|too (?:big|small|large)\b|\bneeds? (?:a )?(?:more|bigger|larger)\b(?! (?:attention|care|time))|capacity plan|wast(?:e|ing|ed)|under-?utili[sz]|과잉|과다 ?할당|남는 ?자원|자원 ?낭비|용량 ?계획|놀고 ?있는|사이징|너무 ?(?:큰|작은) ?서버|증설이? ?필요|오버스펙",
        "correlate": r"correlat|move[ds]? together|in (?:step|sync) with|related to|relationship|상관|연관|관련(?:이|성)? ?있|같이 ?움직|함께 ?움직|영향을",
        "since": r"since when|when did|how long has|언제부터|언제 ?(?:다운|죽|꺼|시작|올라|떨어)",
        "changed": r"what (?:has )?changed|what'?s (?:changed|different|new)|any changes?|(?:뭐|뭔|무엇|어떤|무슨).{0,6}(?:바뀌|바뀐|달라|변했|변한|변화)|변경 ?(?:사항|된|점)|변화 ?(?:있|된|알려|점)|달라진|바뀐",
        "cause": r"\bwhy\b|\bcauses?d?\b|\breason\b|what made|왜|원인|이유|때문|탓",
        "forecast": r"when (?:will|does|do|is|are).{0,60}(?:full|run out|fill|exceed|reach|hit|exhaust)|run(?:ning)? out|fill(?:s|ing)? up|forecast|predict|\bwill\b.{0,60}(?:be|reach|exceed|hit|fill|run|last)|how long (?:until|before|till)|days? left|언제.{0,14}(?:꽉|다 ?차|가득|부족|찰까|차\b|차는|넘|도달|소진)|예측|예상|꽉 ?차|버틸|며칠 ?남|다 ?찰",
        "alerts": r"\balerts?\b|\balarms?\b|\bfir(?:ing|ed)\b|\bdid\b.{1,60}\bfire\b|\b(?:go|goes|went|going) off\b|알림|알람|경보|얼럿|울(?:렸|려|리|린|림|립)",
        "anomaly": r"anomal|unusual|abnormal|weird|strange|\bodd\b|suspicious|\bnormal(?:ly)?\b|out of the ordinary|이상(?=\s*(?:징후|현상|한|해|하|있|없|탐지|감지|점|은|이|도|[?!.]|$))|비정상|수상|특이|평소와|정상(?:인가|이야|적|이니|입니)",
        "trend": r"\btrend|going (?:up|down)|\bincreas(?:ing|ed)|\bris(?:ing|en)|\bfall(?:ing|en)\b|decreas|\bgrow(?:ing|n)|climbing|추세|추이|오르고|늘고|증가|줄고|떨어지고|올라가|상승|하락|변동|감소",
        "compare": r"\bcompare|versus|\bvs\.?\b|difference between|\b(?:higher|lower|more|less|busier|worse|better) than\b|which (?:one |of them )?(?:is|has|uses) (?:more|higher|less|lower)|비교|차이|중에?서? ?(?:누가|어느|어디|뭐가|어떤)|대비|보다",
        "count": r"\bhow many\b|\bnumber of\b|\bcount\b|몇 ?(?:대|개|곳)|갯수|개수|대수",
        "which": r"\bwhich\b|\bany\b|\bwho\b|who'?s|\blist\b|있어|있나|있니|있습니까|어떤 서버|어느 서버|목록|찾아|골라|뭐야|어디",
        "query": r"(?:promql|\bquery\b|쿼리)",
        "elsewhere": r"\b(?:prices?|cheap|buy|weather|stocks?|shares? price|recipes?|poem|lyrics|movie|song|bitcoin)\b|가격|주가|날씨|시세|맛집|노래|영화|비트코인|레시피",
        "define": r"^\s*what(?:'s| is| are) (?:an? |the )?[a-z]+(?: [a-z]+)?\s*\??\s*$|(?:이|가)?란 (?:뭐|무엇)|(?:은|는|이|가)? 뭐(?:야|예요|에요|죠)\s*\??$",
        "state": r"how(?:'s| is| are)\b|what'?s up|\bstatus\b|\bstate\b|overview|\bhealth\b|summary|worry|problems?|trouble|struggl|suffer|unhappy|burning|broken|wrong|issues?|okay|\bok\b|all good|attention|상태|현황|어때|괜찮|문제|점검|요약|잘 ?(?:돌|되|있)|이슈|장애|전반",
        "detail": r"detail|tell me about|everything about|상세|자세|상태|어때|정보|how(?:'s| is)|status|health|괜찮",
        "fleet": r"\bservers?\b|\bhosts?\b|\bfleet\b|\bmachines?\b|\bsystems?\b|infra|\bnodes?\b|\bbox(?:es)?\b|\bvms?\b|\beverything\b|서버|장비|시스템|인프라|전체|모두|노드|호스트",
        "inventory": r"(?:list|show|what|which|all).{0,20}(?:servers|hosts|machines)|서버 ?(?:목록|리스트|종류|이름)",
        "high": r"\bhigh\b|\bhot\b|overload|\bheavy\b|\bslow\b|\bfull\b|\btoo much\b|많은|높은|과부하|느린|부족|꽉|뜨거운|바쁜|심한",
        "hot": r"\bhot\b|뜨거운|뜨겁|핫한",
        "busiest": r"busiest|hottest|busy|most loaded|바쁜|부하가",
        "idle": r"\bidle\b|least busy|quietest|한가|노는|놀고",
    }.items()
}
FREE = re.compile(r"\bfree\b|\bleft\b|\bremaining\b|\bheadroom\b|남은|여유|남아")
INTENTS: dict[str, Kind] = {
    "overview": "overview",
    "metric": "value",
    "filter": "filter",
    "trend": "trend",
    "forecast": "forecast",
    "anomaly": "anomaly",
    "root_cause": "cause",
    "alerts": "alerts",
    "report": "report",
    "howto": "howto",
    "changes": "changed",
    "inventory": "filter",
    "action": "action",
    "server_detail": "detail",
    "rank": "rank",
    "help": "help",
    "smalltalk": "smalltalk",
    "compare": "compare",
    "oos": "out_of_scope",
}


def decide(question: Question, slots: Slots, scores: Sequence[tuple[str, float]], inventory: Inventory) -> Query:
    """The query, with the kind that cues, slots and the classifier's scores speak for."""
    said = {name for name, pattern in CUES.items() if pattern.search(slots.rest)}
    if CUES["define"].search(question.text.lower()):
        said.add("define")  # "what is redis?": the type's word was read already
    kind, confidence = _promql(question.text, inventory) or _by_cues(slots, said) or _by_scores(slots, said, scores)
    statistic = _statistic(slots.quantities.statistics)
    order = slots.quantities.orders[0] if slots.quantities.orders else None
    descending = None if order is None else order.direction == "desc"
    if descending is not None and FREE.search(slots.rest) and set(slots.concepts) & {"disk", "memory"}:
        descending = not descending  # the least free is the fullest
    if kind == "rank" and "idle" in said:
        descending = False
    if kind == "capacity":
        descending = False
    servers = slots.servers
    if (
        not servers
        and question.server in inventory.servers
        and kind in ("value", "detail", "history", "trend", "cause")
    ):
        servers = (question.server,) if question.server else ()
    known = {intent for intent, _ in scores}
    agreed = dict(scores).get(next((i for i in known if INTENTS.get(i) == kind), ""), 0.0)
    return Query(
        kind=kind,
        language=slots.language,
        text=question.text,
        servers=servers,
        group=slots.group,
        concepts=_concepts(kind, slots, said),
        metric=_metric(question.text, inventory) if kind == "promql" else None,
        part=slots.part,
        status=_status(kind, slots),
        time=slots.spans[0] if slots.spans else None,
        other_time=slots.spans[1] if len(slots.spans) > 1 else None,
        thresholds=slots.thresholds,
        descending=descending,
        limit=slots.quantities.limits[0].n if slots.quantities.limits else None,
        statistic=statistic,
        unknown=slots.unknown,
        unread=() if slots.spans else slots.unread_times,
        show_query="query" in said and kind in ("value", "aggregate", "rank", "detail", "overview"),
        confidence=round(min(0.99, confidence + 0.05 * agreed), 3),
        scores=tuple(scores[:3]),
    )


def _promql(text: str, inventory: Inventory) -> tuple[Kind, float] | None:
    """PromQL as typed, or nothing but a metric's own name."""
    stripped = text.strip()
    if stripped in inventory.metrics:
        return "promql", 0.97
    named = _metric(stripped, inventory)
    if named and not re.search(r"[({\[]", stripped) and "_" in named:
        return "promql", 0.9
    if not re.search(r"[({\[]|[a-z_]+_[a-z_]+", stripped) or re.search(r"[가-힣?]", stripped):
        return None
    try:
        plan(stripped, 0, 0, 1)
    except BadQuery:
        return ("promql", 0.6) if re.match(r"[a-z_]+\s*(?:by\s*\(|without\s*\(|\(|\{)", stripped) else None
    return "promql", 0.97


def _metric(text: str, inventory: Inventory) -> str | None:
    """The metric name within a sentence, or the whole text where it is PromQL."""
    if re.search(r"[({\[]", text):
        return text
    words = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]{3,}", text)
    return next((word for word in words if word in inventory.metrics and word != "up"), None) or (
        text if text in inventory.metrics else None
    )


def _by_cues(slots: Slots, said: set[str]) -> tuple[Kind, float] | None:
    """The first reading that its cue and the slots allow, most telling first."""
    for kind, confidence, holds in _readings(slots, said):
        if holds:
            return kind, confidence
    return None


def _readings(slots: Slots, said: set[str]) -> list[tuple[Kind, float, bool]]:
    concepts, servers, group = bool(slots.concepts), slots.servers, slots.group
    subject = bool(servers or group or concepts or slots.status or "fleet" in said or slots.unknown)
    statistic = _statistic(slots.quantities.statistics)
    past = any(span.kind != "horizon" for span in slots.spans)
    future = any(span.kind == "horizon" for span in slots.spans)
    order, limits = bool(slots.quantities.orders), bool(slots.quantities.limits)
    single = len(servers) == 1
    extreme = statistic in ("max", "min")
    return [
        ("help", 0.95, "help" in said),
        ("smalltalk", 0.9, "smalltalk" in said and not subject),
        ("out_of_scope", 0.9, "elsewhere" in said and not servers and not slots.thresholds),
        ("out_of_scope", 0.75, "define" in said and not (servers or concepts or slots.spans or "fleet" in said)),
        ("value", 0.9, "query" in said and concepts),
        ("howto", 0.9, "howto" in said),
        ("action", 0.85, "action" in said),
        ("report", 0.9, "report" in said),
        ("capacity", 0.85, "capacity" in said),
        ("correlate", 0.85, "correlate" in said and (concepts or bool(servers))),
        ("changed", 0.9, "since" in said and subject),
        ("cause", 0.9, "cause" in said and subject),
        ("changed", 0.88, "changed" in said),
        ("forecast", 0.9, ("forecast" in said or future) and (subject or concepts)),
        ("alerts", 0.92, "alerts" in said),
        ("compare", 0.88, "compare" in said and (len(servers) > 1 or (past and (concepts or subject)))),
        ("compare", 0.85, len(servers) > 1 and order and concepts),
        ("anomaly", 0.88, "anomaly" in said and not slots.thresholds),
        ("history", 0.9, past and concepts and (extreme or statistic is not None) and not (limits or slots.thresholds)),
        ("trend", 0.85, "trend" in said and subject),
        ("value", 0.9, "count" in said and concepts and bool(servers) and not (slots.thresholds or slots.status)),
        ("count", 0.9, ("count" in said or statistic == "count") and subject),
        ("filter", 0.9, bool(slots.thresholds) and subject),
        (
            "rank",
            0.9,
            (order or limits) and not single and statistic != "avg" and (concepts or limits or _ranks(slots, said)),
        ),
        ("rank", 0.85, bool(said & {"busiest", "idle"}) and not servers),
        ("history", 0.9, past and (concepts or bool(servers))),
        ("aggregate", 0.88, statistic in ("avg", "sum", "median") and concepts and not single),
        ("filter", 0.85, "high" in said and concepts and not servers and "which" in said),
        ("rank", 0.7, "high" in said and concepts and not servers),
        ("rank", 0.85, "hot" in said and order and not servers),
        ("filter", 0.85, "hot" in said and not servers and not slots.status and bool(said & {"fleet", "which"})),
        ("value", 0.85, "hot" in said and bool(servers)),
        ("value", 0.92, concepts),
        ("detail", 0.9, bool(servers)),
        ("filter", 0.85, bool(slots.status) and "which" in said | _has(slots)),
        ("filter", 0.8, bool(slots.status) and subject and slots.status not in ("up", "critical")),
        ("filter", 0.8, "inventory" in said and "state" not in said),
        ("overview", 0.85, "state" in said and ("fleet" in said or bool(group))),
        ("overview", 0.75, bool(group)),
    ]


def _has(slots: Slots) -> set[str]:
    return {"which"} if re.search(r"서버", slots.rest) else set()


def _ranks(slots: Slots, said: set[str]) -> bool:
    return bool(said & {"busiest", "idle"}) or any(order.judged for order in slots.quantities.orders)


def _by_scores(slots: Slots, said: set[str], scores: Sequence[tuple[str, float]]) -> tuple[Kind, float]:
    """What the classifier thinks, held against what the kind needs."""
    if not re.search(r"[^\W\d_]", slots.text):
        return "unclear", 0.1  # no letter of any script
    for intent, probability in scores[:3]:
        kind = INTENTS.get(intent)
        if kind is None or probability < 0.2:
            continue
        if kind in (
            "out_of_scope",
            "smalltalk",
            "help",
            "action",
            "overview",
            "alerts",
            "anomaly",
            "changed",
            "report",
        ):
            if kind == "smalltalk" and probability < 0.5:
                continue
            return kind, probability
        if kind in ("forecast", "howto") and probability >= 0.35:
            return kind, probability
    if said & {"fleet", "state"}:
        return "overview", 0.5
    best = dict(scores).get("oos", 0.0)
    return ("out_of_scope", max(best, 0.4)) if best >= 0.1 or not scores else ("unclear", 0.3)


def _concepts(kind: Kind, slots: Slots, said: set[str]) -> tuple[str, ...]:
    hot = "hot" in said and kind in ("filter", "value")
    if slots.concepts or not (hot or kind in ("rank", "capacity", "history", "trend")):
        return slots.concepts
    return ("cpu",)


def _status(kind: Kind, slots: Slots) -> str | None:
    return slots.status if kind in ("filter", "count", "changed", "cause", "alerts") else None


def _statistic(found: Sequence[Statistic]) -> str | None:
    for one in found:
        if one.name == "quantile" and one.q is not None:
            return f"p{one.q * 100:g}"
        return {"median": "p50"}.get(one.name, one.name)
    return None
