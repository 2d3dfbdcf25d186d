"""What a term list brings: two trainings that differ in it alone, and the base model.

`python -m benchmarks.vocabulary --fresh FOLDER` makes a domain of telephone prompts, eSpeak's
accents and twelve made-up product names, and trains twice with the same steps and seed: without the
vocabulary (no clip of the source `terms`), and with it. All three models hear the same held-out
speech: carrier sentences and voices that no training heard, and the prompts of real people; the
padded base model, ten times slower, a part of it. What was trained and heard before is found again.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from benchmarks.record import Row, machine_note, shown, write_section
from data.sources.terms import NAME as TERMS
from data.utterance import Utterance
from evaluation.comparison import Slice
from evaluation.prediction import Prediction
from evaluation.reports.terms import TermRate, recall_gain, term_rates
from evaluation.runners import read_predictions, write_predictions
from evaluation.slices import Resampling, Scored, compare, score, word_error_rate_of
from evaluation.terms import Vocabulary, count_terms, merge_counts
from evaluation.text import normalise
from lifecycle.workspace import Workspace, open_workspace
from voiceforge.files import write_text
from voiceforge.settings import load_settings

DOMAIN = "products-en"
PROJECT = Path(__file__).resolve().parent.parent
NAMES = (
    "Zelvora", "Quintassi", "Brimtok", "Orvalyne", "Kestrova", "Mirandex",
    "Tovaxil", "Pellucade", "Nyvantis", "Dravenol", "Halcyra", "Corvid Lattice",
)  # fmt: skip
PARTS = BASE, WITHOUT, WITH = "base model", "without the terms", "with the terms"
_TRAIN, _DEV, _TEST = ["m1", "m2", "f1", "f2"], ["m5"], ["m6", "m7", "f5"]
_ACCENTS = ["en-us", "en-gb", "en-gb-scotland", "en-029"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--fresh", type=Path, required=True, help="a folder for all of it")
    arguments.add_argument("--steps", type=int, default=100)
    arguments.add_argument("--factor", type=int, default=2, help="training.term_factor")
    arguments.add_argument("--part", choices=PARTS, help="only this model, no figures yet")
    arguments.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    given = arguments.parse_args()
    workspace = make_project(given.fresh, given.steps, given.factor)
    held_out, said = hear(workspace, [given.part] if given.part else PARTS)
    if given.part:
        return
    rows = shown(figures(workspace, held_out, said))
    if given.write:
        note = machine_note(
            "python -m benchmarks.vocabulary --fresh FOLDER "
            f"--steps {given.steps} --factor {given.factor}",
            f"whisper-tiny.en, {len(NAMES)} made-up names, the same steps, batch and seed with and "
            "without them.",
        )
        write_section(PROJECT, "Custom vocabulary", note, rows)


def make_project(folder: Path, steps: int, factor: int) -> Workspace:
    """A project with the domain; its cache is this checkout's."""
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    voices = {"train": _TRAIN, "dev": _DEV, "test": _TEST}
    domain = {
        "language": "en",
        "base_model": "whisper-tiny.en",
        "vocabulary": {"terms": list(NAMES)},
        "sources": [
            {"kind": "prompts", "language": "en"},
            {
                "kind": "espeak", "texts": "prompts", "language": "en", "accents": _ACCENTS,
                "voices": voices, "clips_per_accent": {"train": 60, "dev": 6},
                "words_per_accent": 200,
            },
            {
                "kind": "terms", "language": "en", "accents": _ACCENTS, "voices": voices,
                "texts": "prompts", "clips_per_term": {"train": 16, "dev": 2, "test": 16},
            },
        ],
        "training": {
            "steps": steps, "evaluate_every": max(1, steps // 2), "checkpoint_every": 20,
            "term_factor": factor, "dev_utterances": 48,
        },
        "quarantine_limit": 0.5,
    }  # fmt: skip
    content = {"defaults": params["defaults"], "domains": {DOMAIN: domain}}
    write_text(folder / "params.yaml", yaml.safe_dump(content, sort_keys=False))
    settings = load_settings({"VOICEFORGE_HOME": str(folder / "var")}, folder)
    settings.home.mkdir(parents=True, exist_ok=True)
    if not settings.cache.exists():
        settings.cache.symlink_to(PROJECT / "var" / "cache")
    return open_workspace(DOMAIN, settings)


def hear(
    workspace: Workspace, parts: Sequence[str]
) -> tuple[list[Utterance], dict[str, list[Prediction]]]:
    """Build the corpus, train what is to be trained, and hear the held-out speech."""
    from lifecycle import splits
    from lifecycle.base_engine import STAGE as BASE_ENGINE
    from lifecycle.base_engine import engine_folder, make_base_engine
    from lifecycle.corpus import make_corpus
    from lifecycle.validation import make_validation

    make_corpus(workspace)
    make_base_engine(workspace)
    make_validation(workspace)
    splits.make_splits(workspace)
    assert not splits.split_problems(workspace)
    rows = splits.read_splits(workspace)
    held_out = [row for row in rows if row.split == "test"]
    said = {}
    for part in parts:
        path = workspace.settings.home / f"{_name(workspace, part)}.parquet"
        if not path.is_file():
            if part == BASE:
                engine = engine_folder(workspace.current(BASE_ENGINE))
                heard = _hear(workspace, engine, held_out[::6])
            else:
                engine = _engine(workspace, _train(workspace, rows, part))
                heard = _hear(workspace, engine, held_out)
            write_predictions(path, heard)
        said[part] = read_predictions(path)
    return held_out, said


def _name(workspace: Workspace, part: str) -> str:
    training = workspace.domain.training
    if part == BASE:
        return "base"
    name = f"{part.split()[0]}-{training.steps}"
    return f"{name}-{training.term_factor}" if part == WITH else name


def _train(workspace: Workspace, rows: Sequence[Utterance], part: str) -> Path:
    """The merged model of one training; found again where it was made before."""
    from data.tables import write_utterances
    from lifecycle import replay
    from lifecycle.adapter import training_spec
    from lifecycle.base_model import base_model
    from training.launch import run_training
    from training.merging import merge

    base, with_terms = base_model(workspace).path, part == WITH
    folder = workspace.settings.home / _name(workspace, part)
    if (folder / "merged").is_dir():
        return folder / "merged"
    chosen = [row for row in rows if with_terms or row.source != TERMS]
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_utterances(folder / "utterances.parquet", chosen)
    general = replay.make_replay(workspace)
    table = folder / "utterances.parquet"
    spec = training_spec(workspace, general, folder / "adapter", utterances=table)
    if not with_terms:
        spec = replace(spec, terms=())
    began = time.monotonic()
    run_training(
        spec, folder / "checkpoints", lambda news: print(news.step, news.message, flush=True)
    )
    print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)
    merge(base, folder / "adapter", folder / "merged")
    return folder / "merged"


