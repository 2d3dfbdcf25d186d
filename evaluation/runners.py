"""Running an engine over held-out speech: predictions, and how long they take."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from data.audio import read_flac
from data.features import SAMPLE_RATE
from data.utterance import Utterance
from evaluation.latency import LatencyMeasurement, percentiles
from evaluation.prediction import Prediction
from serving.engines.contracts import DecodingOptions, Engine, Samples
from voiceforge.errors import StorageError
from voiceforge.files import write_bytes

GREEDY = DecodingOptions()

_SECONDS_BETWEEN_PARTS = 5.0
"""What a kill costs at most, in seconds of hearing, beside the batch that it interrupts."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Something to be heard.

    Attributes:
        name: the prediction's utterance id.
        text: its reference, "" where nobody speaks.
        seconds: about how long it is; clips of like length share a batch.
        samples: gives the audio when its turn has come.
    """

    name: str
    text: str
    seconds: float
    samples: Callable[[], Samples]


def predict(
    engine: Engine,
    utterances: Sequence[Utterance],
    corpus: Path,
    *,
    batch_size: int,
    options: DecodingOptions = GREEDY,
    progress: Callable[[int, int], None] = lambda done, total: None,
    parts: Path | None = None,
) -> list[Prediction]:
    """Transcribe utterances, batched by length so that little of a batch is padding.

    Args:
        engine: a loaded engine.
        utterances: rows of a corpus, each at most 30 s.
        corpus: folder that their `audio` paths are relative to.
        batch_size: utterances per call of the engine.
        options: decoding; the default is the one of every comparison.
        progress: called with (done, total) after each batch.
        parts: folder for what is heard meanwhile, of these utterances by this engine alone: with
            it a run that was killed hears the rest, in the batches that it would have had.

    Returns:
        One prediction per utterance, in the order given.

    Raises:
        AudioError: a recording cannot be read.
        ValueError: a clip is too long for the engine.
        StorageError: `parts` cannot be written, or holds what is no predictions file.
    """
    clips = [
        Clip(row.id, row.text, row.duration, partial(read_flac, corpus / row.audio))
        for row in utterances
    ]
    return predict_clips(
        engine, clips, batch_size=batch_size, options=options, progress=progress, parts=parts
    )


def predict_clips(
    engine: Engine,
    clips: Sequence[Clip],
    *,
    batch_size: int,
    options: DecodingOptions = GREEDY,
    progress: Callable[[int, int], None] = lambda done, total: None,
    parts: Path | None = None,
) -> list[Prediction]:
    """`predict` of clips from wherever; no two may have the same name.

    Raises:
        ValueError: a clip is too long for the engine.
        StorageError: as `predict`; and what `Clip.samples` raises.
    """
    order = sorted(range(len(clips)), key=lambda index: clips[index].seconds)
    heard = _read_parts(parts)
    predictions = {i: heard[clip.name] for i, clip in enumerate(clips) if clip.name in heard}
    unsaved: list[Prediction] = []
    saved = time.monotonic()
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        if all(index in predictions for index in batch):
            continue
        audio = [clips[index].samples() for index in batch]
        began = time.perf_counter()
        transcripts = engine.transcribe(audio, options)
        seconds = time.perf_counter() - began
        total = sum(len(samples) for samples in audio)
        for index, samples, transcript in zip(batch, audio, transcripts, strict=True):
            predictions[index] = Prediction(
                utterance_id=clips[index].name,
                reference=clips[index].text,
                hypothesis=transcript.text,
                token_logprobs=transcript.token_logprobs,
                audio_seconds=len(samples) / SAMPLE_RATE,
                compute_seconds=seconds * len(samples) / total if total else 0.0,
            )
        unsaved += [predictions[index] for index in batch]
        if parts is not None and time.monotonic() - saved > _SECONDS_BETWEEN_PARTS:
            write_predictions(parts / f"{start:08}.parquet", unsaved)
            unsaved, saved = [], time.monotonic()
        progress(len(predictions), len(order))
    return [predictions[index] for index in range(len(clips))]


def _read_parts(folder: Path | None) -> dict[str, Prediction]:
    """What was heard before, by utterance id."""
    if folder is None or not folder.is_dir():
        return {}
    return {
        row.utterance_id: row
        for path in sorted(folder.glob("*.parquet"))
        for row in read_predictions(path)
    }


def measure_latency(
    engine: Engine,
    clips: Sequence[Samples],
    *,
    repeats: int,
    threads: int,
    batch_size: int = 8,
    options: DecodingOptions = GREEDY,
) -> LatencyMeasurement:
    """Time an engine, one clip at a time and then in batches of clips of like length.

    Args:
        engine: freshly loaded, so that the first call is a cold one.
        clips: recordings at 16 kHz; at least one.
        repeats: times that each clip is transcribed alone.
        threads: CPU threads that the engine was loaded with; recorded only.
        batch_size: clips per call in the second pass.
        options: decoding.

    Raises:
        ValueError: no clips, or fewer than one repeat.
    """
    if not clips or repeats < 1:
        raise ValueError("Latency needs at least one clip and one repeat.")
    ordered = sorted(clips, key=len)
    middle = ordered[len(ordered) // 2]
    cold = _timed(engine, [middle], options)
    alone = [_timed(engine, [clip], options) for _ in range(repeats) for clip in clips]
    batched = sum(
        _timed(engine, ordered[start : start + batch_size], options)
        for start in range(0, len(ordered), batch_size)
    )
    audio_seconds = sum(len(clip) for clip in clips) / SAMPLE_RATE
    return LatencyMeasurement(
        seconds=percentiles(alone),
        cold_seconds=cold,
        rtfx=repeats * audio_seconds / sum(alone),
        rtfx_batch=audio_seconds / batched,
        batch_size=batch_size,
        clips=len(clips),
        repeats=repeats,
        audio_seconds=audio_seconds,
        median_clip_seconds=len(middle) / SAMPLE_RATE,
        threads=threads,
        machine=machine_name(),
    )


def machine_name() -> str:
    """Processor model and the CPUs that this process may use, such as "Xeon 8481C, 2 CPUs"."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = " ".join(line.partition(":")[2].split())
                break
    except OSError:
        pass  # Not Linux: the platform's own name has to do.
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs"


