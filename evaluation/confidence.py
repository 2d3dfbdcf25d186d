"""From token log-probabilities to confidences, each with whether what was said is right.

An utterance is right when it has no word error. A word is right where the alignment with the fewest
errors puts the same word of the reference opposite to it; substituted and inserted words are wrong,
and a word that was left out has no confidence. So did NIST judge words in its evaluations of
confidence (Fiscus 1997; Siu and Gish 1999, "Evaluation of word confidence for speech recognition
systems").

A word's confidence comes from the tokens of the word as it was written, and its correctness from
the normalised text. Where the normaliser works across words ("twenty one" becomes "21"), the words
that it merged are judged as one: nothing is guessed about which of them was wrong.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from evaluation.cluster_draws import FloatArray
from evaluation.metrics import align
from evaluation.prediction import Prediction
from evaluation.slices import Scored, text_labels

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

Level = Literal["utterance", "word"]
TokenPooling = Literal["mean", "minimum", "product"]
"""How the probabilities of tokens become one: their mean is what the service calls confidence."""

Words = Sequence[tuple[str, int]]
"""The words of a text as it was written, each with the number of its tokens."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Confidences of n utterances or words, and which of them were right.

    Attributes:
        confidence: [n] 0..1.
        correct: [n].
        clusters: [n] integer label; what has the same label is drawn together.
        left_out: how many utterances could not be judged, by reason.
    """

    confidence: FloatArray
    correct: BoolArray
    clusters: IntArray
    left_out: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        shapes = {self.confidence.shape, self.correct.shape, self.clusters.shape}
        if len(shapes) > 1 or self.confidence.ndim != 1:
            raise ValueError("confidence, correct and clusters must be of one length.")
        if not ((self.confidence >= 0.0) & (self.confidence <= 1.0)).all():
            raise ValueError("A confidence is not between 0 and 1.")

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def errors(self) -> int:
        return int(np.count_nonzero(~self.correct))


def judged(
    confidence: Sequence[float] | FloatArray,
    correct: Sequence[bool] | BoolArray,
    clusters: Sequence[int] | IntArray | None = None,
) -> Judged:
    """Confidences judged elsewhere; each its own cluster where none are given.

    Raises:
        ValueError: lengths differ, or a confidence is not in 0..1.
    """
    values = np.asarray(confidence, dtype=np.float64)
    labels = np.arange(len(values)) if clusters is None else np.asarray(clusters)
    return Judged(values, np.asarray(correct, dtype=np.bool_), labels.astype(np.int64))


def pool(logprobs: Sequence[float], pooling: TokenPooling) -> float:
    """One probability, 0..1, from the natural log-probabilities of at least one token.

    "mean" and "minimum" are of the tokens' probabilities, "product" is that of the whole sequence.
    """
    values = np.asarray(logprobs, dtype=np.float64)
    if pooling == "product":
        return math.exp(float(values.sum()))
    probabilities = np.exp(values)
    return float(probabilities.mean() if pooling == "mean" else probabilities.min())


def check_logprobs(prediction: Prediction) -> None:
    """Refuse what is no log-probability.

    Raises:
        ValueError: a value is NaN, infinite or positive, or a text has none; names the utterance.
    """
    where = f"Utterance {prediction.utterance_id!r}"
    for place, value in enumerate(prediction.token_logprobs):
        if not math.isfinite(value) or value > 0.0:
            raise ValueError(
                f"{where}: the log-probability of token {place} is {value}; it must be a number "
                "of at most 0. Its engine is broken or hands out something else, such as logits: "
                "predict again with another engine or precision."
            )
    if prediction.hypothesis.strip() and not prediction.token_logprobs:
        raise ValueError(
            f"{where}: the model said something but gave no log-probabilities. Confidence can be "
            "judged only with an engine that hands them out."
        )


def judge_utterances(
    predictions: Sequence[Prediction], rows: Sequence[Scored], *, pooling: TokenPooling = "mean"
) -> Judged:
    """Each utterance with a text: how sure the model was, and whether it has no word error.

    An empty hypothesis has no tokens, so no confidence: it is left out and counted.

    Args:
        predictions: of one model.
        rows: `evaluation.slices.score`'s result of the same predictions, in the same order.

    Raises:
        ValueError: log-probabilities that cannot be (`check_logprobs`), or rows of others.
    """
    kept, values = [], []
    for index, (prediction, _) in enumerate(_paired(predictions, rows)):
        if prediction.token_logprobs:
            kept.append(index)
            values.append(pool(prediction.token_logprobs, pooling))
    labels = text_labels(rows)
    return Judged(
        np.asarray(values, dtype=np.float64),
        np.asarray([rows[index].errors == 0 for index in kept], dtype=np.bool_),
        np.asarray([labels[index] for index in kept], dtype=np.int64),
        _reasons({"the model said nothing": len(rows) - len(kept)}),
    )


def judge_words(
    predictions: Sequence[Prediction],
    rows: Sequence[Scored],
    split: Callable[[str], Words],
    normalise: Callable[[str], str],
    *,
    pooling: TokenPooling = "mean",
) -> Judged:
    """Each word that was said: how sure the model was, and whether it is right.

    Args:
        predictions: of one model.
        rows: `evaluation.slices.score`'s result of the same predictions, in the same order.
        split: the model's own tokenizer; see `evaluation.word_tokens.word_splitter`. An utterance
            whose tokens it cannot count (the model chose others for the same text) is left out.
        normalise: the normaliser of `rows`.

    Raises:
        ValueError: as `judge_utterances`.
    """
    values: list[float] = []
    correct: list[bool] = []
    clusters: list[int] = []
    left_out = Counter[str]()
    labels = text_labels(rows)
    for (prediction, row), label in zip(_paired(predictions, rows), labels, strict=True):
        written = split(prediction.hypothesis) if prediction.token_logprobs else ()
        if sum(tokens for _, tokens in written) != len(prediction.token_logprobs):
            left_out["its tokens are not those of its text"] += 1
            continue
        hits = _hits(row.reference, row.hypothesis)
        pieces = [tuple(normalise(text).split()) for text, _ in written]
        starts = np.cumsum([0, *(tokens for _, tokens in written)])
        for words, heard in match_words(pieces, row.hypothesis.split()):
            tokens = prediction.token_logprobs[starts[words.start] : starts[words.stop]]
            if tokens and len(heard):
                values.append(pool(tokens, pooling))
                correct.append(all(hits[word] for word in heard))
                clusters.append(label)
    return Judged(
        np.asarray(values, dtype=np.float64),
        np.asarray(correct, dtype=np.bool_),
        np.asarray(clusters, dtype=np.int64),
        _reasons(left_out),
    )


def match_words(
    pieces: Sequence[Sequence[str]], normalised: Sequence[str]
) -> list[tuple[range, range]]:
    """Which written words became which words of the normalised text.

    Args:
        pieces: what the normaliser makes of each written word alone, perhaps nothing.
        normalised: the words that it makes of the whole text.

    Returns:
        Pairs (places of written words, places of normalised words), both in order and without
        overlap; every normalised word is in one pair, unless there is no written word at all. A
        written word of which nothing is left is in none, or in that of its neighbours.
    """
    from rapidfuzz.distance import Levenshtein

    if not pieces:
        return []
    flat = [word for piece in pieces for word in piece]
    owners = [owner for owner, piece in enumerate(pieces) for _ in piece]
    links: list[tuple[range, range]] = []
    at = word = 0
    for block in Levenshtein.opcodes(flat, list(normalised)).as_matching_blocks():
        if (at, word) != (block.a, block.b):
            # What the normaliser did across words belongs to all of them, or to the neighbours.
            near = owners[at : block.a] or owners[max(0, at - 1) :][:1]
            first, last = (near[0], near[-1]) if near else (0, len(pieces) - 1)
            links.append((range(first, last + 1), range(word, block.b)))
        links += [
            (
                range(owners[block.a + k], owners[block.a + k] + 1),
                range(block.b + k, block.b + k + 1),
            )
            for k in range(block.size)
        ]
        at, word = block.a + block.size, block.b + block.size
    merged: list[tuple[range, range]] = []
    for words, heard in links:
        if merged and words.start < merged[-1][0].stop:
            before, already = merged.pop()
            words = range(before.start, max(before.stop, words.stop))
            heard = range(already.start, heard.stop)
        merged.append((words, heard))
    return merged


def _hits(reference: str, hypothesis: str) -> list[bool]:
    """Of each word of the hypothesis, whether it is right."""
    return [
        chunk.operation == "equal"
        for chunk in align(reference, hypothesis)
        for _ in chunk.hypothesis
    ]


def _paired(
    predictions: Sequence[Prediction], rows: Sequence[Scored]
) -> list[tuple[Prediction, Scored]]:
    if [one.utterance_id for one in predictions] != [row.utterance.id for row in rows]:
        raise ValueError("The rows are not scored from these predictions, in this order.")
    for prediction in predictions:
        check_logprobs(prediction)
    return list(zip(predictions, rows, strict=True))


def _reasons(counts: dict[str, int] | Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple((reason, count) for reason, count in sorted(counts.items()) if count)
