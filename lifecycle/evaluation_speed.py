"""What an evaluation's folder holds of latency and streams, as its report shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaluation.reports.evaluated_latency import EvaluatedLatency
    from evaluation.reports.evaluated_streaming import ModelStreaming
    from evaluation.slices import Resampling
    from lifecycle.evaluated import Evaluated
    from lifecycle.evaluated_texts import Texts


def latency_of(evaluated: Evaluated, titles: Mapping[str, str]) -> EvaluatedLatency | None:
    """Of the models that were timed; None where none was.

    Args:
        titles: what reports call each model, by role.

    Raises:
        StorageError, IntegrityError: a file is damaged.
    """
    from evaluation.reports.evaluated_latency import evaluated_latency
    from lifecycle.evaluated_latency import read_latency

    read = [read_latency(evaluated.latency[role], title) for role, title in titles.items()]
    found = [one for one in read if one is not None]
    return evaluated_latency(found) if found else None


def streaming_of(
    evaluated: Evaluated, texts: Texts, titles: Mapping[str, str], resampling: Resampling
) -> list[ModelStreaming]:
    """Of each model that was streamed, by the streams whose utterances the report has.

    Raises:
        StorageError, IntegrityError: a file is damaged.
        ValueError: the streams do not belong to the predictions.
    """
    from dataclasses import replace

    from evaluation.reports.evaluated_streaming import evaluated_streaming
    from lifecycle.evaluated_streams import read_streams

    found = []
    for role, title in titles.items():
        streamed, batch = read_streams(evaluated.streams[role]), evaluated.predictions[role]
        known = {row.utterance_id for row in batch}
        if streamed is None or not any(one.utterance_id in known for one in streamed.real_time):
            continue
        kept = replace(
            streamed,
            real_time=[one for one in streamed.real_time if one.utterance_id in known],
            compute_unaware=[one for one in streamed.compute_unaware if one.utterance_id in known],
        )
        found.append(
            evaluated_streaming(
                title,
                kept,
                batch,
                evaluated.utterances,
                normaliser=texts.normaliser,
                language=evaluated.described["speech"]["language"],
                resampling=resampling,
                replacements=texts.replacements,
            )
        )
    return found
