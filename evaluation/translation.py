"""BLEU, for transcripts that are translations: by sacrebleu, with the signature that it asks for.

Source: Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation"; Post
2018, "A Call for Clarity in Reporting BLEU Scores".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.languages import check_language

_TOKENISERS = {"zh": "zh", "yue": "zh", "ja": "char", "th": "char", "lo": "char", "my": "char"}
"""sacrebleu's own for Chinese; letters, where "13a" would take a sentence for a word."""


@dataclass(frozen=True, slots=True)
class Bleu:
    """BLEU of a corpus.

    Attributes:
        score: 0..100.
        signature: sacrebleu's, which says how it was computed: two scores with other signatures
            are no more comparable than two word error rates with other normalisers.
        utterances: how many it rests on.
        words: tokens of the references.
    """

    score: float
    signature: str
    utterances: int
    words: int


def bleu(references: Sequence[str], hypotheses: Sequence[str], language: str) -> Bleu:
    """Corpus BLEU of one reference each.

    Args:
        references, hypotheses: as they were written: sacrebleu splits them itself.
        language: ISO 639 code, which decides how.

    Raises:
        ValueError: not as many hypotheses as references, none at all, or an unknown language.
    """
    from sacrebleu.metrics.bleu import BLEU

    check_language(language)
    if len(references) != len(hypotheses) or not references:
        raise ValueError(
            f"There are {len(references)} references and {len(hypotheses)} hypotheses; BLEU needs "
            "one hypothesis of each reference, and at least one."
        )
    metric = BLEU(tokenize=_TOKENISERS.get(language, "13a"))
    found = metric.corpus_score(list(hypotheses), [list(references)])
    return Bleu(
        score=float(found.score),
        signature=str(metric.get_signature()),
        utterances=len(references),
        words=int(found.ref_len),
    )
