"""Word information lost, for Hugging Face `evaluate`: load this folder."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from evaluation.huggingface.figures import ARGUMENTS, CITATIONS, DESCRIPTIONS, figures


class WordInformationLost(evaluate.Metric):  # type: ignore[misc]
    """See `evaluation.huggingface.figures`."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTIONS["wil"],
            citation=CITATIONS["wil"],
            inputs_description=ARGUMENTS,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(
        self, *, predictions: list[str], references: list[str], **given: Any
    ) -> dict[str, Any]:
        return figures("wil", predictions, references, **given)
