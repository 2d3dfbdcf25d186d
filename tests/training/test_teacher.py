"""The base model as teacher: it is the base, what is kept of it is what it says, runs go on."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from training.adapters import lora_config
from training.attempts import run_fingerprint
from training.clips import IGNORED
from training.distillation import distillation_loss
from training.lora import train
from training.prepared import PreparedRun
from training.recipe import TrainingProgress, TrainingSpec
from training.teacher import LESSONS, Teacher
from voiceforge.errors import StorageError
from voiceforge.params import DistillationParams

TEMPERATURE = 2.0


def distilled(
    spec: TrainingSpec, logits: float = 0.8, encoder: float = 1.0, **params: Any
) -> TrainingSpec:
    """Two steps of two clips: each pass through the whole window is dear."""
    weights = DistillationParams(logits=logits, encoder=encoder, temperature=TEMPERATURE)
    few = {"steps": 2, "batch_size": 2, "distillation": weights}
    changed = spec.params.model_copy(update={**few, **params})
    return dataclasses.replace(spec, params=changed)


def silent(_: str) -> None:
    pass


def batch_of(run: PreparedRun, number: int) -> tuple[dict[str, torch.Tensor], list[int], list[int]]:
    heard = [(draw, run.hear(draw)) for draw in run.plan[number]]
    clips, lengths = [draw.clip for draw, _ in heard], [len(samples) for _, samples in heard]
    return run.collate(heard), clips, lengths


def test_the_teacher_is_the_base_model_and_so_is_an_adapted_model_without_its_adapter(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    """transformers' own Whisper on its own 30 s mels; then the adapter, trained away and off."""
    run = PreparedRun.of(distilled(spec))
    teacher = Teacher(run, tmp_path, bf16=False)
    (lesson,) = teacher.teach([0])
    plain = WhisperForConditionalGeneration.from_pretrained(spec.base, local_files_only=True).eval()
    mel = WhisperFeatureExtractor()(run.read(0), sampling_rate=16_000, return_tensors="pt")
    inputs = torch.tensor([[*run.clips[0].prompt, *run.clips[0].tokens]])
    with torch.no_grad():
        out = plain(mel.input_features, decoder_input_ids=inputs)
    said = out.logits[0, len(run.clips[0].prompt) - 1 :].div(TEMPERATURE).log_softmax(-1)
    assert lesson.labels.tolist() == [*run.clips[0].tokens, run.tokenizer.eos_token_id]
    own = len(run.read(0)) // 320
    assert lesson.states.shape == (own, plain.config.d_model)
    torch.testing.assert_close(
        lesson.states.float(), out.encoder_last_hidden_state[0, :own], rtol=2e-3, atol=2e-3
    )
    kept = said.gather(-1, lesson.tokens.long())
    torch.testing.assert_close(lesson.log_probs.float(), kept, rtol=2e-3, atol=1e-2)
    assert torch.equal(lesson.tokens[:, 0].long(), said.argmax(-1))

    model = get_peft_model(run.base, lora_config(spec.params, run.base))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    (adapted,) = teacher.teach([0])
    assert not torch.equal(adapted.states, lesson.states)
    with model.disable_adapter():
        (again,) = teacher.teach([0])
    for name, kept in vars(lesson).items():
        assert torch.equal(getattr(again, name), kept)


