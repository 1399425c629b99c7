"""Cross-validates the intent classifier and prints its accuracy, its temperature and its calibration error.

Run ``python -m engines.train_intents``; the temperature goes into `engines.intents.TEMPERATURE`.
"""

from __future__ import annotations

import numpy as np

from engines.intents import IntentClassifier, sentences

FOLDS = 5


def main() -> None:
    """Prints the best temperature by held-out log loss."""
    texts, intents = sentences()
    folds = np.random.default_rng(7).integers(0, FOLDS, len(texts))
    kept = [(t, i, k) for t, i, k in zip(texts, intents, folds, strict=True)]
    models = [
        IntentClassifier.train([t for t, _, k in kept if k != f], [i for _, i, k in kept if k != f], 1.0)
        for f in range(FOLDS)
    ]
    for temperature in (0.25, 0.35, 0.45, 0.55, 0.7, 0.85, 1.0):
        right, sure, losses = [], [], []
        for text, intent, fold in kept:
            models[fold]._temperature = temperature
            scores = models[fold].classify(text)
            right.append(scores[0].intent == intent)
            sure.append(scores[0].probability)
            losses.append(-np.log(max(dict(scores).get(intent, 0.0), 1e-9)))
        print(
            f"T {temperature:.2f}  accuracy {np.mean(right):.3f}  log loss {np.mean(losses):.3f}  "
            f"ECE {calibration_error(np.array(sure), np.array(right)):.3f}"
        )


def calibration_error(sure: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over equal bins (Guo et al. 2017)."""
    which = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(sure[which == b].mean() - right[which == b].mean()) * (which == b).mean() for b in set(which)]
    return float(sum(gaps))


if __name__ == "__main__":
    main()
