"""What the local modules of Hugging Face `evaluate` compute: a rate, its counts and normaliser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from evaluation.metrics import COUNTS, pooled, utterance_counts
from evaluation.significance import bootstrap_rate
from evaluation.slices import interval_method
from evaluation.text import identity_text, normalise, normaliser_identity

Rate = Literal["wer", "mer", "wil"]

_CONFIDENCE = 0.95
_RESAMPLES = 10_000
_SEED = 20

DESCRIPTIONS = {
    "wer": "Word error rate, pooled: errors over the words of the references, with an interval.",
    "mer": "Match error rate, pooled: errors over all words of the alignment, with an interval.",
    "wil": "Word information lost, pooled.",
}
CITATIONS = {
    "wer": "Levenshtein 1966, Binary codes capable of correcting deletions, insertions and "
    "reversals. Interval: Efron 1987, Better bootstrap confidence intervals.",
    "mer": "Morris, Maier and Green 2004, From WER and RIL to MER and WIL: improved evaluation "
    "measures for connected speech recognition.",
    "wil": "Morris, Maier and Green 2004, From WER and RIL to MER and WIL: improved evaluation "
    "measures for connected speech recognition.",
}
ARGUMENTS = """
Args:
    predictions: hypotheses, as the model wrote them.
    references: references, as people wrote them.
    language: ISO 639 code of both.
    normaliser: whisper-english, whisper-basic or raw, applied to both.
    confidence: coverage of the interval, such as 0.95.

Returns:
    The rate, a fraction; with wer and mer its interval, low and high, and the method: texts are
    drawn, utterances of one text together; substitutions, deletions, insertions, hits, words of the
    references and utterances; and the normaliser by name, version and hash.
"""


def figures(
    rate: Rate,
    predictions: Sequence[str],
    references: Sequence[str],
    *,
    language: str = "en",
    normaliser: str = "whisper-english",
    confidence: float = _CONFIDENCE,
) -> dict[str, Any]:
    """As `ARGUMENTS` says.

    Raises:
        ValueError: unequal numbers of texts, an unknown normaliser or language, or
            references without a word.
    """
    left, right = (
        [normalise(text, normaliser, language) for text in texts]
        for texts in (references, predictions)
    )
    counts = utterance_counts(left, right)
    total = pooled(counts)
    if total.words == 0:
        raise ValueError(
            f"The {len(references)} references have no words after {normaliser}, so there is no "
            f"{rate}. Give references with words."
        )
    value = {
        "wer": total.rate, "mer": total.match_error_rate, "wil": total.information_lost
    }[rate]  # fmt: skip
    found: dict[str, Any] = {rate: value}
    if rate != "wil":
        errors = counts[:, :3].sum(axis=1)
        of = counts[:, [0, 1, 3]].sum(axis=1) if rate == "wer" else counts.sum(axis=1)
        _, texts = np.unique(np.array(left, dtype=object), return_inverse=True)
        interval = bootstrap_rate(
            errors, of, texts, confidence=confidence, resamples=_RESAMPLES, seed=_SEED
        )
        found |= {"low": interval.low, "high": interval.high, "confidence": confidence}
        found["method"] = interval_method(interval)
    return {
        **found,
        **dict(zip(COUNTS, counts.sum(axis=0).tolist(), strict=True)),
        "words": total.words,
        "utterances": len(references),
        "normaliser": identity_text(normaliser_identity(normaliser)),
    }
