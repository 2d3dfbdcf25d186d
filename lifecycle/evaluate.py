"""Evaluate a model on speech that somebody names, alone or beside another, into a folder.

The folder holds `evaluation.json` (what was asked, of what identity), `utterances.parquet`,
`predictions/candidate.parquet` and, with a second model, `predictions/baseline.parquet`; a table's
recordings are decoded into `corpus`. Every figure derives from these files, so that two folders can
be compared later without the audio. What was heard is kept: the same command goes on where it was
killed, and asks nothing twice.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.evaluated_speech import GENERAL
from lifecycle.progress import Progress as StageProgress
from lifecycle.progress import State, publish
from voiceforge.errors import UsageError
from voiceforge.files import read_json, write_json
from voiceforge.settings import Settings

if TYPE_CHECKING:
    from data.utterance import Utterance
    from evaluation.prediction import Prediction
    from lifecycle.evaluated_speech import Speech

FILE, SNR = "evaluation.json", "snr.json"
SCHEMA = 1
"""Version of evaluation.json."""
CANDIDATE, BASELINE = "candidate", "baseline"
CONDITIONS = "conditions"
_PREDICTIONS = "predictions"
_BATCH = 8


@dataclass(frozen=True)
class Asked:
    """What to evaluate.

    Attributes:
        speech, split: as in `lifecycle.evaluated_speech.read_speech`.
        model, baseline: as in `lifecycle.named_models.load_model`; the baseline may be None.
        language: ISO 639-1 code of the speech.
        normaliser: of `evaluation.text`; None for OpenAI's of the language.
        robustness: hear some of the speech under test conditions too, and sounds without speech.
    """

    speech: str
    model: str
    baseline: str | None
    language: str
    normaliser: str | None = None
    split: str | None = None
    robustness: bool = False

    @classmethod
    def of(cls, speech: str, **asked: Any) -> Asked:
        """The same; general speech says its language itself."""
        if speech.startswith(GENERAL):
            asked["language"] = speech.removeprefix(GENERAL)
        return cls(speech=speech, **asked)

    @property
    def chosen_normaliser(self) -> str:
        if self.normaliser is not None:
            return self.normaliser
        return "whisper-english" if self.language == "en" else "whisper-basic"


@dataclass(frozen=True)
class Evaluated:
    """A folder of an evaluation, read back.

    Attributes:
        described: the content of evaluation.json.
        predictions: by "candidate" and, with a second model, "baseline".
        snr: signal-to-noise ratio in dB by utterance id; None where a recording does not tell.
        conditions: folders of what each model heard under test conditions, should it have.
    """

    folder: Path
    described: Mapping[str, Any]
    utterances: Sequence[Utterance]
    predictions: Mapping[str, Sequence[Prediction]]
    snr: Mapping[str, float | None]
    conditions: Mapping[str, Path]

    @property
    def corpus(self) -> Path:
        """Where the recordings were."""
        return self.folder / str(self.described["speech"]["corpus"])

    @property
    def names(self) -> tuple[str, str]:
        """Of the candidate and the baseline; "" for none."""
        models = self.described["models"]
        return models[CANDIDATE]["name"], models.get(BASELINE, {}).get("name", "")


def evaluate(settings: Settings, asked: Asked, out: Path) -> Evaluated:
    """Hear the speech with each model, unless `out` has it, and read the folder.

    Raises:
        UsageError: speech, model, language or normaliser is none, or `out` holds the evaluation of
            something else.
        AudioError, StorageError: a recording of a corpus cannot be read, or the disk is full.
    """
    from data.tables import UTTERANCES, write_utterances
    from evaluation.text import normaliser_identity
    from lifecycle.evaluated_speech import read_speech
    from lifecycle.named_models import engine_of
    from serving.engines import engine_sha256
    from serving.engines.contracts import DECODING_VERSION
    from voiceforge.files import sha256_json

    _check_normaliser(asked)
    engines = {CANDIDATE: engine_of(settings, asked.model)}
    if asked.baseline is not None:
        engines[BASELINE] = engine_of(settings, asked.baseline)
    speech = read_speech(
        settings,
        asked.speech,
        out,
        language=asked.language,
        split=asked.split,
        progress=lambda done, total: _tell(asked, "recordings", done, total),
    )
    rows = speech.rows
    _check_rows(speech)
    described = {
        "schema": SCHEMA,
        "speech": {
            "name": speech.name,
            "split": asked.split,
            "language": asked.language,
            "utterances": len(rows),
            "sha256": sha256_json([[row.id, row.audio_sha256, row.text] for row in rows]),
            "left_out": speech.left_out,
            "rejected": [asdict(one) for one in speech.rejects],
            "corpus": os.path.relpath(speech.corpus, out),
        },
        "models": {
            role: {"name": name, "engine_sha256": engine_sha256(folder)}
            for role, (folder, name) in engines.items()
        },
        "normaliser": normaliser_identity(asked.chosen_normaliser),
        "decoding": DECODING_VERSION,
    }
    _check_same(out, described)
    write_json(out / FILE, described)
    write_utterances(out / UTTERANCES, rows)
    _measure_snr(asked, speech, out / SNR)
    for role, (folder, _) in engines.items():
        _hear(settings, asked, folder, speech, out / _PREDICTIONS / role)
        if asked.robustness:
            _hear_conditions(settings, asked, folder, speech, out / CONDITIONS / role)
    return read(out)


def read(folder: Path) -> Evaluated:
    """Read the folder of an evaluation.

    Raises:
        UsageError: it is none, or of another version.
        StorageError, IntegrityError: a file of it is missing or damaged.
    """
    from data.tables import UTTERANCES, read_utterances
    from evaluation.runners import read_predictions

    if not (folder / FILE).is_file():
        raise UsageError(
            f"{folder} is no evaluation: it holds no {FILE}. `voiceforge evaluate` makes one."
        )
    described = read_json(folder / FILE)
    if described.get("schema") != SCHEMA:
        raise UsageError(
            f"{folder / FILE} has the schema {described.get('schema')!r}, and this version reads "
            f"{SCHEMA}. Evaluate again."
        )
    predictions = {
        role: read_predictions(folder / _PREDICTIONS / f"{role}.parquet")
        for role in described["models"]
    }
    rows, snr = read_utterances(folder / UTTERANCES), read_json(folder / SNR)
    conditions = {role: folder / CONDITIONS / role for role in described["models"]}
    return Evaluated(folder, described, rows, predictions, snr, conditions)


def pair(one: Evaluated, other: Evaluated, *, force: bool = False) -> Evaluated:
    """The candidates of two evaluations as candidate and baseline of one.

    Raises:
        UsageError: they heard other speech, or are scored with other rules; `force` goes on with
            the utterances of the same id and reference that both heard, and the rules of `one`.
    """
    for name, where in (("speech", "sha256"), ("normaliser", "sha256")):
        ours, theirs = one.described[name][where], other.described[name][where]
        if ours != theirs and not force:
            raise UsageError(
                f"{one.folder} and {other.folder} differ in {name}: "
                f"{one.described[name]['name']} ({ours[:12]}) and "
                f"{other.described[name]['name']} ({theirs[:12]}). What they say cannot be "
                "compared fairly; --force compares the utterances that both heard."
            )
    references = {row.utterance_id: row.reference for row in one.predictions[CANDIDATE]}
    shared = [
        row
        for row in other.predictions[CANDIDATE]
        if references.get(row.utterance_id) == row.reference
    ]
    if not shared:
        raise UsageError(f"{one.folder} and {other.folder} share no utterance of one reference.")
    described = dict(one.described)
    described["models"] = {
        CANDIDATE: one.described["models"][CANDIDATE],
        BASELINE: other.described["models"][CANDIDATE],
    }
    predictions = {CANDIDATE: one.predictions[CANDIDATE], BASELINE: shared}
    conditions = {
        CANDIDATE: one.conditions[CANDIDATE],
        BASELINE: other.conditions[CANDIDATE],
    }
    return replace(one, described=described, predictions=predictions, conditions=conditions)


def _hear(settings: Settings, asked: Asked, engine: Path, speech: Speech, place: Path) -> None:
    """Write the predictions of one model, unless they are there."""
    from evaluation.runners import predict, write_predictions
    from serving.engines import load_engine
    from serving.engines.contracts import DecodingOptions
    from serving.longform import AnyLength

    table = place.with_suffix(".parquet")
    if table.is_file():
        return
    loaded = AnyLength(load_engine(engine, threads=settings.threads))
    rows = predict(
        loaded,
        speech.rows,
        speech.corpus,
        batch_size=_BATCH,
        options=DecodingOptions(language=asked.language),
        progress=lambda done, total: _tell(asked, place.name, done, total),
        parts=place,
    )
    write_predictions(table, rows)
    shutil.rmtree(place, ignore_errors=True)


def _hear_conditions(
    settings: Settings, asked: Asked, engine: Path, speech: Speech, place: Path
) -> None:
    from lifecycle.corpus import reach_of
    from lifecycle.evaluated_conditions import hear_conditions
    from serving.engines import load_engine
    from serving.engines.contracts import DecodingOptions

    hear_conditions(
        load_engine(engine, threads=settings.threads),
        speech,
        place,
        DecodingOptions(language=asked.language),
        reach_of(settings),
        lambda done, total: _tell(asked, f"{place.name}, conditions", done, total),
    )


def _measure_snr(asked: Asked, speech: Speech, table: Path) -> None:
    """Write the signal-to-noise ratio of each recording, unless it is there."""
    from data.audio import read_flac
    from data.snr import signal_to_noise

    if table.is_file():
        return
    found: dict[str, float | None] = {}
    for row in speech.rows:
        ratio = signal_to_noise(read_flac(speech.corpus / row.audio))
        found[row.id] = None if ratio is None else round(ratio, 2)
        _tell(asked, "signal-to-noise ratio", len(found), len(speech.rows))
    write_json(table, found)


def _tell(asked: Asked, what: str, done: int, total: int) -> None:
    state: State = "made" if done == total else "working"
    publish(StageProgress(asked.speech, what, done, total, "", {}, state))


def _check_normaliser(asked: Asked) -> None:
    from evaluation.text import normaliser

    try:
        normaliser(asked.chosen_normaliser, asked.language)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _check_rows(speech: Speech) -> None:
    """Refuse what cannot be scored."""
    seen: set[str] = set()
    for row in speech.rows:
        if row.id in seen:
            raise UsageError(f"{speech.name} has two utterances with the id {row.id!r}.")
        seen.add(row.id)
    if not any(row.text.strip() for row in speech.rows):
        raise UsageError(f"{speech.name} has no utterance with a reference to compare with.")


def _check_same(out: Path, described: Mapping[str, Any]) -> None:
    """Refuse a folder of another evaluation: its predictions would be taken for these."""
    if not (out / FILE).is_file():
        return
    there = read_json(out / FILE)
    for name in ("speech", "models", "decoding"):
        if described[name] != there.get(name):
            raise UsageError(
                f"{out} holds an evaluation of other {name}: {_named(there.get(name))}. Now it "
                f"would be {_named(described[name])}. Give another --out, or remove that folder."
            )


def _named(value: Any) -> str:
    """A part of evaluation.json as a person calls it."""
    if not isinstance(value, dict):
        return str(value)
    if "name" not in value:
        return " and ".join(f"{role} {_named(one)}" for role, one in value.items())
    return f"{value['name']} ({str(value.get('engine_sha256') or value.get('sha256'))[:12]})"
