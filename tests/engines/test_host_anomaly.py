"""Anomalies of a host over all its metrics: what moves together, which metric is to blame, and what is not known."""

import numpy as np

from engines.bench import detect

DAY = 288
NAMES = ["cpu_usage", "load", "requests", "network_out", "disk_used", "oom_kills"]
LEARNT = 4 * DAY


def host(days=6, seed=0):
    """Requests with a daily wave that CPU, load and network follow; a disk that fills; kills that never happen."""
    random = np.random.default_rng(seed)
    steps = np.arange(days * DAY)
    requests = 50 + 20 * np.sin(2 * np.pi * steps / DAY) + random.normal(0, 1, len(steps))
    follow = np.array([0.8, 0.05, 1.0, 3.0]) * requests[:, None]
    follow = follow * (1 + random.normal(0, 0.02, follow.shape))
    disk = 60 + steps / 1e5
    return np.column_stack([follow, disk, np.zeros(len(steps))])


def detected(rows, learnt=LEARNT):
    return detect(1.7e9 + 300.0 * np.arange(len(rows)), rows, NAMES, learnt)


def test_what_comes_later_does_not_change_what_was_said():
    rows = host()
    rows[5 * DAY : 5 * DAY + 30, 0] += 40
    score, alarm, top = detected(rows)
    for until in (LEARNT + 50, 5 * DAY + 10):
        early = detected(rows[:until])
        assert np.allclose(early[0], score[:until])
        assert np.array_equal(early[1], alarm[:until])
        assert early[2] == top[:until]


def test_normal_days_raise_no_alarm():
    _, alarm, _ = detected(host(8))
    assert not alarm[LEARNT:].any()


def test_a_metric_that_breaks_away_from_the_others_is_noticed_and_named():
    rows = host()
    at = 5 * DAY + 100
    rows[at : at + 30, 0] = 95
    _, alarm, top = detected(rows)
    assert alarm[at : at + 8].any()
    assert top[at + 1][0] == "cpu_usage"
    assert not alarm[LEARNT:at].any()


def test_a_constant_metric_that_deviates_is_named():
    rows = host()
    at = 5 * DAY + 30
    rows[at : at + 12, 5] = 3
    _, alarm, top = detected(rows)
    assert alarm[at : at + 8].any()
    assert top[at + 1][0] == "oom_kills"


def test_missing_samples_are_passed_over():
    rows = host()
    rows[:, 1] = np.nan
    rows[LEARNT + 20 : LEARNT + 60] = np.nan
    score, alarm, top = detected(rows)
    assert np.isfinite(score).all()
    assert not alarm[LEARNT:].any()
    assert {len(names) for names in top} == {6}


def test_nothing_is_said_of_a_metric_that_was_not_there_to_learn_from():
    rows = host()
    rows[: LEARNT + 100, 1] = np.nan
    rows[5 * DAY, 2] = np.inf
    score, alarm, _ = detected(rows)
    assert np.isfinite(score).all()
    assert not alarm[LEARNT:].any()


def test_a_host_of_which_nothing_is_known_is_learnt_first():
    rows = host()
    at = 5 * DAY + 100
    rows[at : at + 30, 0] = 95
    _, alarm, _ = detected(rows, learnt=0)
    assert not alarm[:400].any()
    assert alarm[at : at + 8].any()
