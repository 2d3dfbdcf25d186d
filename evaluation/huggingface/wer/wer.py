"""Word error rate with its interval, for Hugging Face `evaluate`: load this folder."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from evaluation.huggingface.figures import ARGUMENTS, CITATIONS, DESCRIPTIONS, figures


class WordErrorRate(evaluate.Metric):  # type: ignore[misc]
    """See `evaluation.huggingface.figures`."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTIONS["wer"],
            citation=CITATIONS["wer"],
            inputs_description=ARGUMENTS,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(
        self, *, predictions: list[str], references: list[str], **given: Any
    ) -> dict[str, Any]:
        return figures("wer", predictions, references, **given)
