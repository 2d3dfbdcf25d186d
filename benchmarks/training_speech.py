"""What a fine-tuned model wins and forgets, beside its base model on the same utterances.

Intervals are those of the reports (`evaluation.slices`): paired, and whole texts are drawn, since
most sets have one speaker, whom no resampling can replace.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from benchmarks.record import Row
from data.features import WINDOW_FRAMES
from data.splits import text_key
from data.tables import UTTERANCES, read_utterances
from data.utterance import Utterance
from evaluation.comparison import Slice
from evaluation.runners import predict, stratified_sample
from evaluation.slices import Resampling, Scored, compare, score
from lifecycle import engine, predictions, splits
from lifecycle.base_engine import engine_spec
from lifecycle.corpus import build_here
from lifecycle.workspace import Workspace
from serving.engines import ctranslate2, load_engine
from serving.engines.contracts import DecodingOptions, Engine
from training.base_models import tensor_digest
from training.merging import DESCRIPTION
from voiceforge.errors import SourceError
from voiceforge.files import read_json, write_text
from voiceforge.params import PiperSource, PromptsSource, ReadingsSource, Source
from voiceforge.params.sources import READINGS, PromptLanguage
from voiceforge.settings import Settings

_ALL = Slice("overall")
_LEAST_WORDS = 10
"""Of a speaker's own row: fewer say nothing."""
_PIPER_TEXTS = 160
Pair = tuple[tuple[Scored, ...], tuple[Scored, ...]]
"""The same utterances as the fine-tuned and as the base model heard them."""


