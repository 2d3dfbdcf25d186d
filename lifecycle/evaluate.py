"""Evaluate a model on speech that somebody names, alone or beside another, into a folder.

What was heard is kept (`lifecycle.evaluated`): the same command goes on where it was killed, and
asks nothing twice.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import signal_to_noise
from lifecycle.evaluated import BASELINE, CANDIDATE, FILE, SCHEMA, SNR, Evaluated, read
from lifecycle.evaluated_speech import CORPUS, GENERAL
from lifecycle.heard import PREDICTIONS, hear
from lifecycle.progress import Progress as StageProgress
from lifecycle.progress import State, publish
from voiceforge.errors import UsageError
from voiceforge.files import read_json, write_json
from voiceforge.settings import Settings

if TYPE_CHECKING:
    from lifecycle.evaluated_speech import Speech
    from lifecycle.evaluated_texts import Texts


@dataclass(frozen=True)
class Asked:
    """What to evaluate.

    Attributes:
        speech, split: as in `lifecycle.evaluated_speech.read_speech`.
        model, baseline: as in `lifecycle.named_models.load_model`; the baseline may be None.
        language: ISO 639-1 code of the speech.
        normaliser, replacements, terms: as in `lifecycle.evaluated_texts.read_texts`.
        robustness: hear some of the speech under test conditions too, and sounds without speech.
        engine, baseline_engine: KIND:PRECISION that a model given as weights is built as; None for
            ctranslate2:int8.
        latency: time each model on clips of the speech.
        streaming: let some of the speech through the streaming decoder.
        sampled: the baseline heard some of the speech only: its predictions lie in the folder.
    """

    speech: str
    model: str
    baseline: str | None
    language: str
    normaliser: str | None = None
    split: str | None = None
    robustness: bool = False
    replacements: Path | None = None
    terms: str | None = None
    engine: str | None = None
    baseline_engine: str | None = None
    latency: bool = False
    streaming: bool = False
    sampled: bool = False

    @classmethod
    def of(cls, speech: str, **asked: Any) -> Asked:
        """The same; general speech of one language says it itself."""
        if speech.startswith(GENERAL):
            asked["language"] = speech.removeprefix(GENERAL)
        return cls(speech=speech, **asked)


def evaluate(settings: Settings, asked: Asked, out: Path) -> Evaluated:
    """Hear the speech with each model, unless `out` has it, and read the folder.

    Raises:
        UsageError: speech, model, language, normaliser, replacements or terms are none, some of
            the speech is in another language, or `out` holds the evaluation of something else.
        AudioError, StorageError: a recording of a corpus cannot be read, or the disk is full.
    """
    from lifecycle.evaluated_heard import check_engine, check_language, check_rows
    from lifecycle.evaluated_speech import read_speech
    from lifecycle.named_models import engine_of

    _check_out(out)
    texts = texts_of(settings, asked)  # refused before a model is fetched
    if asked.baseline is None and asked.baseline_engine is not None:
        raise UsageError("There is no baseline whose engine could be chosen: name one.")
    engines = {CANDIDATE: engine_of(settings, asked.model, engine=asked.engine)}
    if asked.baseline is not None:
        engines[BASELINE] = engine_of(settings, asked.baseline, engine=asked.baseline_engine)
    for folder, name in engines.values():
        check_engine(folder, name, asked.language)

    def accept(speech: Speech) -> None:
        check_rows(speech)
        check_language(speech, asked.language)
        _check_same(out, {"speech": _speech_described(asked, speech, out)})

    with _nothing_left_of(out):
        speech = read_speech(
            settings,
            asked.speech,
            out,
            language=asked.language,
            split=asked.split,
            progress=lambda done, total: _tell(asked, "recordings", done, total),
            accept=accept,
        )
    return evaluate_engines(settings, asked, speech, texts, engines, out)


def texts_of(settings: Settings, asked: Asked) -> Texts:
    """What texts go through, and terms to count; raises as `read_texts`."""
    from lifecycle.evaluated_texts import read_texts

    return read_texts(
        settings, asked.speech, language=asked.language, normaliser=asked.normaliser,
        replacements=asked.replacements, terms=asked.terms,
    )  # fmt: skip


def evaluate_engines(
    settings: Settings,
    asked: Asked,
    speech: Speech,
    texts: Texts,
    engines: Mapping[str, tuple[Path, str]],
    out: Path,
    *,
    calibrator: Path | None = None,
    domain: str = "",
) -> Evaluated:
    """The same of speech, texts and engines that are found already: no name is looked up.

    What lies in `out` of them, such as predictions, is theirs.

    Args:
        engines: folder and name by "candidate" and "baseline".
        calibrator: file of the candidate's; without it the one beside its engine, if there is one.
        domain: that the candidate is of, where its name does not say it.

    Raises:
        UsageError: the speech cannot be scored, or `out` holds the evaluation of something else.
        IntegrityError: the calibrator is one of another engine.
        AudioError, StorageError: as `evaluate`.
    """
    from data.tables import UTTERANCES, write_utterances
    from lifecycle.evaluated_confidence import calibrator_fields, write_words
    from lifecycle.evaluated_heard import check_rows
    from lifecycle.trained_on import domain_of, learnt_from
    from serving.engines import engine_sha256
    from serving.engines.contracts import DECODING_VERSION
    from serving.engines.description import read_description
    from serving.engines.offered import engine_name

    rows = speech.rows
    check_rows(speech)
    about = _speech_described(asked, speech, out)
    described = {
        "schema": SCHEMA,
        "speech": about,
        "models": {
            role: {
                "name": name,
                "engine": str(engine_name(read_description(folder))),
                "engine_sha256": engine_sha256(folder),
                "learnt_from": learnt_from(
                    settings, domain if role == CANDIDATE and domain else domain_of(name), rows
                ),
            }
            for role, (folder, name) in engines.items()
        },
        **texts.described(),
        "decoding": DECODING_VERSION,
        "calibrator": calibrator_fields(settings, *engines[CANDIDATE], calibrator),
        "sampled": [BASELINE] if asked.sampled else [],
    }
    _check_same(out, described)
    write_json(out / FILE, described)
    write_utterances(out / UTTERANCES, rows)
    if not (out / SNR).is_file():
        ratios = signal_to_noise.measured(
            rows,
            speech.corpus,
            threads=settings.threads,
            progress=lambda done, total: _tell(asked, "signal-to-noise ratio", done, total),
        )
        write_json(out / SNR, ratios)
    tell = partial(_tell, asked)
    for role, (folder, _) in engines.items():
        hear(settings, asked, folder, speech, about["sha256"], out, role, tell)
    write_words(
        out, engines[CANDIDATE][0], out / PREDICTIONS / f"{CANDIDATE}.parquet", asked.language
    )
    return read(out)


def _speech_described(asked: Asked, speech: Speech, out: Path) -> dict[str, Any]:
    """What evaluation.json says of the speech; its identity is that of ids, audio and texts."""
    from voiceforge.files import sha256_json

    return {
        "name": speech.name,
        "split": asked.split,
        "language": asked.language,
        "utterances": len(speech.rows),
        "sha256": sha256_json([[row.id, row.audio_sha256, row.text] for row in speech.rows]),
        "left_out": speech.left_out,
        "rejected": [asdict(one) for one in speech.rejects],
        "corpus": os.path.relpath(speech.corpus, out),
    }


@contextlib.contextmanager
def _nothing_left_of(out: Path) -> Iterator[None]:
    """Where the block fails, a folder that was not there before and is empty goes."""
    existed = out.exists()
    try:
        yield
    except BaseException:
        if not existed:
            with contextlib.suppress(OSError):
                out.rmdir()
        raise


def _tell(asked: Asked, what: str, done: int, total: int) -> None:
    state: State = "made" if done == total else "working"
    publish(StageProgress(asked.speech, what, done, total, "", {}, state))


def _check_out(out: Path) -> None:
    """Refuse a place that is no folder, or one that holds something else than an evaluation."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out is {out}, which is a file. Name a folder for the evaluation.")
    if (out / FILE).is_file():
        if "speech" not in read_json(out / FILE):
            raise UsageError(f"{out / FILE} is of something else. Name another --out.")
        return
    # A run that was killed before it wrote its first file may have built the corpus of a table.
    others = [
        path.name for path in sorted(out.glob("*"))
        if path.name != CORPUS and not path.name.startswith(".")
    ]  # fmt: skip
    if others:
        raise UsageError(
            f"--out is {out}, which holds {others[0]} and is no evaluation. Name a new folder."
        )


