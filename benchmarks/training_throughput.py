"""How fast the recipe trains, beside the plain one: the same trainer, batches padded to 30 s.

Each training is a process of its own, on the domain's splits, with the same steps, batch size, seed
and order of clips; only `full_length_share` differs. Speech per second counts speech without
silence and padding, over the wall time of the steps alone. Dev word error rates are of the last
step, each model heard at the length that it was trained on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.record import Row
from data.features import WINDOW_FRAMES
from data.tables import read_utterances
from lifecycle import replay
from lifecycle.adapter import training_spec
from lifecycle.workspace import Workspace
from training.clips import choose_clips
from training.launch import run_training
from training.recipe import Score, TrainingProgress, TrainingReport, TrainingSpec
from voiceforge.params import TrainingParams


@dataclass(frozen=True)
class Trained:
    """A training of the benchmark.

    Attributes:
        report: what it says of itself.
        speed: seconds of speech a second of wall time, over the steps before the evaluation.
        dev: dev word errors of its last step.
    """

    report: TrainingReport
    speed: float
    dev: Score


def measure(workspace: Workspace, steps: int) -> Iterator[Row]:
    """Both trainings and their ratio."""
    recipe = workspace.domain.training.model_copy(
        update={"steps": steps, "evaluate_every": steps, "checkpoint_every": steps}
    )
    plain = recipe.model_copy(update={"full_length_share": 1.0})
    found = []
    for name, params in (("recipe", recipe), ("30 s padding", plain)):
        trained = train(workspace, params)
        report, dev = trained.report, trained.dev
        rests_on = (
            f"{steps} steps of {params.batch_size} clips, {report.precision}, "
            f"{report.threads} threads"
        )
        yield Row(f"{name}: speech trained on a second", f"{trained.speed:.2f} s", rests_on)
        yield Row(
            f"{name}: dev word error rate",
            f"{dev.rate:.1%}",
            f"{dev.words:,} words, {dev.utterances} utterances, step {dev.step}",
        )
        memory = f"{report.peak_memory_bytes / 1e9:.2f} GB"
        yield Row(f"{name}: peak memory of training", memory, rests_on)
        found.append(trained)
    ours, theirs = found
    yield Row(
        "throughput, recipe against 30 s padding",
        f"{ours.speed / theirs.speed:.1f} x",
        f"{steps} steps each",
    )


def train(workspace: Workspace, params: TrainingParams) -> Trained:
    """Train into a folder that goes away again; nothing of the domain is changed."""
    told: list[TrainingProgress] = []
    workspace = workspace.trained_with(params)
    general = replay.make_replay(workspace)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scratch").mkdir()
        (folder / "adapter").mkdir()
        spec = training_spec(workspace, general, folder / "adapter")
        report = run_training(spec, folder / "scratch", told.append)
        plain = params.full_length_share == 1.0
        dev = _padded_score(spec, folder / "merged") if plain else report.dev_scores()[0]
    # The last step's evaluation is no training.
    stepping = [
        one for one in told if one.loss is not None and not one.dev and one.step < one.steps
    ]
    if not stepping:
        raise SystemExit("Too few steps for a figure: give at least 20 with --steps.")
    return Trained(report, float(stepping[-1].audio_seconds_per_second or 0.0), dev)


def _padded_score(spec: TrainingSpec, merged: Path) -> Score:
    """Dev word errors of a model that was trained on 30 s windows, heard in such windows.

    The trainer's own evaluation hears clips at their length, which such a model does not know.
    """
    from transformers import AutoTokenizer

    from training.context import load_model, prompt_tokens
    from training.merging import merge
    from training.scoring import score, transcribe

    merge(spec.base, spec.output, merged)
    model = load_model(merged)
    tokenizer = AutoTokenizer.from_pretrained(spec.base, local_files_only=True)
    rows = [row for row in read_utterances(spec.utterances) if row.split == "dev"]
    chosen = choose_clips(rows, spec.params.dev_utterances, spec.params.seed)
    prompt = prompt_tokens(model, tokenizer, spec.language)
    hypotheses = transcribe(
        model, tokenizer, prompt, chosen, spec.corpus, silence=0.0, least_frames=WINDOW_FRAMES
    )
    return score(spec.params.steps, chosen, hypotheses, spec)[0]
