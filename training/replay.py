"""General audio that is replayed in training: what may be, and with which transcripts.

Replayed clips keep a model from forgetting what it is not fine-tuned on (Chang et al. 2021,
"Towards Lifelong Learning of End-to-End ASR"). Their transcripts are by default the base model's
own, so that its spelling, punctuation and casing stay as well; one that it is not sure of is left
out.

Replay and evaluation are kept apart by text and by speaker: see `may_be_replayed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from data.splits import hash_split, text_key
from data.utterance import Utterance
from evaluation.metrics import word_errors
from evaluation.text import normalise
from evaluation.whisper_bounds import (
    LEAST_LOG_PROB,
    MOST_COMPRESSION,
    MOST_NO_SPEECH,
    compression_ratio,
)
from voiceforge.params import SplitParams, ValidationParams

MOST_WORD_ERRORS = 0.1
"""Of the base model's transcript where a reference is there: Distil-Whisper's bound (Gandhi et al.
2023), which was best of several there."""

_NORMALISER = "whisper-basic"
"""Knows every language."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What evaluation uses.

    Attributes:
        texts: `same` of the texts of dev and test.
        speakers: who speak there and not in train.
        same: texts for which it gives the same are one text.
    """

    texts: Collection[str]
    speakers: Collection[str]
    same: Callable[[str], str]

    @classmethod
    def of(cls, rows: Iterable[Utterance], same: Callable[[str], str]) -> HeldOut:
        """What a corpus with splits holds out."""
        listed = list(rows)
        held = [row for row in listed if row.split in ("dev", "test")]
        trained = {row.speaker for row in listed if row.split == "train"}
        texts = frozenset(same(row.text) for row in held)
        return cls(texts, frozenset(row.speaker for row in held) - trained, same)


def may_be_replayed(
    row: Utterance, held_out: HeldOut, params: SplitParams, validation: ValidationParams
) -> str:
    """Why a recording may not be replayed; "" where it may.

    A text may be only where its own hash puts it into train, whatever corpus it comes from: an
    evaluation of general speech that takes its texts from the test split of the same shares and
    seed can meet none that was replayed. Consent and licences are those that the domain asks of its
    own corpus.
    """
    if row.consent == "refused" or (validation.require_consent and row.consent != "granted"):
        return "without consent"
    if validation.licences and row.licence not in validation.licences:
        return "a licence that is not allowed"
    if held_out.same(row.text) in held_out.texts:
        return "a text of dev or test"
    if row.speaker in held_out.speakers:
        return "a speaker of dev or test"
    if hash_split(text_key(row.text), params) != "train":
        return "left to evaluation by the hash of its text"
    return ""


def doubt(
    text: str,
    log_probs: Sequence[float],
    no_speech: float,
    reference: str,
    language: str,
) -> str:
    """Why a transcript of the base model is not trained on; "" where it is.

    Args:
        text: the transcript.
        log_probs: natural log-probability of each of its tokens.
        no_speech: the model's probability that nothing is said.
        reference: the source's transcript; "" where it has none.
        language: ISO 639-1 code.
    """
    if not text.strip() or not log_probs:
        return "nothing heard"
    sure = fmean(log_probs)
    if not math.isfinite(sure) or sure < LEAST_LOG_PROB:
        return "nothing heard" if no_speech > MOST_NO_SPEECH else "low probability"
    if compression_ratio(text) > MOST_COMPRESSION:
        return "repeats itself"
    if reference:
        expected, heard = (normalise(one, _NORMALISER, language) for one in (reference, text))
        errors = word_errors([expected], [heard])
        if errors.rate > MOST_WORD_ERRORS:
            return "differs from the reference"
    return ""
