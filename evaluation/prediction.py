"""What a model said about one utterance; every metric derives from rows of this type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row of a predictions file.

    Attributes:
        utterance_id: the utterance's id in its corpus.
        reference: the utterance's text, not normalised.
        hypothesis: what the model said, not normalised.
        token_logprobs: natural log-probability of each text token, each at most 0.
        audio_seconds: length of the utterance.
        compute_seconds: wall time that the engine spent on it; a batch's time is shared out
            by audio length.
    """

    utterance_id: str
    reference: str
    hypothesis: str
    token_logprobs: tuple[float, ...]
    audio_seconds: float
    compute_seconds: float