def measure(
    workspace: Workspace,
    here: Settings,
    models: tuple[Path, Path] | None,
    words: int,
    heard: Path | None = None,
) -> Iterator[Row]:
    """All comparisons, as they are finished.

    Args:
        workspace: of a finished domain, or with `models` of one that is split.
        here: whose cache has the readings, or gets them.
        models: Hugging Face folders of the base and the merged model; None for the domain's own.
        words: about as many are heard of every set, accent and language.
        heard: TSV to write of what both heard, utterance by utterance.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(workspace, here, models, words, Path(folder), heard)
        yield from bench.own()
        yield from bench.general()
        yield from bench.other_languages()


@dataclass(frozen=True)
class _Speech:
    """Utterances of one source, and the folder that their audio lies in."""

    name: str
    rows: list[Utterance]
    corpus: Path


class _Bench:
    def __init__(
        self,
        workspace: Workspace,
        here: Settings,
        models: tuple[Path, Path] | None,
        words: int,
        folder: Path,
        heard: Path | None = None,
    ) -> None:
        self._heard_file = heard
        self._workspace, self._here, self._words, self._folder = workspace, here, words, folder
        self._language = workspace.domain.language
        self._finished = models is None
        threads = here.threads
        self._base: Engine
        self._tuned: Engine
        if models is None:
            paths = (workspace.current(engine.BASE), workspace.current(engine.STAGE))
            base, tuned = (engine.engine_folder(artifact) for artifact in paths)
        else:
            base = self._build(models[0], "base", WINDOW_FRAMES, 0.0)
            least = int(read_json(models[1] / DESCRIPTION)["minimum_mel_frames"])
            silence = workspace.domain.engine.trailing_silence
            tuned = self._build(models[1], "merged", least, silence)
        self._base, self._tuned = load_engine(base, threads), load_engine(tuned, threads)
        known = splits.read_splits(workspace)
        self._trained = {text_key(row.text) for row in known if row.split in ("train", "dev")}
        self._test = [row for row in known if row.split == "test"]
        params = workspace.domain.evaluation
        self._heard = ["utterance\treference\tbase\tfine-tuned"]
        self._resampling = Resampling(params.confidence, params.resamples, params.seed)

    def own(self) -> Iterator[Row]:
        """The domain's held-out speech: every synthetic accent, all of them, and people."""
        tuned, base = self._own_pair()
        accents = sorted({row.utterance.accent for row in tuned if row.utterance.is_synthetic})
        for accent in accents:
            part = Slice("accent", accent, is_synthetic=True)
            yield from self._rows(f"held-out accent {accent}", (tuned, base), part)
        if accents:
            part = Slice("synthetic", is_synthetic=True)
            yield from self._rows("held-out accents together", (tuned, base), part)
        if any(not row.utterance.is_synthetic for row in tuned):
            part = Slice("human", is_synthetic=False)
            yield from self._rows("the domain's people", (tuned, base), part)

    def general(self) -> Iterator[Row]:
        """Speech of other packages in the domain's language: sets, people, a synthetic voice."""
        people: list[Pair] = []
        for name, languages in READINGS.items():
            if self._language in languages:
                source = ReadingsSource(kind="readings", set=name, language=self._language)
                try:
                    speech = self._speech(f"readings {name}", source)
                except SourceError as error:
                    yield Row(f"readings {name}", "could not be had", str(error))
                    continue
                pair = self._hear(speech)
                yield from self._rows(f"readings {name}", pair)
                people.append(pair)
        if people:
            pooled = _together(people)
            yield from self._rows("general speech by people", pooled)
            yield from self._speakers(pooled)
        if self._language == "en" and find_spec("piper"):
            voice = PiperSource(
                kind="piper",
                texts="prompts",
                language="en",
                voice="piper-joe-en-us",
                clips=_PIPER_TEXTS,
            )
            pair = self._hear(self._speech("Piper", voice))
            yield from self._rows("Piper's voice, held-out texts", pair)

    def other_languages(self) -> Iterator[Row]:
        """What a multilingual model still knows of languages that it was not tuned to."""
        if not self._tuned.description.multilingual:
            return
        pairs = []
        for language in get_args(PromptLanguage):
            if language == self._language:
                continue
            sources: list[Source] = [PromptsSource(kind="prompts", language=language)]
            sources += [
                ReadingsSource(kind="readings", set=name, language=language)
                for name, languages in READINGS.items()
                if language in languages
            ]
            for source in sources:
                name = f"{language}: " + (
                    f"readings {source.set}" if isinstance(source, ReadingsSource) else "prompts"
                )
                pair = self._hear(self._speech(name, source))
                yield from self._rows(name, pair)
                pairs.append(pair)
        if pairs:
            yield from self._rows("other languages together", _together(pairs))

    def _own_pair(self) -> Pair:
        workspace, params = self._workspace, self._workspace.domain.evaluation
        if not self._finished:
            return self._hear(_Speech("own", self._test, workspace.corpus))
        stages = (predictions.STAGE, predictions.BASE)
        tuned, base = (
            score(
                predictions.read(workspace.current(stage)),
                self._test,
                normaliser=params.normaliser,
                language=self._language,
            )
            for stage in stages
        )
        return tuned, base

    def _speech(self, name: str, source: Source) -> _Speech:
        """A source's recordings, without texts that the model was trained on or tuned with."""
        out = Path(tempfile.mkdtemp(dir=self._folder))
        language = getattr(source, "language", self._language)
        domain = self._workspace.domain.model_copy(
            update={"name": "benchmark", "language": language, "sources": (source,)}
        )
        build_here(self._here, domain, out)
        rows = read_utterances(out / UTTERANCES)
        return _Speech(name, [row for row in rows if text_key(row.text) not in self._trained], out)

    def _hear(self, speech: _Speech) -> Pair:
        """A sample of the speech, as both models hear it."""
        params = self._workspace.domain.evaluation
        sample = stratified_sample(speech.rows, self._words, params.seed)
        own = all(row.language == self._language for row in sample)
        language = self._language if own else sample[0].language
        normaliser = params.normaliser
        if not own:
            normaliser = "whisper-english" if language == "en" else "whisper-basic"
        options = DecodingOptions(language="" if own else language)
        tuned, base = (
            score(
                predict(one, sample, speech.corpus, batch_size=params.batch_size, options=options),
                sample,
                normaliser=normaliser,
                language=language,
            )
            for one in (self._tuned, self._base)
        )
        self._heard += [
            "\t".join((row.utterance.id, row.reference, other.hypothesis, row.hypothesis))
            for row, other in zip(tuned, base, strict=True)
        ]
        if self._heard_file is not None:
            write_text(self._heard_file, "\n".join(self._heard) + "\n")
        return tuned, base

    def _speakers(self, pair: Pair) -> Iterator[Row]:
        for speaker in sorted({row.utterance.speaker for row in pair[0]}):
            tuned, base = (
                tuple(row for row in rows if row.utterance.speaker == speaker) for rows in pair
            )
            if sum(row.words for row in tuned) >= _LEAST_WORDS:
                yield from self._rows(f"speaker {speaker}", (tuned, base))

    def _rows(self, name: str, pair: Pair, part: Slice = _ALL) -> Iterator[Row]:
        found = compare(*pair, part, self._resampling)
        if found is None:
            return
        estimate = found.difference
        rests_on = (
            f"{estimate.words:,} words, {estimate.utterances} utterances, {found.texts} texts, "
            f"{estimate.speakers} speaker{'s' * (estimate.speakers != 1)}"
        )
        rates = f"{found.baseline.value:.1%}, {found.candidate.value:.1%}"
        yield Row(f"word error rate, {name}: base, fine-tuned", rates, rests_on)
        low, high = 100 * estimate.low, 100 * estimate.high
        points = f"{100 * estimate.value:+.2f} [{low:+.2f}, {high:+.2f}]"
        yield Row(f"difference in points, {name}", points, rests_on)
        if found.reduction is not None:
            yield Row(f"fewer word errors, {name}", f"{found.reduction.value:.0%}", rests_on)

    def _build(self, model: Path, name: str, frames: int, silence: float) -> Path:
        out = self._folder / name
        out.mkdir()
        spec = engine_spec(self._workspace, frames)
        digest = tensor_digest(model)
        ctranslate2.build(model, out, spec, source_sha256=digest, trailing_silence=silence)
        return out


def _together(pairs: Sequence[Pair]) -> Pair:
    return (
        tuple(row for tuned, _ in pairs for row in tuned),
        tuple(row for _, base in pairs for row in base),
    )