def _check_same(out: Path, described: Mapping[str, Any]) -> None:
    """Refuse a folder of another evaluation: its predictions would be taken for these.

    Args:
        described: the content of evaluation.json, or the part of it that is known.
    """
    if not (out / FILE).is_file():
        return
    there = read_json(out / FILE)
    for name in ("speech", "models", "decoding"):
        if name in described and _identity(described[name]) != _identity(there.get(name)):
            raise UsageError(
                f"{out} holds an evaluation of other {name}: {_named(there.get(name))}. Now it "
                f"would be {_named(described[name])}. Give another --out, or remove that folder."
            )


def _identity(value: Any) -> Any:
    """A part of evaluation.json without what only describes it; models are their name and engine.

    Older checkouts did not write down everything that this one says of a model.
    """
    if isinstance(value, dict) and CANDIDATE in value:
        return {
            role: (model.get("name"), model.get("engine_sha256")) for role, model in value.items()
        }
    return value


def _named(value: Any) -> str:
    """A part of evaluation.json as a person calls it."""
    if not isinstance(value, dict):
        return str(value)
    if "name" not in value:
        return " and ".join(f"{role} {_named(one)}" for role, one in value.items())
    sha256 = str(value.get("engine_sha256") or value.get("sha256"))[:12]
    return f"{value['name']} ({', '.join(filter(None, (value.get('engine'), sha256)))})"
