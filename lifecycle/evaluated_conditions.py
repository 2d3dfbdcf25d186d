"""What models hear under test conditions: noise, clipping, telephony, and sounds without speech."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.conditions import NO_SPEECH_CONDITIONS, Condition, NoSpeechKind

if TYPE_CHECKING:
    from data.audio import Samples
    from data.sources.base import Reach
    from data.utterance import Utterance
    from evaluation.prediction import Prediction
    from lifecycle.evaluated_speech import Speech
    from serving.engines.contracts import DecodingOptions, Engine

CONDITIONS: tuple[Condition, ...] = (
    *(Condition("pink noise", snr) for snr in (20.0, 10.0, 5.0, 0.0)),
    *(Condition("babble", snr) for snr in (20.0, 10.0, 5.0)),
    Condition("clipping", 0.0),
    Condition("clipping", -6.0),
    Condition("mu-law"),
    Condition("gsm"),
    Condition("opus", 8.0),
    Condition("packet loss", 5.0),
)
CLIPS = 40
"""Utterances that are heard under every condition."""

_LONGEST = 25.0
_QUIET_CLIPS, _QUIET_SECONDS = 6, 15.0
_BATCH = 8
_VOICES = 24
_SEED = 20

Tell = Callable[[int, int], None]


def hear_conditions(
    engine: Engine, speech: Speech, place: Path, options: DecodingOptions, reach: Reach, tell: Tell
) -> None:
    """Write what the engine hears, a predictions file a condition, unless it is there.

    Args:
        place: folder for the files.
        reach: to fetch the music of sounds without speech.
        tell: called with conditions done, of how many.

    Raises:
        SourceError, IntegrityError: the music cannot be had.
        AudioError, StorageError: a recording cannot be read, or the disk is full.
    """
    from data.audio import read_flac
    from data.augmentation.conditions import degrade
    from evaluation.runners import write_predictions

    rows = chosen(speech.rows)
    total = len(CONDITIONS) + len(NO_SPEECH_CONDITIONS)
    clean = [read_flac(speech.corpus / row.audio) for row in rows]
    for done, condition in enumerate(CONDITIONS):
        tell(done, total)
        file = place / f"{_slug(condition.title)}.parquet"
        if file.is_file() or (condition.kind == "babble" and len(rows) < 2):
            continue
        clips = []
        for number, (row, samples) in enumerate(zip(rows, clean, strict=True)):
            others = [clip for other, clip in enumerate(clean[:_VOICES]) if other != number]
            clips.append(
                degrade(samples, condition, seed=_SEED, utterance_id=row.id, voices=others)
            )
        write_predictions(file, _predict(engine, rows, clips, options))
    for done, kind in enumerate(NO_SPEECH_CONDITIONS, len(CONDITIONS)):
        tell(done, total)
        file = place / f"no-speech-{_slug(kind)}.parquet"
        if not file.is_file():
            write_predictions(file, _hear_quiet(engine, kind, options, reach))
    tell(total, total)


def chosen(rows: Iterable[Utterance]) -> list[Utterance]:
    """The utterances that are heard: with words, not long, drawn by a hash of their ids."""
    fit = [row for row in rows if row.text.strip() and row.duration <= _LONGEST]
    return sorted(fit, key=lambda row: hashlib.sha256(f"{_SEED}:{row.id}".encode()).digest())[
        :CLIPS
    ]


def read_conditions(
    place: Path,
) -> tuple[Mapping[Condition, Sequence[Prediction]], Mapping[NoSpeechKind, Sequence[Prediction]]]:
    """What `hear_conditions` wrote: by condition, and by kind of sound without speech."""
    from evaluation.runners import read_predictions

    speech = {
        condition: read_predictions(file)
        for condition in CONDITIONS
        if (file := place / f"{_slug(condition.title)}.parquet").is_file()
    }
    quiet = {
        kind: read_predictions(file)
        for kind in NO_SPEECH_CONDITIONS
        if (file := place / f"no-speech-{_slug(kind)}.parquet").is_file()
    }
    return speech, quiet


def _hear_quiet(
    engine: Engine, kind: NoSpeechKind, options: DecodingOptions, reach: Reach
) -> list[Prediction]:
    from data.augmentation.conditions import without_speech
    from data.music import music_on_hold

    music: Sequence[Samples] = ()
    if kind == "music":
        music = music_on_hold(cache=reach.cache, offline=reach.offline, timeout=reach.timeout)
    count = 1 if kind == "silence" else _QUIET_CLIPS  # digital silence is always the same
    clips = [
        without_speech(kind, _QUIET_SECONDS, seed=_SEED, number=number, music=music)
        for number in range(count)
    ]
    return _predict(engine, [f"{kind} {number}" for number in range(count)], clips, options)


def _predict(
    engine: Engine,
    rows: Sequence[Utterance] | Sequence[str],
    clips: Sequence[Samples],
    options: DecodingOptions,
) -> list[Prediction]:
    """Predictions of clips that lie in no corpus; a name instead of an utterance has no text."""
    import time

    from data.features import SAMPLE_RATE
    from evaluation.prediction import Prediction

    order = sorted(range(len(clips)), key=lambda index: len(clips[index]))
    found: dict[int, Prediction] = {}
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        began = time.perf_counter()
        said = engine.transcribe([clips[index] for index in batch], options)
        seconds = (time.perf_counter() - began) / len(batch)
        for index, one in zip(batch, said, strict=True):
            row = rows[index]
            name, text = (row, "") if isinstance(row, str) else (row.id, row.text)
            found[index] = Prediction(
                utterance_id=name,
                reference=text,
                hypothesis=one.text,
                token_logprobs=one.token_logprobs,
                audio_seconds=len(clips[index]) / SAMPLE_RATE,
                compute_seconds=seconds,
            )
    return [found[index] for index in range(len(clips))]


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", title.lower().replace("% ", "percent ")).strip("-")
