"""Measures the intent classifier by cross-validation and finds its temperature: `python -m engines.train_intents`."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from engines.intents import IntentClassifier, Utterance, softmax, utterances

_FOLDS = 5
_BINS = 10


def held_out_logits(known: list[Utterance]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits [sentences × intents] of each sentence from a model that has not seen it, and the true columns."""
    from sklearn.model_selection import StratifiedKFold

    names = sorted({u.intent for u in known})
    truth = np.array([names.index(u.intent) for u in known])
    logits = np.zeros((len(known), len(names)))
    for train, test in StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(truth, truth):
        model = IntentClassifier.train([known[k].text for k in train], [known[k].intent for k in train])
        logits[test] = model.logits([known[k].text for k in test])
    return logits, truth


def best_temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The temperature with the smallest log loss."""
    choices = np.arange(0.2, 3.0, 0.02)
    rows = np.arange(len(truth))
    losses = [-np.log(softmax(logits / t)[rows, truth]).mean() for t in choices]
    return float(round(choices[int(np.argmin(losses))], 2))


def calibration_error(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Expected calibration error over equal-width bins of the top probability (Naeini et al. 2015)."""
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((top * _BINS).astype(int), _BINS - 1)
    gaps = [abs(top[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins.tolist())]
    return float(sum(gaps))


def main() -> None:
    """Prints accuracy by language, out-of-scope AUROC, temperature and calibration error."""
    from sklearn.metrics import roc_auc_score

    known = utterances()
    started = time.perf_counter()
    IntentClassifier.load()
    seconds = time.perf_counter() - started
    logits, truth = held_out_logits(known)
    temperature = best_temperature(logits, truth)
    probabilities = softmax(logits / temperature)
    right = probabilities.argmax(axis=1) == truth
    korean = np.array([u.lang == "ko" for u in known])
    names = sorted({u.intent for u in known})
    outside = truth == names.index("oos")
    print(f"sentences {len(known)}  load {seconds:.2f} s")
    print(f"accuracy {right.mean():.3f}  en {right[~korean].mean():.3f}  ko {right[korean].mean():.3f}")
    print(f"out-of-scope AUROC {roc_auc_score(outside, probabilities[:, names.index('oos')]):.3f}")
    print(f"temperature {temperature}  ECE {calibration_error(probabilities, truth):.3f}")
    for k, name in enumerate(names):
        print(f"  {name:14} {right[truth == k].mean():.2f} of {(truth == k).sum()}")


if __name__ == "__main__":
    main()
