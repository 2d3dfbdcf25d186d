"""What a fine-tuning run is made from, what it tells while it runs, and what it leaves behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voiceforge.params import TrainingParams

REPORT = "training_report.json"
"""File of the `TrainingReport` beside the adapter."""

PATHS = ("base", "corpus", "utterances", "output", "replay")


@dataclass(frozen=True)
class TrainingSpec:
    """One fine-tuning run.

    Attributes:
        language: ISO 639-1 code of the speech.
        base: Hugging Face folder of the base model (safetensors), or the `.nemo` file of a NeMo
            model.
        corpus: folder that the utterances' audio paths are relative to.
        utterances: parquet of utterances with their splits.
        output: folder that appears when training has ended well; it holds the adapter (PEFT
            safetensors) and training_report.json.
        threads: CPU threads.
        normaliser: name of the text normaliser (evaluation.text) of the dev word error rate.
        params: hyperparameters, the `training` block of params.yaml.
        device: "cpu", "cuda" or "auto"; what trains.
        processes: that share each batch on this machine; its threads are shared among them.
        replay: folder with the general audio to replay and its utterances.parquet; None for none.
        terms: the domain's vocabulary, whose clips are drawn `term_factor` times as often.
    """

    language: str
    base: Path
    corpus: Path
    utterances: Path
    output: Path
    threads: int
    normaliser: str
    params: TrainingParams
    device: str = "auto"
    processes: int = 1
    replay: Path | None = None
    terms: tuple[str, ...] = ()

    @classmethod
    def from_params(
        cls,
        params: TrainingParams,
        *,
        language: str,
        normaliser: str,
        base: Path,
        corpus: Path,
        utterances: Path,
        output: Path,
        threads: int,
        device: str = "auto",
        processes: int = 1,
        replay: Path | None = None,
        terms: tuple[str, ...] = (),
    ) -> TrainingSpec:
        return cls(
            language,
            base,
            corpus,
            utterances,
            output,
            threads,
            normaliser,
            params,
            device=device,
            processes=processes,
            replay=replay,
            terms=terms,
        )

    @property
    def dev_silence(self) -> float:
        """Seconds of silence after each dev clip: the mean of what training clips get."""
        return sum(self.params.trailing_silence) / 2

    @property
    def drawn_terms(self) -> list[str]:
        """The terms as far as they decide what is drawn: none where the factor is 1."""
        return list(self.terms) if self.params.term_factor > 1 else []

    def as_dict(self) -> dict[str, Any]:
        fields = {key: getattr(self, key) for key in self.__dataclass_fields__}
        fields.update({key: str(fields[key]) for key in PATHS if fields[key] is not None})
        return {**fields, "params": self.params.model_dump(mode="json")}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TrainingSpec:
        paths = {key: Path(fields[key]) for key in PATHS if fields.get(key) is not None}
        params, terms = TrainingParams(**fields["params"]), tuple(fields["terms"])
        return cls(**{**fields, **paths, "params": params, "terms": terms})


@dataclass(frozen=True, slots=True)
class Score:
    """Pooled word errors of some dev clips after `step` steps."""

    step: int
    slice: str
    errors: int
    words: int
    utterances: int

    @property
    def rate(self) -> float:
        """Word error rate as a fraction; NaN without words."""
        return self.errors / self.words if self.words else float("nan")


@dataclass(frozen=True, slots=True)
class LossPoint:
    """Mean training loss over the steps since the last point: nats per token, and what
    distillation adds with its weights.

    `gradient_norm` is the largest of those steps before clipping (to 1): one that grows a
    hundredfold foretells a training that goes astray. None in reports that do not know it.
    """

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """One line of news from a running training.

    Attributes:
        step: optimizer steps done, of `steps`.
        loss: mean training loss since the last news, nats per token; None before the first.
        gradient_norm: largest since the last news, before clipping.
        dev: dev scores, when this news is about an evaluation; the slice "all" comes first.
        seconds: wall seconds trained so far, earlier attempts included.
        seconds_left: estimate; None before it can be made.
        audio_seconds_per_second: speech trained on in a second of wall time.
        note: what was chosen or resumed, for the log; empty for plain progress.
    """

    step: int
    steps: int
    loss: float | None = None
    learning_rate: float | None = None
    dev: tuple[Score, ...] = ()
    seconds: float = 0.0
    seconds_left: float | None = None
    audio_seconds_per_second: float | None = None
    note: str = ""
    gradient_norm: float | None = None

    @property
    def message(self) -> str:
        """One short line for a person."""
        if self.note:
            return self.note
        if self.dev:
            overall = self.dev[0]
            return f"dev word error rate {100 * overall.rate:.1f}% of {overall.words} words"
        return "" if self.loss is None else f"loss {self.loss:.3f}"

    def values(self) -> dict[str, float]:
        """The figures of the moment by name; those not known are left out."""
        figures = {
            "loss": self.loss,
            "learning rate": self.learning_rate,
            "gradient norm": self.gradient_norm,
            "dev word error rate": next((s.rate for s in self.dev if s.slice == "all"), None),
            "audio seconds per second": self.audio_seconds_per_second,
            "seconds left": self.seconds_left,
        }
        return {name: figure for name, figure in figures.items() if figure is not None}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TrainingProgress:
        return cls(**{**fields, "dev": tuple(Score(**score) for score in fields["dev"])})


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """The content of `training_report.json`.

    Attributes:
        best_step: the step whose adapter was kept; see the function of that name.
        dev: every dev score, in order of steps; slice "all", "human", and one for each accent.
        seconds: wall seconds of training, all attempts together.
        audio_seconds: seconds of speech heard in training, repeats counted.
        train_utterances: clips of the corpus trained on, `train_seconds` long in sum.
        replayed_utterances: clips of general audio beside them.
        left_out: train clips that were too long for the recipe or for the decoder.
        minimum_mel_frames: shortest mel, in 10 ms frames, that the model was trained on.
        trailing_silence: least and most seconds of silence after a clip in training.
        peak_memory_bytes: highest resident set of the training process.
        precision: "bfloat16" or "float16" (autocast), or "float32".
        device: "cpu" or "cuda", and the number of `processes` that shared each batch.
        left_out_texts: how many of those left out have a transcript that the decoder has no room
            for; `left_out_ids` names them, at most 100.
    """

    steps: int
    best_step: int
    losses: tuple[LossPoint, ...]
    dev: tuple[Score, ...]
    seconds: float
    audio_seconds: float
    train_utterances: int
    train_seconds: float
    left_out: int
    trained_parameters: int
    minimum_mel_frames: int
    trailing_silence: tuple[float, float]
    peak_memory_bytes: int
    precision: str
    threads: int
    seed: int
    language: str
    hyperparameters: dict[str, Any]
    versions: dict[str, str]
    # Reports of older versions do without the rest.
    device: str = "cpu"
    processes: int = 1
    left_out_texts: int = 0
    left_out_ids: tuple[str, ...] = ()
    replayed_utterances: int = 0

    def dev_scores(self, step: int | None = None) -> tuple[Score, ...]:
        """Dev scores of one step, of the kept one by default."""
        wanted = self.best_step if step is None else step
        return tuple(score for score in self.dev if score.step == wanted)

    def summary(self) -> dict[str, Any]:
        """What a person wants to see of the run, JSON values only."""
        overall = [score for score in self.dev if score.slice == "all"]
        kept = next(score for score in overall if score.step == self.best_step)
        return {
            "steps": self.steps,
            "best_step": self.best_step,
            "dev_word_error_rate": kept.rate,
            "dev_words": kept.words,
            "dev_utterances": kept.utterances,
            "dev_slices": [
                {"slice": score.slice, "word_error_rate": score.rate, "words": score.words}
                for score in self.dev_scores()
                if score.words
            ],
            "dev_curve": [{"step": score.step, "word_error_rate": score.rate} for score in overall],
            "loss_curve": [
                {"step": point.step, "loss": point.loss, "gradient_norm": point.gradient_norm}
                for point in self.losses
            ],
            "seconds": self.seconds,
            "audio_seconds": self.audio_seconds,
            "train_utterances": self.train_utterances,
            "train_seconds": self.train_seconds,
            "replayed_utterances": self.replayed_utterances,
            "left_out": self.left_out,
            "left_out_texts": self.left_out_texts,
            "left_out_ids": list(self.left_out_ids),
            "trained_parameters": self.trained_parameters,
            "peak_memory_bytes": self.peak_memory_bytes,
            "precision": self.precision,
            "device": self.device,
            "processes": self.processes,
            "seed": self.seed,
            "versions": self.versions,
        }

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TrainingReport:
        return cls(
            **{
                **fields,
                "losses": tuple(LossPoint(**point) for point in fields["losses"]),
                "dev": tuple(Score(**score) for score in fields["dev"]),
                "trailing_silence": tuple(fields["trailing_silence"]),
                "left_out_ids": tuple(fields.get("left_out_ids", ())),
            }
        )


def has_words(scores: Sequence[Score]) -> bool:
    """Whether `best_step` can tell."""
    return any(score.slice == "all" and score.words for score in scores)


def best_step(scores: Sequence[Score]) -> int:
    """The latest step that dev cannot tell from the one with the fewest errors over all clips.

    A few hundred dev words do not tell 13 errors from 15, and a later step has learnt more at a
    lower learning rate. So it is the one-standard-error rule (Breiman, Friedman, Olshen and Stone
    1984, "Classification and Regression Trees"), the standard error of a count of errors taken as
    Poisson's, its root: word errors come in clusters, so that theirs is rather larger.

    Raises:
        ValueError: no score over all clips, or none with words.
    """
    overall = [score for score in scores if score.slice == "all" and score.words]
    if not overall:
        raise ValueError("no dev score with words")
    fewest = min(overall, key=lambda score: score.rate)
    bound = (fewest.errors + math.sqrt(fewest.errors)) / fewest.words
    return max(score.step for score in overall if score.rate <= bound)
