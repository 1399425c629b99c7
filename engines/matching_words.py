"""Words that server names are built from, spoken in English and Korean, and tokens that only look like servers."""

from __future__ import annotations

import re
from collections.abc import Iterable

# General infrastructure words, one role a line: what people say, and the stems that host names use for it.
_ROLES: tuple[tuple[str, ...], ...] = (
    ("web", "www", "webserver", "웹"),
    ("was", "와스"),
    ("app", "application", "앱", "애플리케이션", "어플리케이션"),
    ("api", "에이피아이", "에이피아이서버"),
    ("db", "database", "rdb", "디비", "데이터베이스", "디비서버", "뎁"),
    ("postgres", "postgresql", "pg", "pgsql", "포스트그레스", "포스트그레"),
    ("mysql", "마이에스큐엘", "마이시퀄"),
    ("maria", "mariadb", "마리아", "마리아디비"),
    ("mongo", "mongodb", "몽고", "몽고디비"),
    ("oracle", "오라클"),
    ("redis", "레디스"),
    ("valkey", "발키"),
    ("memcached", "memcache", "멤캐시"),
    ("cache", "caching", "캐시", "캐쉬", "케시", "캐싱"),
    ("queue", "mq", "큐", "메시지큐"),
    ("kafka", "카프카"),
    ("rabbit", "rabbitmq", "래빗", "래빗엠큐"),
    ("broker", "브로커"),
    ("batch", "배치"),
    ("worker", "워커", "작업자"),
    ("job", "jobs", "잡"),
    ("cron", "크론"),
    ("scheduler", "스케줄러", "스케쥴러"),
    ("gateway", "gw", "게이트웨이", "지더블유"),
    ("lb", "loadbalancer", "balancer", "엘비", "로드밸런서", "밸런서", "로드발란서"),
    ("proxy", "프록시"),
    ("nginx", "엔진엑스", "엔진x"),
    ("haproxy", "에이치에이프록시"),
    ("edge", "엣지", "에지"),
    ("cdn", "씨디엔"),
    ("dns", "디엔에스"),
    ("vpn", "브이피엔"),
    ("bastion", "jump", "배스천", "베스천", "점프"),
    ("log", "logs", "logging", "로그", "로깅"),
    ("elastic", "elasticsearch", "es", "엘라스틱", "일래스틱"),
    ("search", "검색", "서치"),
    ("monitor", "monitoring", "mon", "모니터링", "모니터", "관제"),
    ("prometheus", "prom", "프로메테우스"),
    ("grafana", "그라파나"),
    ("metrics", "메트릭"),
    ("storage", "store", "스토리지", "저장소"),
    ("file", "files", "nfs", "파일"),
    ("nas", "나스"),
    ("backup", "bak", "백업"),
    ("mail", "smtp", "메일"),
    ("auth", "login", "sso", "인증", "로그인"),
    ("pay", "payment", "payments", "결제", "페이"),
    ("order", "orders", "주문"),
    ("user", "users", "사용자", "유저"),
    ("chat", "채팅", "챗"),
    ("image", "img", "media", "이미지", "미디어"),
    ("stream", "streaming", "스트림", "스트리밍"),
    ("etl", "이티엘"),
    ("data", "데이터"),
    ("analytics", "분석"),
    ("ml", "ai", "엠엘"),
    ("gpu", "지피유"),
    ("build", "ci", "빌드"),
    ("jenkins", "젠킨스"),
    ("git", "gitlab", "깃", "깃랩"),
    ("test", "qa", "테스트"),
    ("dev", "개발"),
    ("stage", "staging", "stg", "스테이징", "스테이지"),
    ("prod", "production", "prd", "운영", "프로덕션"),
    ("master", "마스터"),
    ("primary", "프라이머리", "주"),
    ("replica", "레플리카", "복제"),
    ("slave", "슬레이브"),
    ("standby", "스탠바이", "대기"),
    ("node", "노드"),
    ("control", "controller", "컨트롤러", "컨트롤"),
    ("admin", "관리", "어드민"),
    ("front", "frontend", "fe", "프론트", "프론트엔드"),
    ("back", "backend", "be", "백엔드"),
    ("game", "게임"),
    ("host", "호스트"),
    ("vm", "브이엠"),
)
SPOKEN: dict[str, tuple[str, ...]] = {}
"""A word as said → the stems of host names that it can stand for, itself first."""
for _role in _ROLES:
    _latin = tuple(word for word in _role if word.isascii())
    for _word in _role:
        SPOKEN[_word] = tuple(dict.fromkeys((_word, *_latin))) if _word.isascii() else _latin

SERVER_WORDS = r"(?:servers?|hosts?|machines?|nodes?|instances?|box|vm|서버|노드|호스트|장비|머신|인스턴스)"

_NOT_STEMS = """
    about above all amd and any apr are around at aug base below best between bottom by c cent code connections core
    cores covid cpu cve day ddr dec did disk do does ec2 error errors eth feb first for from gen get give gpt h has
    have hour how http https id in inode inodes ip4 ipv is iso jan java jul jun just k k8s l2 l3 l4 l7 last latency
    least level line list lo load log4j m many mar may md mem memory min minute month most near next node_load nov
    nvme oct of on only or over p page past pct per percentile pgpool phase php pid port prio priority processes
    python q quarter r raid requests rfc s s3 sata sda sdb sdc sep sev severity sha show since socket status step
    swap tcp temp temperature than the threads tier to top traffic udp under uptime usage usb utf v vda ver version
    was week what when where which who why with worst x x86 year
"""
NOT_STEMS = frozenset(_NOT_STEMS.split())
"""Latin words that are followed by numbers without being servers: p95, ipv4, cpu0, load1, sev 1, over 80."""

_SEGMENT = re.compile(r"[a-z]+|[가-힣]+|\d{1,18}")

Segments = tuple[str | int, ...]


def segments(name: str) -> Segments:
    """The words and numbers of a name, leading zeros gone: what "web-01", "web1" and "WEB 1" have in common.

    >>> segments("prod-Web_01"), segments("ip-10-0-3-17")
    (('prod', 'web', 1), ('ip', 10, 0, 3, 17))
    """
    return tuple(int(part) if part.isdigit() else part for part in _SEGMENT.findall(name.lower()))


def numbers(parts: Segments) -> tuple[int, ...]:
    """The numbers of a name in order; they are locked: never corrected."""
    return tuple(part for part in parts if isinstance(part, int))


def words(parts: Iterable[str | int]) -> tuple[str, ...]:
    """The words of a name in order."""
    return tuple(part for part in parts if isinstance(part, str))
