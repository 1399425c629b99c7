"""Pages of exporters: what is read from them, and how a bad one is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.errors import BadSample
from monitoring.ingest.exposition import Metadata, SeriesCache, parse

TEXT = "text/plain; version=0.0.4"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def rows(body: str, content_type: str = TEXT) -> list[tuple[dict[str, str], float, int | None]]:
    page = parse(body.encode(), content_type, 7_000)
    times = [t if own else None for t, own in zip(page.times_ms.tolist(), page.timed.tolist(), strict=True)]
    assert all(t == 7_000 for t, own in zip(page.times_ms.tolist(), page.timed.tolist(), strict=True) if not own)
    return [(dict(a), b, c) for a, b, c in zip(page.labels, page.values.tolist(), times, strict=True)]


def test_every_form_of_a_line_is_read():
    page = r"""# HELP http_requests_total All requests.\nSince the start, "all" of them. \\
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
  http_requests_total { method = "post" , code="400", } 3   -1
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
tricky{a="} 5",b="x # {y} 1"} 2

brace_close{a="b"}3
# just a comment
	tab	1
empty_label{a="",b="c"} -Inf
한국{a="b"} 1
"""
    with pytest.raises(BadSample, match=r"line 12: '한국' is not a metric name"):
        rows(page)
    assert rows(page.replace("한국", "x:y")) == [
        ({"__name__": "http_requests_total", "method": "post", "code": "200"}, 1027.0, 1395066363000),
        ({"__name__": "http_requests_total", "method": "post", "code": "400"}, 3.0, -1),
        (
            {
                "__name__": "msdos_file_access_time_seconds",
                "path": r"C:\DIR\FILE.TXT",
                "error": 'Cannot find file:\n"FILE.TXT"',
            },
            1.458255915e9,
            None,
        ),
        ({"__name__": "tricky", "a": "} 5", "b": "x # {y} 1"}, 2.0, None),
        ({"__name__": "brace_close", "a": "b"}, 3.0, None),
        ({"__name__": "tab"}, 1.0, None),
        ({"__name__": "empty_label", "b": "c"}, -math.inf, None),
        ({"__name__": "x:y", "a": "b"}, 1.0, None),
    ]
    said = parse(page.replace("한국", "x").encode(), TEXT, 0).metadata
    help_text = 'All requests.\nSince the start, "all" of them. \\'
    assert said == {"http_requests_total": Metadata("counter", help_text)}


def test_openmetrics_has_seconds_exemplars_and_an_end():
    page = """# TYPE foo histogram
# UNIT foo seconds
foo_bucket{le="0.1"} 8 # {trace_id="a} b"} 0.054
foo_bucket{le="+Inf"} 17 1520879607.789 # {trace_id="x"} 0.67 1520879607.5
foo_count 17
{"with.dots",a="b"} 1
# EOF
"""
    assert rows(page, OPEN_METRICS) == [
        ({"__name__": "foo_bucket", "le": "0.1"}, 8.0, None),
        ({"__name__": "foo_bucket", "le": "+Inf"}, 17.0, 1520879607789),
        ({"__name__": "foo_count"}, 17.0, None),
        ({"__name__": "with.dots", "a": "b"}, 1.0, None),
    ]
    assert parse(page.encode(), OPEN_METRICS, 0).metadata == {"foo": Metadata("histogram", unit="seconds")}
    with pytest.raises(BadSample, match=r"does not end with '# EOF'"):
        rows(page.removesuffix("# EOF\n"), OPEN_METRICS)
    with pytest.raises(BadSample, match=r"line 8: there is text after '# EOF': 'foo 1'"):
        rows(page + "foo 1\n", OPEN_METRICS)


@pytest.mark.parametrize(
    "line",
    [
        "foo",
        "foo bar",
        "foo 1_000",
        "foo 1 2 3",
        "foo 1 1.5",
        "foo 0x10",
        "1foo 1",
        "foo{a=1} 1",
        'foo{a="b} 1',
        'foo{a="b"',
        'foo{a="b",a="c"} 1',
        'foo{__name__="b"} 1',
        'foo{a="b"}',
        'foo{="b"} 1',
        'foo{a="b"}} 1',
        '{a="b"} 1',
        "foo ١",
        "<html>",
    ],
)
def test_a_bad_line_is_named_by_number_and_text(line: str):
    with pytest.raises(BadSample) as refused:
        parse(f"up 1\n{line}\n".encode(), TEXT, 0)
    assert str(refused.value).startswith("line 2: ")
    assert repr(line) in str(refused.value)


def test_bytes_that_are_not_utf8_are_refused_with_their_line():
    with pytest.raises(BadSample, match="line 2: byte 8 is not UTF-8"):
        parse(b"up 1\nfoo\xff 1\n", TEXT, 0)


label_names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True).filter(lambda name: name != "__name__")


@given(
    st.dictionaries(label_names, st.text(min_size=1, max_size=8)), st.floats(), st.none() | st.integers(-(2**50), 2**50)
)
def test_whatever_is_written_by_the_rules_comes_back(labels: dict[str, str], value: float, time: int | None):
    inside = ",".join(
        f'{k}="{v}"'
        for k, v in ((k, v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for k, v in labels.items())
    )
    line = f"m{{{inside}}} {value!r}" + ("" if time is None else f" {time}")
    cache = SeriesCache()
    for _ in range(2):  # the second time from the cache
        page = parse(line.encode(), TEXT, 5, cache)
        assert page.labels == [{"__name__": "m", **labels}]
        assert page.times_ms.tolist() == [5 if time is None else time]
        assert page.values[0] == value or math.isnan(value)


@given(st.binary() | st.text(alphabet='ab{}"\\=,# \t\n1.+-eN').map(str.encode), st.sampled_from([TEXT, OPEN_METRICS]))
def test_no_page_crashes_the_reader(body: bytes, content_type: str):
    try:
        page = parse(body, content_type, 0)
    except BadSample:
        return
    assert len(page.labels) == len(page.values) == len(page.times_ms)
    assert all(labels["__name__"] for labels in page.labels)
