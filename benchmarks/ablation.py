"""What each part of the training recipe brings: the same training again, with one thing changed.

    python -m benchmarks.ablation --domain telephony-it [VARIANT ...] [--variants FILE]
                                  [--held 0.4] [--words 3000] [--list] [--write] [--remark TEXT]

The test set has no part in it, so that defaults may be chosen by it. Of the domain's train split a
share of the texts (--held) is set aside; variants train on the rest, keep their best step by dev,
and are judged on the texts set aside: as they are served (at clip length), in 30 s windows, as the
voices of dev speak them, which no variant trains on (a domain of eSpeak's accents), and on general
speech whose texts are in no training (a multilingual model: prompts in its other languages
that are dev by their hash; an English one: everyday sentences in Piper's voice). Base models are
heard in 30 s windows. Differences are paired, whole texts are drawn. Variants are read from
benchmarks/ablation.yaml: changes to the `training` block of the domain. What is measured is kept
and a killed training goes on. --write puts the table into docs/training.md.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from benchmarks.ablation_speech import dev_voices, general_speech, set_aside
from benchmarks.record import machine_note, write_table
from data.features import WINDOW_FRAMES
from data.split_hash import hash_split, text_key
from data.tables import UTTERANCES, read_utterances, write_utterances
from data.utterance import Utterance
from evaluation.comparison import Comparison, Slice
from evaluation.estimate import signed_points
from evaluation.runners import (
    predict,
    read_predictions,
    stratified_sample,
    write_predictions,
)
from evaluation.slices import Resampling, Scored, compare, score
from lifecycle import replay, splits
from lifecycle.adapter import hyperparameters, training_spec
from lifecycle.artifacts import Artifact
from lifecycle.base_engine import engine_spec
from lifecycle.base_model import base_model
from lifecycle.corpus import build_here
from lifecycle.workspace import Workspace, open_workspace
from serving.engines import ctranslate2, load_engine
from serving.engines.contracts import DecodingOptions
from training.base_models import tensor_digest
from training.launch import run_training
from training.merging import merge
from training.recipe import TrainingProgress
from voiceforge.errors import UsageError
from voiceforge.params import (
    Source,
    TrainingParams,
    overlay,
)

VARIANTS = Path(__file__).with_suffix(".yaml")
BASE = "base model, 30 s windows"
RECIPE = "recipe"
HELD, WINDOWS, UNHEARD, GENERAL = "held", "windows", "unheard", "general"
_VERSION = 3
_WINDOW_CLIPS = 60
_HEADER = (
    "variant", "words wrong", "people, against the base", "machines, against the base",
    "against the recipe", "unheard voices", "unheard voices, against the recipe",
    "in 30 s windows, against the base", "general speech, against the base", "steps kept of",
    "minutes", "speech a second", "memory",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", metavar="VARIANT", help="all of the domain without")
    parser.add_argument("--domain", required=True, help="of params.yaml, already split")
    parser.add_argument("--variants", type=Path, default=VARIANTS, help="YAML of changes")
    parser.add_argument("--held", type=float, default=0.4, help="share of train texts to judge by")
    parser.add_argument("--words", type=int, default=3000, help="judged, of each accent and set")
    parser.add_argument("--list", action="store_true", help="say what the variants change")
    parser.add_argument("--write", action="store_true", help="write docs/training.md")
    parser.add_argument("--remark", default="", help="what a reader has to know of this run")
    given = parser.parse_args()
    workspace = open_workspace(given.domain)
    variants = read_variants(given.variants, given.domain, workspace.domain.training)
    if given.list:
        for name, (changes, _) in variants.items():
            print(f"{name:<28} {changes}")
        return
    if unknown := sorted(set(given.names) - set(variants)):
        parser.error(f"no variant {unknown[0]!r}; there are: {', '.join(variants)}")
    ablation = Ablation(workspace, given.held, given.words)
    names = given.names or list(variants)
    rows = []
    for row in ablation.table({name: variants[name][1] for name in names}):
        print(" | ".join(row), flush=True)
        rows.append(row)
    if given.write:
        command = f"python -m benchmarks.ablation --domain {given.domain}"
        note = machine_note(command, f"{ablation.note} {given.remark}")
        page = workspace.settings.project / "docs" / "training.md"
        write_table(page, f"Ablation: {given.domain}", note, _HEADER, rows)


def read_variants(
    path: Path, domain: str, recipe: TrainingParams
) -> dict[str, tuple[Mapping[str, Any], TrainingParams]]:
    """The changes of each variant of a domain, and its training block with them.

    Raises:
        UsageError: no variants for the domain, or changes that cannot be meant.
    """
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict) or not isinstance(content.get(domain), dict):
        raise UsageError(f"{path} has no variants for {domain!r}.")
    found = {}
    for name, changes in {RECIPE: {}, **content[domain]}.items():
        try:
            fields = overlay(recipe.model_dump(mode="json"), changes or {})
            found[name] = changes or {}, TrainingParams.model_validate(fields)
        except ValidationError as error:
            raise UsageError(f"{path}: {domain}.{name}: {error}") from error
    return found


class Ablation:
    """The variants of one domain; what is measured goes below a domain of its own name."""

    def __init__(self, workspace: Workspace, share: float, words: int) -> None:
        params = workspace.domain.evaluation
        self._origin = workspace
        self._share = share
        self._resampling = Resampling(params.confidence, params.resamples, params.seed)
        domain = workspace.domain.model_copy(update={"name": f"ablation-{workspace.domain.name}"})
        self._workspace = Workspace(workspace.settings, domain)
        split = workspace.current(splits.STAGE)
        self._splits = self._workspace.keep(
            splits.STAGE, dataclasses.replace(split, domain=domain.name)
        )
        learnt, judged = set_aside(splits.read_splits(workspace), share, domain.splits)
        if not judged or not any(row.split == "train" for row in learnt):
            raise UsageError(f"A share of {share} leaves no texts to train or to judge on.")
        self._learnt, self._judged = learnt, stratified_sample(judged, words, params.seed)
        self._words = words
        self._base = base_model(workspace)
        speech = self._general_speech()
        self._general = _Speech(
            stratified_sample(read_utterances(speech.path / UTTERANCES), words, params.seed),
            speech.path,
        )
        self._unheard = self._unheard_voices({text_key(row.text) for row in judged})

    @property
    def note(self) -> str:
        """What the table rests on."""
        clips = [row for row in self._learnt if row.split == "train"]
        general = self._general.rows
        sources = ", ".join(sorted({row.source for row in general}))
        confidence = self._resampling.confidence
        return (
            f"{len(clips)} clips are trained on; judged on {len(self._judged)} clips, "
            f"{_words(self._judged)} words, of {self._share:.0%} of the train texts, which no "
            f"variant has heard; in 30 s windows {len(self._windows.rows)} of them; unheard voices "
            f"are {len(self._unheard.rows)} clips, {_words(self._unheard.rows)} words, of the "
            f"same texts by the voices of dev; general speech {len(general)} clips, "
            f"{_words(general)} words ({sources}). The test set has no part in it. Points of word "
            f"error rate with their {confidence:.0%} intervals; one training each (one seed)."
        )

    def table(self, variants: Mapping[str, TrainingParams]) -> Iterator[tuple[str, ...]]:
        """The base model's row, then one for each variant, beside the recipe if that came first."""
        base = self._scored(self._heard_base())
        empty = [""] * (len(_HEADER) - 2)
        empty[_HEADER.index("unheard voices") - 2] = _rate(base[UNHEARD])
        yield (BASE, _rate(base[HELD]), *empty)
        recipe: dict[str, tuple[Scored, ...]] | None = None
        for name, params in variants.items():
            artifact = self._trained(params)
            heard = self._scored(artifact)
            recipe = heard if name == RECIPE else recipe
            people, machines, windows, general = (
                compare(heard[part], base[HELD if part == WINDOWS else part], of, self._resampling)
                for part, of in (
                    (HELD, _PEOPLE), (HELD, _MACHINES), (WINDOWS, _ALL), (GENERAL, _ALL)
                )
            )  # fmt: skip
            beside = recipe if name != RECIPE else None
            against, unheard_against = (
                compare(heard[part], beside[part], _ALL, self._resampling) if beside else None
                for part in (HELD, UNHEARD)
            )
            told = artifact.summary
            yield (
                name,
                _rate(heard[HELD]),
                _points(people),
                _points(machines),
                _points(against),
                _rate(heard[UNHEARD]),
                _points(unheard_against),
                _points(windows),
                _points(general),
                f"{told['best_step']} of {told['steps']}",
                f"{told['seconds'] / 60:.1f}",
                f"{told['audio_seconds'] / told['seconds']:.1f} s",
                f"{told['peak_memory_bytes'] / 1e9:.1f} GB",
            )

    @property
    def _windows(self) -> _Speech:
        """Clips that are heard in 30 s windows, which take long."""
        chosen = sorted(self._judged, key=lambda row: text_key(row.id[::-1]))[:_WINDOW_CLIPS]
        return _Speech(chosen, self._origin.corpus)

    def _trained(self, params: TrainingParams) -> Artifact:
        workspace, origin = self._workspace.trained_with(params), self._origin.trained_with(params)
        domain = workspace.domain
        general = replay.make_replay(workspace)

        def build(folder: Path, checkpoints: Path) -> Mapping[str, Any]:
            table = checkpoints / "learnt.parquet"
            write_utterances(table, self._learnt)
            spec = training_spec(origin, general, folder / "adapter", utterances=table)
            report = run_training(spec, checkpoints, _say)
            merge(self._base.path, spec.output, checkpoints / "merged")
            silence = domain.engine.trailing_silence
            least = report.minimum_mel_frames
            if params.full_length_share == 1.0:  # it knows the whole window alone
                silence, least = 0.0, WINDOW_FRAMES
            self._hear(checkpoints / "merged", checkpoints, folder, least, silence)
            return {
                "steps": report.steps,
                "best_step": report.best_step,
                "seconds": round(report.seconds, 1),
                "audio_seconds": round(report.audio_seconds, 1),
                "peak_memory_bytes": report.peak_memory_bytes,
            }

        inputs = self._inputs()
        if general:
            inputs[replay.STAGE] = general.sha256
        return workspace.make(
            "ablation", _VERSION, inputs, self._asked(hyperparameters(origin)), build
        )

    def _heard_base(self) -> Artifact:
        def build(folder: Path, scratch: Path) -> Mapping[str, Any]:
            self._hear(self._base.path, scratch, folder, WINDOW_FRAMES, 0.0)
            return {}

        asked = self._asked({})
        return self._workspace.make("ablation", _VERSION, self._inputs(), asked, build)

    def _inputs(self) -> dict[str, str]:
        return {"base_model": self._base.sha256, splits.STAGE: self._splits.sha256}

    def _asked(self, training: Mapping[str, Any]) -> dict[str, Any]:
        domain = self._workspace.domain
        engine = domain.engine.model_dump(mode="json")
        return {"training": training, "share": self._share, "words": self._words, "engine": engine}

    def _hear(self, model: Path, scratch: Path, out: Path, frames: int, silence: float) -> None:
        """What a model says of each set, as its engine in the serving precision."""
        own, digest = self._origin.corpus, tensor_digest(model)
        sets = {
            HELD: (_Speech(self._judged, own), frames, silence),
            GENERAL: (self._general, frames, silence),
            WINDOWS: (self._windows, WINDOW_FRAMES, 0.0),
            UNHEARD: (self._unheard, frames, silence),
        }
        for name, (speech, least, tail) in sets.items():
            folder = scratch / f"engine-{least}-{tail}"
            if not folder.is_dir():
                folder.mkdir()
                spec = engine_spec(self._workspace, least)
                ctranslate2.build(model, folder, spec, source_sha256=digest, trailing_silence=tail)
            heard = load_engine(folder, self._origin.settings.threads)
            said = []
            for language in sorted({row.language for row in speech.rows}):
                rows = [row for row in speech.rows if row.language == language]
                own_language = language == self._workspace.domain.language
                options = DecodingOptions(language="" if own_language else language)
                size = self._workspace.domain.evaluation.batch_size
                said += predict(heard, rows, speech.corpus, batch_size=size, options=options)
            write_predictions(out / f"{name}.parquet", said)

    def _scored(self, artifact: Artifact) -> dict[str, tuple[Scored, ...]]:
        domain = self._workspace.domain
        found = {}
        for name, rows in {
            HELD: self._judged,
            GENERAL: self._general.rows,
            WINDOWS: self._windows.rows,
            UNHEARD: self._unheard.rows,
        }.items():
            own = {row.language for row in rows} <= {domain.language}
            found[name] = score(
                read_predictions(artifact.path / f"{name}.parquet"),
                rows,
                normaliser=domain.evaluation.normaliser if own else "whisper-basic",
                language=domain.language,
            )
        return found

    def _general_speech(self) -> Artifact:
        """Recordings whose texts by their hash are in the train split of no domain."""
        domain = self._workspace.domain
        sources, held = general_speech(domain, multilingual=self._base.multilingual)

        def is_held(row: Utterance) -> bool:
            return hash_split(text_key(row.text), domain.splits) in held

        return self._built("general_speech", sources, is_held)

    def _unheard_voices(self, texts: set[str]) -> _Speech:
        """The texts set aside, spoken by eSpeak's voices of dev; none without such a source."""
        sources = dev_voices(self._workspace.domain)
        if not sources:
            return _Speech([], self._origin.corpus)
        made = self._built("unheard_voices", sources, lambda row: text_key(row.text) in texts)
        return _Speech(read_utterances(made.path / UTTERANCES), made.path)

    def _built(
        self, name: str, sources: Sequence[Source], wanted: Callable[[Utterance], bool]
    ) -> Artifact:
        """A corpus of these sources, of which the wanted utterances are kept."""

        def build(folder: Path, _: Path) -> Mapping[str, Any]:
            domain = self._workspace.domain.model_copy(update={"sources": tuple(sources)})
            build_here(self._origin.settings, domain, folder)
            kept = [row for row in read_utterances(folder / UTTERANCES) if wanted(row)]
            write_utterances(folder / UTTERANCES, kept)
            return {"utterances": len(kept)}

        asked = {"sources": [one.model_dump(mode="json") for one in sources], "share": self._share}
        inputs = {splits.STAGE: self._splits.sha256}
        return self._workspace.make(name, _VERSION, inputs, asked, build)


@dataclasses.dataclass(frozen=True)
class _Speech:
    """Utterances, and the folder that their audio lies in."""

    rows: list[Utterance]
    corpus: Path


_ALL = Slice("overall")
_PEOPLE, _MACHINES = Slice("human", is_synthetic=False), Slice("synthetic", is_synthetic=True)


def _words(rows: Sequence[Utterance]) -> str:
    return f"{sum(len(row.text.split()) for row in rows):,}"


def _rate(rows: Sequence[Scored]) -> str:
    words = sum(row.words for row in rows)
    return f"{sum(row.errors for row in rows) / words:.1%}" if words else ""


def _points(compared: Comparison | None) -> str:
    return signed_points(compared.difference) if compared else ""


def _say(news: TrainingProgress) -> None:
    if news.note or news.dev:
        print(f"  {news.step}/{news.steps} {news.message}", flush=True)


if __name__ == "__main__":
    main()