def test_what_was_kept_is_what_the_teacher_says_and_is_not_made_again(
    spec: TrainingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = PreparedRun.of(distilled(spec))
    teacher = Teacher(run, tmp_path / LESSONS, bf16=False)
    told: list[str] = []
    teacher.prepare(told.append)
    drawn = sorted({draw.clip for batch in run.plan for draw in batch})
    files = list((tmp_path / LESSONS).iterdir())
    assert len(files) == len(drawn)
    size = sum(path.stat().st_size for path in files)
    assert size == pytest.approx(teacher.lesson_bytes(drawn), rel=0.05)
    assert f"hears {len(drawn)} training clips" in told[0]
    for clip in drawn[:2]:
        (fresh,) = teacher.teach([clip])
        kept = teacher.lesson(clip)
        assert torch.equal(kept.labels, fresh.labels)
        for one, other in ((kept.states, fresh.states), (kept.log_probs, fresh.log_probs)):
            # float16 has 11 bits: 1 in 2000 of values up to 20, and sums in another order.
            torch.testing.assert_close(one.float(), other.float(), rtol=1e-3, atol=2e-2)

    files[0].unlink()
    heard: list[list[int]] = []
    teach = Teacher.teach

    def counted(self: Teacher, clips: list[int]) -> Any:
        heard.append(clips)
        return teach(self, clips)

    monkeypatch.setattr(Teacher, "teach", counted)
    again = Teacher(run, tmp_path / LESSONS, bf16=False)
    again.prepare(silent)
    assert [len(clips) for clips in heard] == [1]
    other = Teacher(PreparedRun.of(distilled(spec, encoder=0.0)), tmp_path / LESSONS, bf16=False)
    other.prepare(silent)
    assert sum(map(len, heard)) == 1 + len(drawn)
    assert other.lesson(drawn[0]).states.shape[0] == 0
    teacher.discard()
    with pytest.raises(StorageError, match="run again: training continues"):
        teacher.lesson(drawn[0])


def test_gradients_reach_the_adapter_alone_from_each_part(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    run = PreparedRun.of(distilled(spec))
    teacher = Teacher(run, tmp_path, bf16=False)
    teacher.prepare(silent)
    model = get_peft_model(run.base, lora_config(spec.params, run.base))
    batch, clips, lengths = batch_of(run, 0)
    lesson = teacher.lessons(clips, lengths, batch["labels"])
    assert lesson.taught.any()
    assert not lesson.taught[batch["labels"] == IGNORED].any()
    assert lesson.frames.tolist() == [length // 320 for length in lengths]
    for row, clip in enumerate(clips):
        own = teacher.lesson(clip)
        assert torch.equal(lesson.states[row, : len(own.states)], own.states)
        assert torch.equal(lesson.tokens[row, batch["labels"][row] != IGNORED], own.tokens)
    moved = {}
    for name, weights in {"logits": (1.0, 0.0), "encoder": (0.0, 1.0)}.items():
        model.zero_grad()
        params = DistillationParams(logits=weights[0], encoder=weights[1], temperature=TEMPERATURE)
        distillation_loss(model(**batch), batch["labels"], lesson, params).backward()
        moved[name] = {
            name
            for name, parameter in model.named_parameters()
            if parameter.grad is not None and parameter.grad.abs().sum() > 0
        }
        assert moved[name]
        assert all("lora_" in parameter for parameter in moved[name])
    assert not any(".decoder." in name for name in moved["encoder"])
    assert any(".decoder." in name for name in moved["logits"])


def test_a_clip_whose_speed_was_changed_is_taught_no_states(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    effects = spec.params.augmentation
    faster = effects.speed.model_copy(update={"probability": 1.0, "ratio": (1.05, 1.1)})
    augmented = effects.model_copy(update={"speed": faster})
    run = PreparedRun.of(distilled(spec, augmentation=augmented, steps=1))
    teacher = Teacher(run, tmp_path, bf16=False)
    teacher.prepare(silent)
    batch, clips, lengths = batch_of(run, 0)
    lesson = teacher.lessons(clips, lengths, batch["labels"])
    assert lesson.frames.tolist() == [0] * len(clips)
    assert lesson.taught.any()


class Killed(Exception):
    pass


@pytest.mark.system
def test_a_killed_training_that_is_distilled_goes_on_as_if_it_had_not_been(
    spec: TrainingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run in one go, one killed in step 4; its loss is more than the transcript's alone."""
    many = {"steps": 6, "evaluate_every": 6, "checkpoint_every": 3, "trailing_silence": (0.3, 0.3)}
    monkeypatch.setattr("training.trainer.NEWS_EVERY", 1)
    whole = distilled(spec, **many)
    report = train(whole, tmp_path / "whole", lambda _: None)
    assert not (tmp_path / "whole" / LESSONS).exists()
    alone = distilled(spec, logits=0.0, encoder=0.0, **many)
    plain = train(
        dataclasses.replace(alone, output=tmp_path / "plain"), tmp_path / "p", lambda _: None
    )
    assert report.losses[0].loss > plain.losses[0].loss + 0.03

    def kill(progress: TrainingProgress) -> None:
        if progress.step == 4 and progress.loss:
            raise Killed

    parts = dataclasses.replace(whole, output=tmp_path / "parts")
    with pytest.raises(Killed):
        train(parts, tmp_path / "killed", kill)
    assert len(list((tmp_path / "killed" / LESSONS).iterdir())) >= 4
    notes: list[str] = []
    again = train(parts, tmp_path / "killed", lambda news: notes.append(news.note))
    assert not any("hears" in note for note in notes)
    assert [point.loss for point in again.losses] == [point.loss for point in report.losses]
    name = "adapter_model.safetensors"
    one, other = load_file(parts.output / name), load_file(whole.output / name)
    assert all(torch.equal(one[key], other[key]) for key in other)
    assert not (tmp_path / "killed" / LESSONS).exists()
    last = dataclasses.replace(parts, output=tmp_path / "last")  # killed while it wrote its output
    assert train(last, tmp_path / "killed", lambda _: None).losses == again.losses


def test_a_disk_that_cannot_hold_the_lessons_is_refused_before_the_first_step(
    spec: TrainingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(StorageError, match=r"distillation needs .* GB .*training\.distillation"):
        train(distilled(spec), tmp_path / "workspace", lambda _: None)
    assert not spec.output.exists()


def test_what_is_off_does_not_make_another_run(spec: TrainingSpec) -> None:
    same = {"steps": spec.params.steps, "batch_size": spec.params.batch_size}
    off = distilled(spec, logits=0.0, encoder=0.0, **same)
    assert run_fingerprint(off) == run_fingerprint(spec)
    assert "distillation" not in off.params.outcome()
    on = distilled(spec, logits=0.0, **same)
    assert run_fingerprint(on) != run_fingerprint(spec)
    assert TrainingSpec.from_dict(on.as_dict()) == on
