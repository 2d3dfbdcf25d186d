"""What streaming makes a user wait and costs in words: what a report says of event traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from data.utterance import Utterance
from evaluation.comparison import Comparison, Slice
from evaluation.prediction import Prediction
from evaluation.replacements import Replacements
from evaluation.slices import Resampling, compare, score, text_labels
from evaluation.streaming import StreamingMeasures, measure_streaming, streamed_predictions
from evaluation.traces import Trace

_RESAMPLES = 2000
"""Draws behind the quantiles, each of which is looked up in every draw; for ends of intervals."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """What one model's streams were recorded with, and their traces.

    Attributes:
        machine, threads: that computed.
        date: of the recording, ISO 8601.
        chunk_seconds: of audio given at a time.
        silence_seconds: put after each utterance, as a caller who waits does.
        real_time, compute_unaware: a trace for each utterance, see `evaluation.traces`.
    """

    machine: str
    threads: int
    date: str
    chunk_seconds: float
    silence_seconds: float
    real_time: Sequence[Trace]
    compute_unaware: Sequence[Trace]


@dataclass(frozen=True, slots=True)
class ModelStreaming:
    """One model's streams.

    Attributes:
        machine, threads, date, chunk_seconds, silence_seconds: as `Streamed`.
        real_time: on the wall clock: what a user of that machine waits.
        compute_unaware: on the audio's clock: as if computing took no time.
        against_batch: word error rate of the streams' final texts ("candidate") and of the same
            utterances heard whole ("baseline"), paired; None where they share no words.
    """

    model: str
    machine: str
    threads: int
    date: str
    chunk_seconds: float
    silence_seconds: float
    real_time: StreamingMeasures
    compute_unaware: StreamingMeasures
    against_batch: Comparison | None


def evaluated_streaming(
    model: str,
    streamed: Streamed,
    batch: Sequence[Prediction],
    utterances: Sequence[Utterance],
    *,
    normaliser: str,
    language: str,
    resampling: Resampling,
    replacements: Replacements | None = None,
) -> ModelStreaming:
    """Derive it from traces and predictions.

    Args:
        model: what it is called.
        streamed: at least one trace of each kind.
        batch: of the same utterances heard whole; more than were streamed do not matter.
        utterances: that they are of.
        replacements: applied after the normaliser.

    Raises:
        ValueError: traces that do not belong to the predictions.
    """
    how: dict[str, Any] = {
        "normaliser": normaliser, "language": language, "replacements": replacements
    }  # fmt: skip
    references = {row.utterance_id: row.reference for row in batch}
    ids = {trace.utterance_id for trace in streamed.real_time}
    rows = score(streamed_predictions(streamed.real_time, references), utterances, **how)
    whole = score([row for row in batch if row.utterance_id in ids], utterances, **how)
    clusters = dict(zip((row.utterance.id for row in rows), text_labels(rows), strict=True))
    drawn = asdict(replace(resampling, resamples=min(resampling.resamples, _RESAMPLES)))
    return ModelStreaming(
        model=model,
        machine=streamed.machine,
        threads=streamed.threads,
        date=streamed.date,
        chunk_seconds=streamed.chunk_seconds,
        silence_seconds=streamed.silence_seconds,
        real_time=measure_streaming(streamed.real_time, "wall", clusters=clusters, **drawn),
        compute_unaware=measure_streaming(
            streamed.compute_unaware, "audio", clusters=clusters, **drawn
        ),
        against_batch=compare(rows, whole, Slice("overall"), resampling),
    )
