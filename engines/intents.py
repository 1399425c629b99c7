"""What a question is after: 21 intents scored by a classifier that trains itself on the packaged sentences at start.

Character and word TF-IDF with logistic regression; a temperature makes the probabilities honest (Guo et al. 2017,
"On Calibration of Modern Neural Networks"). Names, numbers and times are masked: they belong to other engines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.text import normalise

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import FeatureUnion

TEMPERATURE = 0.68
"""Divides the logits. 5-fold cross-validation on 1,860 sentences: accuracy .673 (EN .652, KO .695), ECE .034,
out-of-scope AUROC .915 (`python -m engines.train_intents` measures it again)."""

_MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])"), " srvx "),
    (re.compile(r"(?<![a-z0-9])(?!p\d|top|utf|[a-z]+-?\d+%)[a-z]+(?:[-_][a-z]+)*[-_]\d+[a-z]?(?:\.[a-z0-9.-]+)?(?![a-z0-9])"), " srvx "),
    (re.compile(r"(?<![a-z0-9])(?:web|db|api|cache|lb|app|worker|queue|mail|storage|gw)\s?\d{1,3}(?![a-z0-9%])"), " srvx "),
    (re.compile(r"(?:[가-힣]*(?:서버|노드)|디비|웹|캐시|큐|배치|로그|게이트웨이)\s?(?:서버\s?)?\d{1,3}\s?(?:번|호기)?(?![\d%가-힣])"), " srvx "),
    (re.compile(r"\d{4}-\d\d-\d\d(?:t[\d:.]+z?)?|\d{1,2}:\d\d(?::\d\d)?|(?<!\w)\d{1,2}\s?[ap]m\b"), " timex "),
    (re.compile(r"\d+(?:\.\d+)?\s?(?:%|percent\b|pct\b|퍼센트|퍼(?=\s|$)|프로(?=\s|$|이))"), " pctx "),
    (re.compile(r"(?<![a-z0-9_])p\d{2,3}\b"), " quantx "),
    (re.compile(r"\d+(?:[.,]\d+)*"), " 0 "),
)  # fmt: skip
_SPACES = re.compile(r"\s+")


class IntentScore(NamedTuple):
    """An intent and the calibrated probability that it is meant."""

    intent: str
    probability: float


class Utterance(NamedTuple):
    """A sentence with what it is after."""

    text: str
    lang: str
    intent: str


def mask(text: str) -> str:
    """`text` in normal form with server names, times, percentages and numbers replaced by one word each.

    >>> mask("CPU of web-01 at 15:00 above 80%?")
    'cpu of srvx at timex above pctx ?'
    """
    masked = normalise(text)
    for pattern, word in _MASKS:
        masked = pattern.sub(word, masked)
    return _SPACES.sub(" ", masked).strip()


def utterances() -> list[Utterance]:
    """The packaged training sentences."""
    lines = resources.files("engines").joinpath("data/utterances.jsonl").read_text(encoding="utf-8").splitlines()
    return [Utterance(**json.loads(line)) for line in lines]


@dataclass(frozen=True, slots=True, eq=False)
class IntentClassifier:
    """A trained classifier; `load` makes one."""

    vectoriser: FeatureUnion
    model: LogisticRegression
    temperature: float

    @classmethod
    def load(cls) -> IntentClassifier:
        """The classifier trained on the packaged sentences (about a second on one core, most of it the import of scikit-learn)."""
        known = utterances()
        return cls.train([u.text for u in known], [u.intent for u in known])

    @classmethod
    def train(cls, texts: Sequence[str], intents: Sequence[str], temperature: float = TEMPERATURE) -> IntentClassifier:
        """The classifier trained on `texts` with their `intents`."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

        vectoriser, model = _untrained()
        features = vectoriser.fit_transform([mask(text) for text in texts])
        with threadpool_limits(1):  # on 2 busy cores BLAS threads wait for each other: 4.5 s instead of 0.4 s
            model.fit(features, list(intents))
        return cls(vectoriser, model, temperature)

    @property
    def intents(self) -> list[str]:
        """All intents, in the order of the columns of `probabilities`."""
        return [str(intent) for intent in self.model.classes_]

    def classify(self, text: str) -> list[IntentScore]:
        """Every intent with its probability, the likeliest first; the probabilities sum to 1."""
        row = self.probabilities([text])[0]
        order = np.argsort(-row, kind="stable")
        names = self.intents
        return [IntentScore(names[k], float(row[k])) for k in order]

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """float64 [texts × intents], calibrated."""
        return softmax(self.logits(texts) / self.temperature)

    def logits(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """float64 [texts × intents], before calibration."""
        scores: NDArray[np.float64] = self.model.decision_function(self.vectoriser.transform([mask(t) for t in texts]))
        return scores


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of `logits` as probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _untrained() -> tuple[FeatureUnion, LogisticRegression]:
    """The model before it has seen anything; scikit-learn is imported here because it takes half a second."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import FeatureUnion

    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2)
    words = TfidfVectorizer(token_pattern=r"(?u)\S+", ngram_range=(1, 2), sublinear_tf=True)
    parts = [("characters", characters), ("words", words)]
    vectoriser = FeatureUnion(parts, transformer_weights={"characters": 1.0, "words": 0.6})
    return vectoriser, LogisticRegression(C=8.0, max_iter=300, tol=1e-3)
