"""What models hear under test conditions: noise, clipping, telephony, and sounds without speech."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from data.conditions import NO_SPEECH_CONDITIONS, Condition, NoSpeechKind
from lifecycle.evaluated_speech import drawn

if TYPE_CHECKING:
    from data.audio import Samples
    from data.sources.base import Reach
    from data.utterance import Utterance
    from evaluation.prediction import Prediction
    from evaluation.runners import Clip
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


def chosen(rows: Iterable[Utterance]) -> list[Utterance]:
    """The utterances that are heard under every condition: with words, not long, drawn by id."""
    return drawn(rows, _LONGEST)[:CLIPS]


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
    from evaluation.runners import Clip, predict_clips, write_predictions

    rows = chosen(speech.rows)
    total = len(CONDITIONS) + len(NO_SPEECH_CONDITIONS)
    clean = [read_flac(speech.corpus / row.audio) for row in rows]

    def worse(number: int, condition: Condition) -> Samples:
        voices = [clip for other, clip in enumerate(clean[:_VOICES]) if other != number]
        name = rows[number].id
        return degrade(clean[number], condition, seed=_SEED, utterance_id=name, voices=voices)

    for done, condition in enumerate(CONDITIONS):
        tell(done, total)
        file = condition_file(place, condition)
        if file.is_file() or (condition.kind == "babble" and len(rows) < 2):
            continue
        clips = [
            Clip(row.id, row.text, row.duration, partial(worse, number, condition))
            for number, row in enumerate(rows)
        ]
        heard = predict_clips(engine, clips, batch_size=_BATCH, options=options)
        write_predictions(file, heard)
    for done, kind in enumerate(NO_SPEECH_CONDITIONS, len(CONDITIONS)):
        tell(done, total)
        file = _quiet_file(place, kind)
        if not file.is_file():
            clips = _quiet_clips(kind, reach)
            heard = predict_clips(engine, clips, batch_size=_BATCH, options=options)
            write_predictions(file, heard)
    tell(total, total)


def read_conditions(
    place: Path,
) -> tuple[Mapping[Condition, Sequence[Prediction]], Mapping[NoSpeechKind, Sequence[Prediction]]]:
    """What `hear_conditions` wrote: by condition, and by kind of sound without speech."""
    from evaluation.runners import read_predictions

    speech = {
        condition: read_predictions(file)
        for condition in CONDITIONS
        if (file := condition_file(place, condition)).is_file()
    }
    quiet = {
        kind: read_predictions(file)
        for kind in NO_SPEECH_CONDITIONS
        if (file := _quiet_file(place, kind)).is_file()
    }
    return speech, quiet


def condition_file(place: Path, condition: Condition) -> Path:
    """Where a model's predictions under a condition lie."""
    return place / f"{_name(condition.title)}.parquet"


def _quiet_file(place: Path, kind: NoSpeechKind) -> Path:
    return place / f"no-speech-{_name(kind)}.parquet"


def _name(title: str) -> str:
    """As a file name that keeps the sign of a level."""
    return re.sub(r"[^a-z0-9-]+", "-", title.lower().replace("% ", "percent ")).strip("-")


def _quiet_clips(kind: NoSpeechKind, reach: Reach) -> list[Clip]:
    """Sounds without speech."""
    from data.augmentation.conditions import without_speech
    from data.music import music_on_hold
    from evaluation.runners import Clip

    music: Sequence[Samples] = ()
    if kind == "music":
        music = music_on_hold(cache=reach.cache, offline=reach.offline, timeout=reach.timeout)
    count = 1 if kind == "silence" else _QUIET_CLIPS  # digital silence is always the same

    def sound(number: int) -> Samples:
        return without_speech(kind, _QUIET_SECONDS, seed=_SEED, number=number, music=music)

    return [
        Clip(f"{kind} {number}", "", _QUIET_SECONDS, partial(sound, number))
        for number in range(count)
    ]
