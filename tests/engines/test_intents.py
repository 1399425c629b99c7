"""The intent classifier: honest probabilities, both languages, names and numbers without influence."""

from __future__ import annotations

import pytest

from engines.intents import IntentClassifier, mask, utterances


@pytest.fixture(scope="module")
def classifier() -> IntentClassifier:
    return IntentClassifier.load()


def test_every_sentence_is_there_once_with_a_language():
    known = utterances()
    assert len({u.text.lower() for u in known}) == len(known) > 1500
    assert {u.lang for u in known} == {"en", "ko", "mixed"}


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("which 4 machines use the most memory?", "rank"),
        ("메모리 제일 많이 쓰는 서버 4대", "rank"),
        ("compare app-7 and app-9", "compare"),
        ("app-7이랑 app-9 비교", "compare"),
        ("are there any firing alerts", "alerts"),
        ("지금 알람 있어?", "alerts"),
        ("please reboot app-7", "action"),
        ("app-7 재부팅 해줘", "action"),
        ("what's the weather in busan", "oos"),
        ("부산 날씨 알려줘", "oos"),
    ],
)
def test_a_plain_question_is_understood(classifier: IntentClassifier, text: str, intent: str):
    assert classifier.classify(text)[0].intent == intent


def test_scores_are_probabilities_in_order(classifier: IntentClassifier):
    scores = classifier.classify("cpu of db-01")
    shares = [score.probability for score in scores]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert len(scores) == 21


def test_the_number_of_a_server_changes_nothing(classifier: IntentClassifier):
    assert classifier.classify("why is web-01 slow") == classifier.classify("why is web-77 slow")


def test_training_again_gives_the_same_scores(classifier: IntentClassifier):
    known = utterances()
    again = IntentClassifier.train([u.text for u in known], [u.intent for u in known])
    assert again.classify("서버 상태 어때") == classifier.classify("서버 상태 어때")


def test_names_times_and_shares_are_masked():
    assert mask("CPU of 10.0.3.17 above 80% at 15:00") == "cpu of srvx above pctx at timex"
    assert mask("디비01 p95 3시간") == "srvx quantx 0 시간"
