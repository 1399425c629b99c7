"""Which change probably caused the others."""

import pytest

from engines.changepoint import Change
from engines.rootcause import Candidate, rank_causes

ONSET = 1_800_000_000.0


def moved(server: str, concept: str, lead_min: float, size: float, weight: float = 1.0) -> Candidate:
    return Candidate(server, concept, Change(ONSET - lead_min * 60, 20.0, 90.0, size, "step", None), weight)


DATABASE = moved("db", "disk_io", 6, 20)
CACHE = moved("cache", "cpu", 2, 20)
API = moved("api", "latency", 0, 40)
WEB = moved("web", "errors", 0, 30)


def test_what_moved_first_leads_although_others_moved_more():
    causes = rank_causes(ONSET, [API, WEB, DATABASE, CACHE])
    assert (causes[0].server, causes[0].concept, causes[0].lead_s) == ("db", "disk_io", 360.0)
    assert "first" in causes[0].reason
    assert sum(cause.score for cause in causes) == pytest.approx(1)


def test_among_simultaneous_changes_the_largest_leads():
    assert [cause.server for cause in rank_causes(ONSET, [WEB, API])] == ["api", "web"]


def test_dependencies_point_upstream_even_when_everything_moved_at_once():
    edges = [("web", "api"), ("api", "db"), ("api", "cache")]
    at_once = [moved("web", "errors", 0, 40), moved("api", "latency", 0, 40), moved("db", "disk_io", 0, 20)]
    causes = rank_causes(ONSET, at_once, edges, symptom="web")
    assert [cause.server for cause in causes] == ["db", "api", "web"]
    assert causes[0].reason == "first, upstream"


def test_what_the_symptom_does_not_depend_on_counts_little():
    causes = rank_causes(ONSET, [WEB, DATABASE, moved("batch", "cpu", 9, 99)], [("web", "db")], symptom="web")
    assert causes[0].server == "db"


def test_more_work_comes_from_who_calls_and_excuses_whom_it_strains():
    edges = [("web", "api"), ("api", "db")]
    surge = Candidate("web", "requests", Change(ONSET, 20.0, 90.0, 20, "step", None), load=True)
    passed_on = Candidate("api", "requests", Change(ONSET, 20.0, 90.0, 20, "step", None), load=True)
    strained = [moved("api", "cpu", 0, 30), moved("db", "cpu", 1, 30)]
    assert rank_causes(ONSET, [surge, passed_on, *strained], edges)[0].server == "web"


def test_a_small_change_long_before_the_large_ones_is_not_the_first_of_them():
    causes = rank_causes(ONSET, [moved("other", "cpu", 50, 2), moved("db", "cpu", 2, 40), API])
    assert causes[0].server == "db"


def test_circular_dependencies_end():
    assert len(rank_causes(ONSET, [WEB, API], [("web", "api"), ("api", "web")])) == 2


def test_changes_long_before_or_after_the_symptom_are_no_causes():
    assert rank_causes(ONSET, [moved("db", "cpu", 90, 50), moved("db", "cpu", -10, 50)]) == []
    assert rank_causes(ONSET, []) == []