def stratified_sample(
    utterances: Sequence[Utterance],
    words_per_accent: int,
    seed: int,
    *,
    human_words: int | None = None,
) -> list[Utterance]:
    """A sample with at least `words_per_accent` words of every accent that has as many.

    People and synthetic voices of the same accent are strata of their own. Which utterances are
    taken depends on their ids and the seed alone, so that more words only add utterances.

    Args:
        human_words: the same bound for people; by default `words_per_accent`.

    Returns:
        The sample in the order of `utterances`.
    """
    ranked = sorted(
        utterances, key=lambda row: hashlib.sha256(f"{seed}:{row.id}".encode()).digest()
    )
    words: dict[tuple[bool, str], int] = {}
    chosen = set()
    for row in ranked:
        stratum = (row.is_synthetic, row.accent)
        wanted = words_per_accent if row.is_synthetic or human_words is None else human_words
        if words.get(stratum, 0) < wanted:
            words[stratum] = words.get(stratum, 0) + len(row.text.split())
            chosen.add(row.id)
    return [row for row in utterances if row.id in chosen]


def write_predictions(path: Path, rows: Sequence[Prediction]) -> None:
    """Write a predictions file (Parquet), whole or not at all.

    Raises:
        StorageError: the disk is full or read-only.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=_schema())
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())


def read_predictions(path: Path) -> list[Prediction]:
    """Read a predictions file.

    Raises:
        StorageError: it is missing, or not a predictions file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        if not table.schema.equals(_schema()):
            raise pa.ArrowInvalid(f"its columns are {', '.join(table.column_names)}")
    except FileNotFoundError as error:
        raise StorageError(f"{path} is missing. Run the stage that makes it again.") from error
    except (pa.ArrowException, OSError) as error:
        raise StorageError(
            f"{path} is not a predictions file ({error}). Delete its folder and run again."
        ) from error
    return [
        Prediction(**{**row, "token_logprobs": tuple(row["token_logprobs"])})
        for row in table.to_pylist()
    ]


def _schema() -> Any:
    import pyarrow as pa

    fields = [
        ("utterance_id", pa.string()),
        ("reference", pa.string()),
        ("hypothesis", pa.string()),
        ("token_logprobs", pa.list_(pa.float64())),
        ("audio_seconds", pa.float64()),
        ("compute_seconds", pa.float64()),
    ]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])


def _timed(engine: Engine, clips: Sequence[Samples], options: DecodingOptions) -> float:
    began = time.perf_counter()
    engine.transcribe(clips, options)
    return time.perf_counter() - began
