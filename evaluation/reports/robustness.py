"""What test conditions cost a model, and what it invents where nobody speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from data.conditions import Condition, NoSpeechKind
from data.utterance import Utterance
from evaluation.degradation import DegradationPoint, degradation_curve
from evaluation.hallucination import Hallucinations, Heard, measure_hallucinations
from evaluation.prediction import Prediction
from evaluation.replacements import Replacements, text_rules
from evaluation.slices import Resampling, Scored, score

CHARACTERS_PER_SECOND = 25.0
"""Letters and digits that nobody passes; as in `validation.maximum_characters_per_second`."""


@dataclass(frozen=True, slots=True)
class Robustness:
    """One model under test conditions.

    Attributes:
        curve: a point for each condition, beside the same utterances as they were recorded.
        invented: by kind of sound without speech.
    """

    model: str
    curve: tuple[DegradationPoint, ...]
    invented: Mapping[NoSpeechKind, Hallucinations]


def robustness(
    model: str,
    clean: Sequence[Prediction],
    conditions: Mapping[Condition, Sequence[Prediction]],
    quiet: Mapping[NoSpeechKind, Sequence[Prediction]],
    utterances: Sequence[Utterance],
    *,
    normaliser: str,
    language: str,
    resampling: Resampling,
    replacements: Replacements | None = None,
) -> Robustness:
    """Derive it from predictions.

    Args:
        clean: of the utterances as they were recorded; more than were degraded does not matter.
        conditions: of the same utterances under each condition.
        quiet: of sounds without speech.

    Raises:
        ValueError: predictions that do not belong together; names them.
    """

    def scored(found: Sequence[Prediction]) -> tuple[Scored, ...]:
        return score(
            found, utterances,
            normaliser=normaliser, language=language, replacements=replacements,
        )  # fmt: skip

    rules = text_rules(normaliser, language, replacements)
    degraded = {condition: scored(found) for condition, found in conditions.items()}
    return Robustness(
        model=model,
        curve=degradation_curve(scored(clean), degraded, resampling),
        invented={
            kind: measure_hallucinations(
                [
                    Heard(row.utterance_id, "", rules(row.hypothesis), row.audio_seconds)
                    for row in found
                ],
                characters_per_second=CHARACTERS_PER_SECOND,
                **asdict(resampling),
            )
            for kind, found in quiet.items()
        },
    )  # fmt: skip
