"""What each type of server has of its own can be asked for by a plain word, in English and in Korean."""

from __future__ import annotations

from typing import Any

import pytest

NOW = 1_760_000_400.0


def gauge(name: str, server: str, value: float, **labels: str) -> tuple[dict[str, str], list[tuple[float, float]]]:
    return {"__name__": name, "instance": f"{server}:9100", **labels}, [
        (NOW - 15 * k, value) for k in range(60, -1, -1)
    ]


def counter(name: str, server: str, rate: float, **labels: str) -> tuple[dict[str, str], list[tuple[float, float]]]:
    labels = {"__name__": name, "instance": f"{server}:9100", **labels}
    return labels, [(NOW - 15 * k, 1e6 - 15 * k * rate) for k in range(60, -1, -1)]


SERVERS = [
    counter("redis_keyspace_hits_total", "redis-01", 90),
    counter("redis_keyspace_misses_total", "redis-01", 10),
    counter("redis_commands_processed_total", "redis-01", 130),
    gauge("redis_connected_clients", "redis-01", 77),
    gauge("rabbitmq_queue_messages", "mq-01", 1200, queue="a"),
    gauge("rabbitmq_queue_messages", "mq-01", 34, queue="b"),
    gauge("pg_stat_activity_count", "pg-01", 61, state="active"),
    gauge("active_users", "shop-01", 412),
    gauge("orders_per_minute", "shop-01", 58),
    counter("node_network_receive_errs_total", "pg-01", 7, device="eth0"),
    gauge("db_pool_connections", "shop-02", 19, state="used"),
    gauge("tickets_open", "shop-02", 5),
]
QUESTIONS = [
    ("What is the cache hit rate of redis-01?", "redis-01의 캐시 적중률은?", "90"),
    ("How many requests per second does redis-01 get?", "redis-01의 초당 요청 수는?", "130"),
    ("How many connections does redis-01 have?", "redis-01 연결 수 알려줘", "77"),
    ("queue depth of mq-01?", "mq-01 대기열은?", "1,234"),
    ("How many connections are open on pg-01?", "pg-01의 연결 수는?", "61"),
    ("How many active users are on shop-01?", "shop-01의 사용자 수는?", "412"),
    ("orders per minute of shop-01?", "shop-01 분당 주문 수는?", "58"),
    ("network errors on pg-01?", "pg-01의 패킷 손실은?", "7"),
    ("db connections of shop-02?", "shop-02 디비 커넥션 몇 개야?", "19"),
    ("What is tickets_open on shop-02?", "shop-02의 tickets_open 값은?", "5"),
]


@pytest.mark.parametrize("language", [0, 1], ids=["english", "korean"])
async def test_each_types_own_metrics_are_asked_for_by_plain_words(product: Any, language: int) -> None:
    await product.write(SERVERS)
    wrong = []
    for row in QUESTIONS:
        answer = await product.ask(row[language])
        if answer["status"] != "answered" or row[2] not in answer["response"].split("\n")[0]:
            wrong.append((row[language], answer["response"]))
    assert wrong == [], wrong
