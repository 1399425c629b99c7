"""Text: language, normal form and particles."""

from __future__ import annotations

import unicodedata

import pytest

from engines.text import josa, language, normalise, strip_particles, tokens


def test_one_hangul_letter_makes_a_question_korean():
    assert [language(t) for t in ("cpu?", "cpu는?", "ㅇㅋ", "web-01")] == ["en", "ko", "ko", "en"]


def test_decomposed_and_wide_text_reads_like_composed_text():
    assert normalise(unicodedata.normalize("NFD", "서버 상태")) == "서버 상태"
    assert normalise("ＷＥＢ－０１　상태") == "web-01 상태"
    assert normalise("ㅇㅋ") == "ㅇㅋ"


def test_tokens_split_a_name_from_its_particle():
    assert tokens("db-01은 10.0.3.17보다 느려") == ["db-01", "은", "10.0.3.17", "보다", "느려"]


@pytest.mark.parametrize(
    ("word", "noun"),
    [
        ("db-01은", "db-01"),
        ("web-01이랑", "web-01"),
        ("cpu는", "cpu"),
        ("서버들은", "서버"),
        ("메모리", "메모리"),
        ("api", "api"),
    ],
)
def test_particles_come_off_the_noun(word: str, noun: str):
    assert strip_particles(word) == noun


@pytest.mark.parametrize(
    ("word", "pair", "said"),
    [
        ("서버", "은/는", "서버는"),
        ("평균", "은/는", "평균은"),
        ("web-01", "이/가", "web-01이"),
        ("db-02", "이/가", "db-02가"),
        ("cpu", "을/를", "cpu를"),
        ("80%", "으로/로", "80%로"),
        ("메일", "으로/로", "메일로"),
        ("web-03", "과/와", "web-03과"),
        ("server", "은/는", "server는"),
    ],
)
def test_a_particle_follows_the_last_sound_as_read_aloud(word: str, pair: str, said: str):
    assert josa(word, pair) == said
