"""Which intent a sentence has, by TF-IDF over characters and words with logistic regression, calibrated.

scikit-learn is imported when the model is made, so that importing this module costs nothing.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from engines.text import normalise

TEMPERATURE = 0.7
"""Divides the logits. By 5-fold cross-validation on 1,633 sentences: accuracy .62, ECE .044 (`engines.train_intents`)."""

_NAME = re.compile(r"(?<![a-z0-9])[a-z]+(?:-[a-z]+)*[-_]?\d+[a-z0-9.-]*|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class IntentScore(NamedTuple):
    """An intent and its calibrated probability (0–1)."""

    intent: str
    probability: float


def mask(text: str) -> str:
    """The sentence with names of servers and numbers replaced: they tell nothing about what is asked.

    >>> mask("CPU of web-01 above 80%?")
    'cpu of zsrv above znum%?'
    """
    return _NUMBER.sub("znum", _NAME.sub("zsrv", normalise(text)))


class IntentClassifier:
    """Trained from the sentences that ship with the product, in about a second."""

    def __init__(self, features: Any, model: Any, temperature: float) -> None:
        self._features = features
        self._model = model
        self._temperature = temperature

    @classmethod
    def load(cls) -> IntentClassifier:
        """The classifier of the shipped sentences."""
        texts, intents = sentences()
        return cls.train(texts, intents)

    @classmethod
    def train(cls, texts: list[str], intents: list[str], temperature: float = TEMPERATURE) -> IntentClassifier:
        """A classifier of these sentences; deterministic."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import FeatureUnion

        features = FeatureUnion(
            [
                ("chars", TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2)),
                ("words", TfidfVectorizer(analyzer="word", ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")),
            ]
        )
        matrix = features.fit_transform([mask(text) for text in texts])
        model = LogisticRegression(C=8.0, max_iter=300, tol=1e-3)
        return cls(features, model.fit(matrix, intents), temperature)

    def classify(self, text: str) -> list[IntentScore]:
        """Every intent with its probability, most likely first."""
        logits = self._model.decision_function(self._features.transform([mask(text)]))[0] / self._temperature
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        scores = [IntentScore(str(i), float(p)) for i, p in zip(self._model.classes_, shares, strict=True)]
        return sorted(scores, key=lambda score: -score.probability)


def sentences() -> tuple[list[str], list[str]]:
    """The training sentences and their intents."""
    lines = files("engines").joinpath("data/utterances.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line]
    return [row["text"] for row in rows], [row["intent"] for row in rows]
