"""Judged confidences as sums over clusters, from which a draw of clusters has its statistics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evaluation.cluster_draws import DRAWS_AT_ONCE, Counted, FloatArray
from evaluation.confidence import BoolArray, Judged

_LEAST = 1e-7
"""Probabilities are kept this far off 0 and 1 in logarithms: one sure error would cost infinity."""


def log_loss(confidence: FloatArray, correct: BoolArray) -> FloatArray:
    """Minus the natural logarithm of the probability given to what happened, [n].

    Confidences of 0 and 1 count as 1e-7 off them.
    """
    given = np.clip(np.where(correct, confidence, 1.0 - confidence), _LEAST, 1.0 - _LEAST)
    return np.asarray(-np.log(given))


class Clustered:
    """Judged units as sums over their clusters: what a draw of whole clusters needs of them."""

    def __init__(self, of: Judged) -> None:
        from scipy.sparse import csr_array

        labels, cluster = np.unique(of.clusters, return_inverse=True)
        self.count = len(labels)
        self._cluster = cluster
        self._units = self._sums(np.ones(len(of)))
        self._right = self._sums(of.correct.astype(np.float64))
        self._losses = self._sums(log_loss(of.confidence, of.correct))
        # Errors and the rest of each cluster by confidence, low to high: [levels, clusters].
        _, level = np.unique(of.confidence, return_inverse=True)
        shape, ones = (int(level.max()) + 1, self.count), np.ones(len(of))
        wrong = ~of.correct
        self._wrong_at = csr_array((ones[wrong], (level[wrong], cluster[wrong])), shape)
        self._right_at = csr_array((ones[~wrong], (level[~wrong], cluster[~wrong])), shape)

    def mean(self, values: FloatArray) -> Counted:
        """The mean of a value of each unit."""
        sums = self._sums(values)
        return lambda counts: np.asarray(counts @ sums / (counts @ self._units))

    def nce(self, counts: FloatArray) -> FloatArray:
        units = counts @ self._units
        share = counts @ self._right / units
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -(share * np.log(share) + (1.0 - share) * np.log1p(-share))
            found: FloatArray = 1.0 - counts @ self._losses / units / entropy
        return found

    def auroc(self, counts: FloatArray) -> FloatArray:
        return self._by_level(counts, _auroc)

    def auprc(self, counts: FloatArray) -> FloatArray:
        return self._by_level(counts, _auprc)

    def _by_level(
        self, counts: FloatArray, of_levels: Callable[[FloatArray, FloatArray], FloatArray]
    ) -> FloatArray:
        step = max(1, DRAWS_AT_ONCE // self._wrong_at.shape[0])
        parts = [counts[start : start + step].T for start in range(0, len(counts), step)]
        return np.concatenate(
            [
                of_levels(np.asarray(self._wrong_at @ part), np.asarray(self._right_at @ part))
                for part in parts
            ]
        )

    def _sums(self, values: FloatArray) -> FloatArray:
        sums = np.bincount(self._cluster, weights=values, minlength=self.count)
        return sums.astype(np.float64)


def _auroc(wrong: FloatArray, right: FloatArray) -> FloatArray:
    """From errors and the rest at each confidence, low to high, [levels, draws]."""
    below = np.cumsum(wrong, axis=0) - wrong / 2.0  # equal confidences count half
    with np.errstate(invalid="ignore"):
        found: FloatArray = (right * below).sum(axis=0) / (wrong.sum(axis=0) * right.sum(axis=0))
    return found


def _auprc(wrong: FloatArray, right: FloatArray) -> FloatArray:
    flagged = np.cumsum(wrong + right, axis=0)
    precision = np.cumsum(wrong, axis=0) / np.maximum(flagged, 1.0)
    with np.errstate(invalid="ignore"):
        found: FloatArray = (wrong * precision).sum(axis=0) / wrong.sum(axis=0)
    return found