def _engine(workspace: Workspace, model: Path) -> Path:
    """The engine of a merged model as the lifecycle would build it."""
    from lifecycle.base_engine import engine_spec
    from serving.engines.ctranslate2 import build
    from training.base_models import tensor_digest
    from training.merging import DESCRIPTION
    from voiceforge.files import new_folder, read_json

    folder = model.parent / "engine"
    if not folder.is_dir():
        spec = engine_spec(workspace, int(read_json(model / DESCRIPTION)["minimum_mel_frames"]))
        with new_folder(folder) as new:
            silence = workspace.domain.engine.trailing_silence
            build(model, new, spec, tensor_digest(model), silence)
    return folder


def _hear(workspace: Workspace, engine: Path, rows: Sequence[Utterance]) -> list[Prediction]:
    from evaluation.runners import predict
    from serving.engines import load_engine

    loaded = load_engine(engine, threads=workspace.settings.threads)
    batch = workspace.domain.evaluation.batch_size
    return predict(loaded, rows, workspace.corpus, batch_size=batch)


def figures(
    workspace: Workspace, held_out: Sequence[Utterance], heard: dict[str, list[Prediction]]
) -> list[Row]:
    """Recall and precision on the carriers, word error rates there and elsewhere, differences."""
    params = workspace.domain.evaluation
    names = [normalise(name, params.normaliser, "en") for name in NAMES]
    vocabulary = Vocabulary(names)
    resampling = Resampling(params.confidence, params.resamples, params.seed)
    scored = {
        name: score(said, held_out, normaliser=params.normaliser, language="en")
        for name, said in heard.items()
    }
    found = []
    for name, all_rows in scored.items():
        carriers = _of(all_rows, True)
        recall, precision = term_rates(carriers, vocabulary, resampling)
        found.append(_share(f"term recall, {name}", recall))
        found.append(_share(f"term precision, {name}", precision))
        found.append(_errors(f"word error rate, held-out carriers, {name}", carriers, resampling))
        people = [row for row in _of(all_rows, False) if not row.utterance.is_synthetic]
        found.append(_errors(f"word error rate, people, {name}", people, resampling))
        machines = [row for row in _of(all_rows, False) if row.utterance.is_synthetic]
        found.append(_errors(f"word error rate, accents, {name}", machines, resampling))
    without, with_terms = scored[WITHOUT], scored[WITH]
    gain = recall_gain(_of(with_terms, True), _of(without, True), vocabulary, resampling)
    found.append(_share("gain in term recall by the terms, points", gain))
    other = compare(_of(with_terms, False), _of(without, False), Slice("overall"), resampling)
    assert other is not None
    found.append(
        Row(
            "difference in word error rate without terms by the terms, points",
            other.difference.percent(2).replace("%", ""),
            f"{other.difference.words:,} words, {other.texts} texts",
        )
    )
    for name, all_rows in scored.items():
        counts = merge_counts(
            count_terms(row.reference, row.hypothesis, vocabulary) for row in all_rows
        )
        each = ", ".join(f"{NAMES[at]} {c.found}/{c.occurrences}" for at, c in counts.items())
        print(f"{name}: {each}")
    return found


def _of(rows: Sequence[Scored], carriers: bool) -> list[Scored]:
    return [row for row in rows if (row.utterance.source == TERMS) == carriers]


def _share(name: str, rate: TermRate | None) -> Row:
    if rate is None:
        return Row(name, "none", "no occurrence")
    shown = f"{100 * rate.value:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
    basis = f"{rate.occurrences} occurrences, {rate.utterances} clips, {rate.speakers} voices"
    return Row(name, shown + ("" if "points" in name else " %"), basis)


def _errors(name: str, rows: Sequence[Scored], resampling: Resampling) -> Row:
    rate = word_error_rate_of(rows, resampling)
    basis = f"{rate.words:,} words, {rate.utterances} clips, {rate.speakers} voices"
    return Row(name, rate.percent(), basis)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
