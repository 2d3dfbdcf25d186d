"""Training on augmented clips: it runs, hears after a kill what it would have heard, and learns."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel

from data.audio import read_flac
from data.features import WINDOW_FRAMES
from data.tables import read_utterances, write_utterances
from training.attempts import run_fingerprint
from training.clips import batch_frames
from training.lora import train
from training.prepared import PreparedRun
from training.recipe import TrainingProgress, TrainingSpec
from voiceforge.errors import UsageError


def augmented(spec: TrainingSpec, probability: float = 0.5, **params: Any) -> TrainingSpec:
    """The run with every effect at a probability; few rooms, since each is simulated."""
    shipped = spec.params.augmentation
    update = {
        name: effect.model_copy(update={"probability": probability})
        for name, effect in shipped.effects.items()
    }
    update["room"] = update["room"].model_copy(update={"rooms": 3, "rt60": (0.15, 0.3)})
    augmentation = shipped.model_copy(update=update)
    changed = spec.params.model_copy(update={"augmentation": augmentation, **params})
    return dataclasses.replace(spec, params=changed)


def batches(run: PreparedRun) -> list[dict[str, torch.Tensor]]:
    return [run.collate([(draw, run.hear(draw)) for draw in batch]) for batch in run.plan]


def mean_loss(model: Any, tensors: list[dict[str, torch.Tensor]]) -> float:
    with torch.no_grad():
        return float(np.mean([model(**batch).loss.item() for batch in tensors]))


def test_without_augmentation_a_batch_is_the_clips_of_the_corpus(spec: TrainingSpec) -> None:
    run = PreparedRun.of(spec)
    assert run.augmenter is None
    for draw in run.plan[0]:
        row = run.clips[draw.clip].row
        np.testing.assert_array_equal(run.hear(draw), read_flac(spec.corpus / row.audio))


def test_a_batch_is_as_wide_as_its_slowed_clips_need(spec: TrainingSpec) -> None:
    run = PreparedRun.of(augmented(spec, 1.0, steps=8))
    for batch, tensors in zip(run.plan, batches(run), strict=True):
        heard = [run.hear(draw) for draw in batch]
        for draw, samples in zip(batch, heard, strict=True):
            assert len(samples) / 16_000 == pytest.approx(draw.seconds(run.durations), abs=1e-4)
        frames = batch_frames(batch, run.durations)
        assert tensors["input_features"].shape == (4, 80, frames)
        longest = max(len(samples) / 160 + 100 * draw.silence for draw, samples in
                      zip(batch, heard, strict=True))  # fmt: skip
        assert longest <= frames <= longest + 2
        assert frames <= WINDOW_FRAMES


def test_a_run_is_repeated_by_its_seed_and_by_nothing_else(spec: TrainingSpec) -> None:
    first, second = (
        batches(PreparedRun.of(augmented(spec))),
        batches(PreparedRun.of(augmented(spec))),
    )
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one["input_features"], other["input_features"])
    other_seed = batches(PreparedRun.of(augmented(spec, seed=21)))
    plain = batches(PreparedRun.of(spec))
    for others in (other_seed, plain):
        assert not any(
            torch.equal(one["input_features"], other["input_features"])
            for one, other in zip(first, others, strict=True)
        )
    for one, other in zip(first, plain, strict=True):  # the same clips with the same texts
        assert torch.equal(one["labels"], other["labels"])


def test_what_is_off_does_not_make_another_run(spec: TrainingSpec) -> None:
    effects = spec.params.augmentation
    other = effects.model_copy(update={"noise": effects.noise.model_copy(update={"snr": (1, 2)})})
    off = spec.params.model_copy(update={"augmentation": other})
    assert run_fingerprint(spec) == run_fingerprint(dataclasses.replace(spec, params=off))
    assert "augmentation" not in off.outcome()
    on = augmented(spec)
    assert run_fingerprint(on) != run_fingerprint(spec)
    assert set(on.params.outcome()["augmentation"]) == set(effects.effects)
    assert TrainingSpec.from_dict(on.as_dict()) == on


def test_babble_from_a_single_clip_is_refused_before_the_first_step(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    rows = read_utterances(spec.utterances)
    one = [next(row for row in rows if row.split == "train")]
    write_utterances(tmp_path / "one.parquet", one + [row for row in rows if row.split == "dev"])
    alone = dataclasses.replace(augmented(spec), utterances=tmp_path / "one.parquet")
    with pytest.raises(UsageError, match="Take babble out of it"):
        train(alone, tmp_path / "workspace", lambda _: None)


class Killed(Exception):
    pass


@pytest.mark.system
def test_a_killed_training_goes_on_with_the_batches_it_would_have_had_and_learns(
    spec: TrainingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run in one go, one killed in step 10: the same draws, losses and adapter."""
    heard: list[int] = []
    hear = PreparedRun.hear
    monkeypatch.setattr(
        PreparedRun, "hear", lambda run, draw: heard.append(draw.position) or hear(run, draw)
    )
    many = {"steps": 10, "evaluate_every": 10, "checkpoint_every": 5}
    whole = augmented(spec, trailing_silence=(0.3, 0.3), **many)
    report = train(whole, tmp_path / "whole", lambda _: None)
    assert heard == list(range(40))
    run = PreparedRun.of(whole)
    augmented_batches = batches(run)
    before = mean_loss(run.base, augmented_batches)
    after = mean_loss(PeftModel.from_pretrained(run.base, whole.output), augmented_batches)
    assert after < 0.7 * before
    assert report.audio_seconds != pytest.approx(report.train_seconds * 10 * 4 / 10, rel=1e-4)

    def kill(progress: TrainingProgress) -> None:
        if progress.step == 10:
            raise Killed

    parts = dataclasses.replace(whole, output=tmp_path / "parts")
    heard.clear()
    with pytest.raises(Killed):
        train(parts, tmp_path / "killed", kill)
    heard.clear()
    again = train(parts, tmp_path / "killed", lambda _: None)
    assert heard == list(range(20, 40))
    assert [point.loss for point in again.losses] == [point.loss for point in report.losses]
    name = "adapter_model.safetensors"
    assert (parts.output / name).read_bytes() == (whole.output / name).read_bytes()
