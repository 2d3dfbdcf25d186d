"""How a streaming recogniser feels: what one waits for, and how often it takes words back.

Computed from event traces, on the wall clock or, as if computing took no time, on the audio's own.

- Time to the first interim: from the start of speech to the first text.
- Time to final (TTFS, time to final segment): from the end of speech to the last final result; the
  time in which somebody who has stopped speaking waits for an answer.
- User-perceived latency of a word: from the end of the word in the audio to the moment from which
  on it is shown in its place and never changes again: the "final decision" of Baumann et al. 2009,
  "Assessing and improving the performance of speech recognition for incremental systems".
  Finalisation latency: to the final result that holds it.
- Revisions per word: words that are taken off the screen, for every word of the final text. An
  update takes back everything after the first word that it changes: normalised erasure of
  Arivazhagan et al. 2020, "Re-translation versus streaming for simultaneous translation".
- Unstable partial word ratio (UPWR): words of an interim that the next result changes or drops, for
  every word of the final text; words that only move stay (Shangguan et al. 2020, "Analyzing the
  quality and stability of a streaming end-to-end on-device speech recognizer").
- Broken promises: words that were declared stable and came out otherwise.

Words are compared without case and punctuation unless told otherwise: a full stop that wanders
along the end of an interim is no change of a word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

from evaluation.prediction import Prediction
from evaluation.quantiles import Quantiles, clustered_quantiles
from evaluation.significance import Interval, bootstrap_rate
from evaluation.stability import (
    broken_promises,
    changed_words,
    common_words,
    fold_word,
    stable_since,
)
from evaluation.traces import Trace, TraceEvent

Clock = Literal["wall", "audio"]
Key = Callable[[str], str]
"""What of a word is compared."""


@dataclass(frozen=True, slots=True)
class StreamMeasures:
    """One stream, in seconds and words.

    Attributes:
        first_interim: from the start of speech to the first text; None without speech or text.
        final: from the end of speech to the last final with a text; None likewise. Below 0 where
            the recogniser closed its last segment before the speech ended.
        word_latencies: user-perceived, of each final word whose end in the audio is known.
        word_final_latencies: to the final result, of the same words.
        untimed_words: final words whose end in the audio is not known.
        final_words: words of the final text.
        erased_words: words that were taken back, with everything after them.
        unstable_words: words of interims that the next result changed or dropped.
        broken_promises: words that were declared stable and came out otherwise.
    """

    utterance_id: str
    first_interim: float | None
    final: float | None
    word_latencies: tuple[float, ...]
    word_final_latencies: tuple[float, ...]
    untimed_words: int
    final_words: int
    erased_words: int
    unstable_words: int
    broken_promises: int


@dataclass(frozen=True, slots=True)
class StreamingMeasures:
    """Many streams of one recogniser; quantiles and intervals draw whole texts.

    Attributes:
        clock: which one the latencies were read on.
        streams: how many.
        silent: streams without any text, which have no latencies.
        revisions_per_word: None where there is no final word.
        unstable_word_ratio: None likewise.
        rtf: seconds of computing per second of audio.
    """

    clock: Clock
    streams: int
    silent: int
    audio_seconds: float
    final_words: int
    untimed_words: int
    first_interim: Quantiles | None
    final: Quantiles | None
    word_latency: Quantiles | None
    word_final_latency: Quantiles | None
    revisions_per_word: Interval | None
    unstable_word_ratio: Interval | None
    broken_promises: int
    rtf: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_trace(trace: Trace, clock: Clock, key: Key = fold_word) -> StreamMeasures:
    """Measure one stream.

    A word's end is that of the reference's alignment (`Trace.words`) where there is one, for words
    that were heard right; else that of the recogniser's own word times.

    Args:
        clock: "wall" for what a user of that machine waits; "audio" as if computing took no time.
        key: what of a word is compared; `str` for every letter and sign.

    Raises:
        ValueError: the wall clock of a trace whose audio did not come in real time.
    """
    if clock == "wall" and trace.mode != "real-time":
        raise ValueError(
            f"Trace of {trace.utterance_id!r}: its audio did not come in real time, so its wall "
            "clock says nothing about what a user waits. Ask for the audio clock, or record it in "
            "real time."
        )
    ends = _word_ends(trace, key)
    spoken: list[float] = []
    finalised: list[float] = []
    erased = unstable = broken = untimed = 0
    for segment, word_ends in zip(_segments(trace), ends, strict=True):
        shown = [[key(word) for word in event.text.split()] for event in segment]
        moments = [_moment(event, clock) for event in segment]
        erased += sum(len(old) - common_words(old, new) for old, new in pairwise(shown))
        unstable += sum(changed_words(old, new) for old, new in pairwise(shown))
        promised = [event.stable_words for event in segment]
        broken += broken_promises(promised, shown)
        for place, end in enumerate(word_ends):
            if end is None:
                untimed += 1
                continue
            spoken.append(moments[stable_since(shown, place)] - end)
            finalised.append(moments[-1] - end)
    texts = [event for event in trace.events if event.text.strip()]
    finals = [event for event in texts if event.kind == "final"]
    return StreamMeasures(
        utterance_id=trace.utterance_id,
        first_interim=_since(texts[:1], trace.speech_start, clock),
        final=_since(finals[-1:], trace.speech_end, clock),
        word_latencies=tuple(spoken),
        word_final_latencies=tuple(finalised),
        untimed_words=untimed,
        final_words=len(trace.text.split()),
        erased_words=erased,
        unstable_words=unstable,
        broken_promises=broken,
    )


def measure_streaming(
    traces: Sequence[Trace],
    clock: Clock,
    *,
    clusters: Mapping[str, int] | None = None,
    key: Key = fold_word,
    confidence: float,
    resamples: int,
    seed: int,
) -> StreamingMeasures:
    """Measure all streams of a recogniser.

    Args:
        traces: each of another utterance; at least one.
        clock: as `measure_trace`.
        clusters: utterance id to the number of its text; by default each is its own.
        key: as `measure_trace`.
        confidence: coverage of the intervals.
        resamples: draws of texts.
        seed: of the draws.

    Raises:
        ValueError: no traces, an utterance that is there twice or has no cluster, or as
            `measure_trace`.
    """
    ids = [trace.utterance_id for trace in traces]
    if not traces or len(set(ids)) != len(ids):
        raise ValueError("There are no traces, or an utterance is there twice.")
    if clusters is not None and (lost := sorted(set(ids) - set(clusters))):
        raise ValueError(f"Utterance {lost[0]!r} has no cluster.")
    labels = [clusters[one] for one in ids] if clusters is not None else list(range(len(ids)))
    found = [measure_trace(trace, clock, key) for trace in traces]
    drawn: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}

    def quantiles(values: Callable[[StreamMeasures], Sequence[float | None]]) -> Quantiles | None:
        pairs = [
            (value, label)
            for one, label in zip(found, labels, strict=True)
            for value in values(one)
            if value is not None
        ]
        if not pairs:
            return None
        return clustered_quantiles([v for v, _ in pairs], [c for _, c in pairs], **drawn)

    def per_word(counts: Sequence[int]) -> Interval | None:
        words = [one.final_words for one in found]
        return bootstrap_rate(counts, words, labels, **drawn) if sum(words) else None

    audio = sum(trace.audio_seconds for trace in traces)
    return StreamingMeasures(
        clock=clock,
        streams=len(traces),
        silent=sum(not trace.text for trace in traces),
        audio_seconds=audio,
        final_words=sum(one.final_words for one in found),
        untimed_words=sum(one.untimed_words for one in found),
        first_interim=quantiles(lambda one: [one.first_interim]),
        final=quantiles(lambda one: [one.final]),
        word_latency=quantiles(lambda one: one.word_latencies),
        word_final_latency=quantiles(lambda one: one.word_final_latencies),
        revisions_per_word=per_word([one.erased_words for one in found]),
        unstable_word_ratio=per_word([one.unstable_words for one in found]),
        broken_promises=sum(one.broken_promises for one in found),
        rtf=sum(trace.compute_seconds for trace in traces) / audio if audio else 0.0,
    )


def streamed_predictions(
    traces: Sequence[Trace], references: Mapping[str, str]
) -> list[Prediction]:
    """The final texts as predictions, to be scored and compared with those of batch decoding.

    `evaluation.slices.compare` of both gives the word error rate of streaming minus batch with its
    paired interval. They hold no log-probabilities.

    Args:
        references: utterance id to its text, not normalised.

    Raises:
        ValueError: an utterance without a reference.
    """
    if lost := [one.utterance_id for one in traces if one.utterance_id not in references]:
        raise ValueError(f"Utterance {lost[0]!r} has no reference.")
    return [
        Prediction(
            utterance_id=trace.utterance_id,
            reference=references[trace.utterance_id],
            hypothesis=trace.text,
            token_logprobs=(),
            audio_seconds=trace.audio_seconds,
            compute_seconds=trace.compute_seconds,
        )
        for trace in traces
    ]


def _segments(trace: Trace) -> list[list[TraceEvent]]:
    """The events of each segment, its final last."""
    segments: list[list[TraceEvent]] = [[] for _ in trace.finals]
    for event in trace.events:
        segments[event.segment].append(event)
    return segments


def _word_ends(trace: Trace, key: Key) -> list[list[float | None]]:
    """Of each word of each final, the second at which it ends in the audio, where that is known."""
    if trace.words:
        return _reference_ends(trace, key)
    found: list[list[float | None]] = []
    for event in trace.finals:
        words = event.text.split()
        same = [word.text.strip() for word in event.words] == words
        found.append([word.end for word in event.words] if same else [None] * len(words))
    return found


def _reference_ends(trace: Trace, key: Key) -> list[list[float | None]]:
    from rapidfuzz.distance import Levenshtein

    finals = [[key(word) for word in event.text.split()] for event in trace.finals]
    said = [word for words in finals for word in words]
    spoken = [key(word.text) for word in trace.words]
    ends: list[float | None] = [None] * len(said)
    for block in Levenshtein.opcodes(said, spoken).as_matching_blocks():
        for k in range(block.size):
            ends[block.a + k] = trace.words[block.b + k].end
    places = iter(ends)
    return [[next(places) for _ in words] for words in finals]


def _moment(event: TraceEvent, clock: Clock) -> float:
    return event.wall_seconds if clock == "wall" else event.audio_seconds


def _since(events: Sequence[TraceEvent], start: float | None, clock: Clock) -> float | None:
    return _moment(events[0], clock) - start if events and start is not None else None
