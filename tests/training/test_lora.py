"""Fine-tuning itself: it learns, keeps the best, says what it did, and refuses before it starts."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from data.tables import read_utterances, write_utterances
from data.utterance import Utterance
from training.lora import train
from training.recipe import Score, TrainingProgress, TrainingReport, TrainingSpec, best_step
from voiceforge.errors import StageError, UsageError
from voiceforge.files import read_json


def changed(spec: TrainingSpec, **params: Any) -> TrainingSpec:
    return dataclasses.replace(spec, params=spec.params.model_copy(update=params))


def with_rows(spec: TrainingSpec, folder: Path, change: Any) -> TrainingSpec:
    rows: list[Utterance] = [change(row) for row in read_utterances(spec.utterances)]
    folder.mkdir()
    write_utterances(folder / "utterances.parquet", rows)
    return dataclasses.replace(spec, utterances=folder / "utterances.parquet")


def test_training_learns_the_clips_it_is_given(spec: TrainingSpec, tmp_path: Path) -> None:
    """From a base that rambles on short mels to one that transcribes them."""
    news: list[TrainingProgress] = []
    several = {"steps": 24, "evaluate_every": 12, "checkpoint_every": 30}
    spec = changed(spec, **several, trailing_silence=(0.3, 0.3))
    report = train(spec, tmp_path / "workspace", news.append)
    assert report.losses[-1].loss < 0.3 * report.losses[0].loss
    kept = report.dev_scores()[0]
    assert (kept.slice, kept.utterances) == ("all", 4)
    assert kept.words > 10
    assert kept.rate < 0.2

    assert [progress.step for progress in news if progress.dev] == [12, 24]
    told = [progress for progress in news if progress.loss is not None]
    assert [progress.step for progress in told] == [5, 10, 15, 20]
    assert all(progress.seconds_left and progress.seconds_left > 0 for progress in told)
    assert all((progress.audio_seconds_per_second or 0) > 0 for progress in told)

    assert {path.name for path in spec.output.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "training_report.json",
    }
    assert TrainingReport.from_dict(read_json(spec.output / "training_report.json")) == report
    assert str(spec.base) not in (spec.output / "adapter_config.json").read_text()
    assert 2**28 < report.peak_memory_bytes < 4 * 2**30
    assert report.minimum_mel_frames >= 180
    assert report.train_utterances == 10
    assert report.audio_seconds == pytest.approx(report.train_seconds * 24 * 4 / 10, rel=0.05)
    json.dumps(report.summary(), allow_nan=False)


def test_only_the_adapter_has_gradients(spec: TrainingSpec, tmp_path: Path) -> None:
    report = train(changed(spec, steps=2), tmp_path / "workspace", lambda _: None)
    adapter = load_file(spec.output / "adapter_model.safetensors")
    assert all(".lora_A." in name or ".lora_B." in name for name in adapter)
    assert sum(tensor.numel() for tensor in adapter.values()) == report.trained_parameters
    rank = {min(tensor.shape) for tensor in adapter.values()}
    assert rank == {spec.params.rank}


def test_a_run_that_was_killed_after_its_last_step_only_writes_its_output(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    spec = changed(spec, steps=2)
    first = train(spec, tmp_path / "workspace", lambda _: None)
    again = dataclasses.replace(spec, output=tmp_path / "again")
    news: list[TrainingProgress] = []
    second = train(again, tmp_path / "workspace", news.append)
    assert [progress.step for progress in news] == [2]
    assert (second.losses, second.dev) == (first.losses, first.dev)
    name = "adapter_model.safetensors"
    assert (again.output / name).read_bytes() == (spec.output / name).read_bytes()


def test_the_step_with_fewest_dev_errors_is_kept() -> None:
    def scores(*errors: int) -> list[Score]:
        return [
            Score(10 * (at + 1), name, count, 100, 9)
            for at, count in enumerate(errors)
            for name in ("all", "human")
        ]

    assert best_step(scores(20, 5, 12)) == 20
    assert best_step(scores(9, 5, 5)) == 30  # of equals the later, which has learnt more
    assert best_step(scores(9, 5, 7)) == 30  # 7 is within the root of 5
    assert best_step(scores(9, 5, 8)) == 20
    assert best_step(scores(0, 1, 1)) == 10  # no errors leave no doubt
    with pytest.raises(ValueError, match="no dev score"):
        best_step([])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda row: dataclasses.replace(row, split="test"), "none in its train split"),
        (lambda row: dataclasses.replace(row, split="train"), "none in its dev split"),
        (lambda row: dataclasses.replace(row, duration=20.0), "maximum_seconds = 15"),
        (lambda row: dataclasses.replace(row, text="word " * 500), "more than 445 tokens.*has 500"),
    ],
)
def test_nothing_to_learn_from_is_refused(
    spec: TrainingSpec, tmp_path: Path, change: Any, says: str
) -> None:
    spec = with_rows(spec, tmp_path / "rows", change)
    with pytest.raises(UsageError, match=says):
        train(spec, tmp_path / "workspace", lambda _: None)
    assert not spec.output.exists()


def test_an_unknown_target_is_refused(spec: TrainingSpec, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'q_projection'.*fc1, fc2, k_proj"):
        train(changed(spec, targets=("q_projection",)), tmp_path / "workspace", lambda _: None)


def test_a_rank_larger_than_its_layer_is_refused(spec: TrainingSpec, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"rank is 385, and the layer 'fc1' .*384 x 1536.*1 to 384"
    ):
        train(changed(spec, rank=385), tmp_path / "workspace", lambda _: None)


def test_a_base_without_safetensors_is_refused(spec: TrainingSpec, tmp_path: Path) -> None:
    """With pickled weights, which transformers would load."""
    base = tmp_path / "pickled"
    shutil.copytree(spec.base, base)
    torch.save(load_file(base / "model.safetensors"), base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"pickled holds no \.safetensors file"):
        train(dataclasses.replace(spec, base=base), tmp_path / "workspace", lambda _: None)


def test_a_quantized_base_that_cannot_be_had_is_refused_with_the_reason(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    spec = dataclasses.replace(changed(spec, quantized_base=True), device="cpu")
    with pytest.raises(UsageError, match=r"quantized_base is true.*no CUDA device, or VOICEFORGE_"):
        train(spec, tmp_path / "workspace", lambda _: None)


def test_a_transcript_that_the_decoder_has_no_room_for_is_left_out_and_named(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    wordy = next(row.id for row in read_utterances(spec.utterances) if row.split == "train")
    spec = with_rows(
        spec,
        tmp_path / "rows",
        lambda row: dataclasses.replace(row, text="word " * 500) if row.id == wordy else row,
    )
    report = train(changed(spec, steps=2), tmp_path / "workspace", lambda _: None)
    assert (report.left_out, report.left_out_texts, report.left_out_ids) == (1, 1, (wordy,))
    assert report.summary()["left_out_ids"] == [wordy]
    assert TrainingReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report


def test_recomputed_activations_give_the_same_losses(spec: TrainingSpec, tmp_path: Path) -> None:
    kept = train(changed(spec, steps=5), tmp_path / "kept", lambda _: None)
    again = changed(spec, steps=5, gradient_checkpointing=True)
    made_again = train(again, tmp_path / "again", lambda _: None)
    assert made_again.losses[0].loss == pytest.approx(kept.losses[0].loss, rel=1e-5)
    assert again.params.outcome() == changed(spec, steps=5).params.outcome()


def test_a_language_that_the_base_does_not_know_is_refused(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="'it'"):
        train(dataclasses.replace(spec, language="it"), tmp_path / "workspace", lambda _: None)


def test_a_loss_that_is_not_finite_ends_the_run(spec: TrainingSpec, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(spec.base, base)
    tensors = load_file(base / "model.safetensors")
    tensors["model.encoder.layers.0.fc1.bias"][0] = torch.nan
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StageError, match=r"loss of step 1 is nan.*learning_rate \(now 0.001\)"):
        train(dataclasses.replace(spec, base=base), tmp_path / "workspace", lambda _: None)
    assert not spec.output.exists()
